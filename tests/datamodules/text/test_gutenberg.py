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


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (
            "*** START OF THE COPYRIGHTED PROJECT GUTENBERG EBOOK X ***",
            "*** END OF THE COPYRIGHTED PROJECT GUTENBERG X",
        ),
        ("*** START OF THE PROJECT GUTENBERG EBOOK X", "*** END OF THE PROJECT GUTENBERG EBOOK X ***"),
        ("**** START OF PROJECT GUTENBERG X", "Ende dieses Projekt Gutenberg Etextes X"),
        ("*END THE SMALL PRINT! FOR PUBLIC DOMAIN", "END OF PROJECT GUTENBERG ETEXT X"),
        ("*END*THE SMALL PRINT! FOR COPYRIGHT PROTECTED ETEXTS*Ver.04.29.93*END*", "Fin de Project Gutenberg"),
        ("*** START OF THE PROJECT GUTENBERG EBOOK X ***", "*** START: FULL LICENSE ***"),
    ],
)
def test_markers_are_known_in_all_their_variants(start, end):
    assert without_gutenberg(f"{HEADER}{start}\n\n{BOOK}\n{end}{LICENCE}") == BOOK


def test_text_right_behind_an_unclosed_marker_stays():
    text = "*** START OF THE PROJECT GUTENBERG EBOOK X\nFirst line.\nSecond.\n\n*** a ***\n"
    assert without_gutenberg(text) == "First line.\nSecond.\n\n*** a ***\n"


@pytest.mark.parametrize(
    "end", ["*** END OF THE PROJECT GUTENBERG EBOOK X ***", "End of the Project Gutenberg EBook of X"]
)
def test_a_header_removed_by_hand_leaves_the_licence_to_be_cut_off(end):
    assert without_gutenberg(f"{BOOK}\n\n{end}{LICENCE}") == BOOK


def test_several_books_in_one_file_all_stay():
    start, end = (f"*** {word} OF THE PROJECT GUTENBERG EBOOK X ***" for word in ("START", "END"))
    one = f"{HEADER}{start}\n{BOOK}{end}{LICENCE}"
    assert without_gutenberg(one * 3) == BOOK * 3


def test_small_print_behind_the_book_takes_nothing_of_it():
    small_print = "***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\nterms\n*END*THE SMALL PRINT!*END*\n"
    assert without_gutenberg(f"{BOOK}\n{small_print}") == BOOK


def test_a_book_in_one_paragraph_only_loses_the_lines_that_name_the_project():
    lines = [f"line {number} of the book" for number in range(200)]
    text = "\n".join(
        ["*** START OF THE PROJECT GUTENBERG EBOOK X ***", "", "Produced by Jo", *lines, "at Project", "Gutenberg"]
    )
    assert without_gutenberg(text) == "\n".join(lines) + "\n"
