"""What Project Gutenberg puts around its books, cut off."""

import re

START = re.compile(
    r"^[ \t]*\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT).*?\*{3}[ \t]*$", re.M | re.S | re.I
)
END = re.compile(r"^[ \t]*\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)", re.M | re.I)
SMALL_PRINT = re.compile(
    r"^\*END[ *]*THE SMALL PRINT!.*\*END\*[ \t]*$", re.M | re.I
)  # ends the header until about 2003
END_WITHOUT_STARS = re.compile(r"^[ \t]*End of (?:the |this )?Project Gutenberg", re.M | re.I)
CREDITS = re.compile(
    r"(?:this )?(?:e-?(?:text|book) (?:was )?)?(?:produced|prepared|transcribed|scanned|proofread) (?:by|from)\b"
    r"|html version by\b",
    re.I,
)
NAMED = re.compile(r"project\s+gutenberg", re.I)


def without_gutenberg(text: str) -> str:
    r"""The book alone, if `text` is a Project Gutenberg file; otherwise `text` as it is.

    The header ends and the licence begins at the lines `*** START OF` and `*** END OF THE PROJECT GUTENBERG EBOOK` (old
    files: at the end of the small print and at `End of Project Gutenberg's`). Inside, the credits that come first and
    every paragraph that names Project Gutenberg are its editors', not the author's: they go too. Nothing else does.
    """
    start = START.search(text) or SMALL_PRINT.search(text)
    if start is None:
        return text
    end = END.search(text, start.end()) or END_WITHOUT_STARS.search(text, start.end())
    body = text[start.end() : end.start() if end else len(text)]
    paragraphs = re.split(r"(\n(?:[ \t]*\n)+)", body.strip("\n"))  # and, at odd places, the empty lines between
    kept: list[str] = []
    is_beginning = True
    for paragraph, gap in zip(paragraphs[::2], [*paragraphs[1::2], ""], strict=True):
        is_beginning = is_beginning and CREDITS.match(paragraph.lstrip()) is not None
        if not is_beginning and not NAMED.search(paragraph):
            kept += [paragraph, gap]
    return "".join(kept).strip("\n") + "\n"
