"""Removes what Project Gutenberg puts around its books."""

import re
from collections.abc import Iterator

_FLAGS = re.MULTILINE | re.IGNORECASE
_PROJECT = r"(?:THE |THIS )?(?:COPYRIGHTED )?PROJECT GUTENBERG"
# A marker ends at its closing stars, up to four lines further in the same paragraph, or at the end of its line.
START = re.compile(
    rf"^[ \t]*\*{{3,}}[ ]?START OF {_PROJECT}(?:[^\n]*(?:\n(?![ \t]*\n)[^\n]*){{0,4}}?\*{{3,}}[ \t]*$|[^\n]*$)", _FLAGS
)
END = re.compile(rf"^[ \t]*\*{{3,}}[ ]?END OF {_PROJECT}|^[ \t]*(?:\*{{3,}}[ ]?)?START: FULL LICEN[SC]E", _FLAGS)
END_WITHOUT_STARS = re.compile(
    rf"^[ \t]*(?:End of {_PROJECT}|Ende (?:dieses|dieser|diese|des) Proje[ck]t Gutenberg"
    r"|Fin (?:de |du )?(?:ce |cet )?Proje[ck]?t Gutenberg)",
    _FLAGS,
)
SMALL_PRINT_START = re.compile(r"^[ \t]*\*{3}[ ]?START[ *]*(?:OF )?(?:THE )?SMALL PRINT", _FLAGS)
SMALL_PRINT_END = re.compile(r"^[ \t]*\*END[ *]*(?:OF )?(?:THE )?SMALL PRINT[^\n]*$", _FLAGS)  # until about 2003
CREDITS = re.compile(
    r"(?:this )?(?:e-?(?:text|book) (?:was )?)?(?:produced|prepared|transcribed|scanned|proofread) (?:by|from)\b"
    r"|html version by\b",
    re.IGNORECASE,
)
NAMED = re.compile(r"project\s+gutenberg", re.IGNORECASE)
NAMING_LINES = re.compile(r"^[^\n]*project\s+gutenberg[^\n]*\n?", _FLAGS)
LONGEST_NOTE = 2_000  # characters of a paragraph; a longer one is (part of) the book, and only loses some lines


WORDS = ("gutenberg", "small print", "full licen")  # one of them is in every marker
PIECE = 1 << 22  # characters


def without_gutenberg(text: str) -> str:
    r"""The book alone, if `text` is a Project Gutenberg file; otherwise `text` as it is.

    The header ends and the licence begins at the lines `*** START OF` and `*** END OF THE PROJECT GUTENBERG EBOOK` (old
    files: at the end of the small print and at `End of Project Gutenberg's`). Either may be missing, and a file may
    hold several books. Between them, the credits that come first and every paragraph that names Project Gutenberg are
    its editors', not the author's, and are removed as well.
    """
    if not _names_gutenberg(text):  # what the markers would take four times as long to find out
        return text
    books = list(_books(text))
    return "".join(map(_without_notes, books)) if books else text


def _names_gutenberg(text: str) -> bool:
    """Whether one of WORDS is in `text`, in any case; it is searched a piece at a time, without a copy of it all."""
    overlap = max(map(len, WORDS))
    pieces = (text[start : start + PIECE + overlap].casefold() for start in range(0, len(text), PIECE))
    return any(word in piece for piece in pieces for word in WORDS)


def _books(text: str) -> Iterator[str]:
    """What stands between the markers, book by book; nothing if there are no markers."""
    start = START.search(text)
    end = END.search(text)
    if start is None:
        start = SMALL_PRINT_END.search(text)
        if start is not None and not text[start.end() :].strip():  # the small print stands behind the book
            begin = SMALL_PRINT_START.search(text)
            yield text[: begin.start() if begin else start.start()]
            return
    if start is None:
        end = end or END_WITHOUT_STARS.search(text)
    if end is not None and (start is None or end.start() < start.start()):
        yield text[: end.start()]  # its header was removed by hand
    while start is not None:
        next_start = START.search(text, start.end())
        limit = next_start.start() if next_start else len(text)
        end = END.search(text, start.end(), limit)
        end_without_stars = END_WITHOUT_STARS.search(text, start.end(), limit)
        yield text[start.end() : min([limit, *(found.start() for found in (end, end_without_stars) if found)])]
        start = next_start


def _without_notes(book: str) -> str:
    """A book without credits and paragraphs that name Project Gutenberg."""
    paragraphs = re.split(r"(\n(?:[ \t]*\n)+)", book.strip("\n"))  # and, at odd places, the empty lines between
    kept: list[str] = []
    is_beginning = True
    for paragraph, gap in zip(paragraphs[::2], [*paragraphs[1::2], ""], strict=True):
        is_beginning = is_beginning and CREDITS.match(paragraph.lstrip()) is not None
        is_note = is_beginning or NAMED.search(paragraph) is not None
        if not is_note:
            kept += [paragraph, gap]
        elif len(paragraph) > LONGEST_NOTE:
            rest = paragraph.lstrip().partition("\n")[2] if is_beginning else paragraph
            kept += [NAMING_LINES.sub("", rest), gap]
            is_beginning = False
    return "".join(kept).strip("\n") + "\n"
