import pytest

from datamodules.text.gutenberg import without_gutenberg

BOOK = "A TALE\n\n    by Nobody\n\n\nCHAPTER I\n\nIt was made by hand.\n*** a star ***\n\n  The licence to end it.\n"
HEADER = "The Project Gutenberg EBook of A Tale\n\nrestrictions whatsoever.\n\nLanguage: English\n\n"
LICENCE = "\n\n***** This file should be named 1.txt *****\n\nSection 1.  Project Gutenberg-tm electronic works\n"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***", "*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***"),
        ("***START OF THE PROJECT GUTENBERG EBOOK A TALE***", "***END OF THE PROJECT GUTENBERG EBOOK A TALE***"),
        (
            "*** START OF THIS PROJECT GUTENBERG EBOOK A LONG\nTALE ***",
            "End of the Project Gutenberg EBook of A Tale\n\n*** END OF THIS PROJECT GUTENBERG EBOOK A TALE ***",
        ),
        ("*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*", "End of Project Gutenberg's A Tale"),
    ],
)
@pytest.mark.parametrize(
    "credits",
    [
        "",
        "\n\nProduced by Jo Somebody.  HTML version by Al.\n\n\n",
        "\n\nE-text prepared by Jo,\nand revised by Al\n\n\n",
        "\n\nThis eBook was produced by Jo\n\n\nTranscribed from the 1905 edition by Al, email\nal@example.org\n\n\n",
    ],
)
def test_the_book_is_left_and_nothing_else(start, end, credits):
    assert without_gutenberg(f"{HEADER}{start}\n{credits}\n{BOOK}\n\n{end}{LICENCE}") == BOOK


def test_notes_that_name_project_gutenberg_go_with_their_paragraph():
    note = "[Project\nGutenberg Editor's Note: there is another version]\n\n"
    marked = f"*** START OF THIS PROJECT GUTENBERG EBOOK A TALE ***\n{BOOK}\n\n{note}THE END\n"
    assert without_gutenberg(marked) == f"{BOOK}\n\nTHE END\n"


def test_other_texts_stay_as_they_are():
    text = "\n\nProduced by hand.\n\nI read it at Project Gutenberg.\n\n"
    assert without_gutenberg(text) == text
