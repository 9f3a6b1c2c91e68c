"""Folders and CSV files of names, and texts to learn a language from."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz.kinds import NAMES, Kind, Use, broken, garbage, some_name, write
from datamodules.sequences import Names
from datamodules.text import Text

ENCODINGS = [
    *["utf-8"] * 8,
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-be",
    "latin1",
    "cp1252",
    "gb18030",
    "shift_jis",
    "koi8-r",
    "utf-7",
    "cp037",
]
LINE_ENDS = ["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\r\r\n", "\u2028", "\x0c", "\x85", "\n \n"]
WORDS = [
    *(
        "the cat",
        "sat",
        "on the mat",
        "Müller",
        "O'Brien",
        "Nguyễn",
        "日本語",
        "السلام",
        "שלום",
        "Ωmega",
        "\U0001f468‍\U0001f469‍\U0001f467",
    ),
    *(
        "e\u0301\u0301\u0301",
        "\u202eabc",
        "\u200b",
        "\ufeff",
        "\x01",
        "\x1b[31m",
        "\ufffd",
        "\uffff",
        "a\tb",
        " ",
        "",
        "0",
        "-1",
        "NaN",
    ),
    *(
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***",
        "*** END OF THE PROJECT GUTENBERG EBOOK X ***",
        "End of Project Gutenberg's",
    ),
    *(
        "*** START OF THE PROJECT GUTENBERG EBOOK",
        "*END*THE SMALL PRINT!",
        "***START**THE SMALL PRINT",
        "START: FULL LICENSE",
        "***",
    ),
    *("\u0130", "ß", "ﬁ", "\U0010ffff", "Produced by X", "Project Gutenberg", '"', "'", ",", ";", "=1+1"),
]


def line(random: Random) -> str:
    """A line of words; rarely a very long one."""
    if random.random() < 0.004:
        return random.choice(["x", "ab ", "é"]) * random.choice([5_000, 200_000, 1_000_000])
    return " ".join(random.choice(WORDS) if random.random() < 0.3 else word(random) for _ in range(random.randrange(6)))


def word(random: Random) -> str:
    """A word of small letters."""
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randrange(1, 9)))


def text_content(random: Random, mild: bool, lines: list[str] | None = None) -> bytes:
    """A text file in some encoding, with some line ends, whole or broken; a mild one is in UTF-8 and whole."""
    if lines is None:
        lines = [line(random) for _ in range(random.choice([1, 2, 5, 30, 30, 200]))] + ["abc", "Abd", "x y"]
    if mild:
        return ("\n".join(lines) + random.choice(["", "\n"])).encode("utf-8", "replace")
    if random.random() < 0.04:
        return random.choice(
            [b"", b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff\xfe\0\0", b"\0", b" \n ", b"\xff\xfea", garbage(random)]
        )
    end = random.choice(LINE_ENDS)
    text = end.join(lines) + random.choice([end, end, "", "\0", "\x1a"])
    content = text.encode(random.choice(ENCODINGS), "ignore")
    if random.random() < 0.02:
        content = text.encode("utf-8") + "\ud800".encode("utf-8", "surrogatepass")
    return broken(random, content) if random.random() < 0.1 else content


def make_names(random: Random, folder: Path) -> Use:
    """A folder with a file a class, with or without splits, or a CSV file."""
    mild = random.random() < 0.6
    root = folder / "names"
    if random.random() < 0.45:
        root = folder / random.choice(["names.csv", "names.tsv", "names.CSV", "names.txt", "names"])
        write(root, csv_content(random, mild))
    else:
        root.mkdir()
        arrangements = [
            [""],
            [""],
            [""],
            ["train", "test"],
            ["Train", "valid", "testing"],
            ["train", "training"],
            ["val"],
        ]
        splits = random.choice(arrangements[:5] if mild else arrangements)
        classes = [some_name(random) for _ in range(random.choice([3, 4] if mild else [0, 1, 2, 3, 3, 4, 8]))]
        for split in splits:
            for name in classes if mild or random.random() < 0.9 else classes[1:]:
                ending = ".txt" if mild else random.choice(["", ".csv", ".TXT", *[".txt"] * 8])
                write(root / split / f"{name}{ending}", text_content(random, mild))
        if random.random() < 0.1:
            with suppress(OSError):
                random.choice([os.mkdir, os.mkfifo, partial(os.symlink, ".."), partial(os.symlink, "nowhere")])(
                    root / "odd.txt"
                )
    options: dict[str, Any] = {
        "batch_size": random.choice([1, 8, 500]),
        "ascii_only": random.random() < 0.3,
        "val_fraction": random.choice([0.0, 0.1, 0.5]),
        "test_fraction": random.choice([0.0, 0.1, 0.4]),
        "max_length": random.choice([1, 200]),
        "chunk_lengths": random.choice([None, None, None, (1, 3), *([] if mild else [(5, 50)])]),
    }
    if random.random() < 0.1:
        options["predict_path"] = str(random.choice([root, *root.rglob("*")]) if root.is_dir() else root)
    return partial(read_names, root, options)


def csv_content(random: Random, mild: bool) -> bytes:
    """A CSV file in one of many dialects, or nearly one."""
    delimiter = random.choice([",", ",", ",", ";", "\t", "|", *([] if mild else [" ", ":"])])
    good = [*[["label", "text"]] * 3, ["text", "label"], ["Label ", " TEXT"], ["id", "label", "text", "x"]]
    bad = [
        ["label", "label", "text"],
        ["text"],
        [],
        ["a", "b"],
        ["\ufefflabel", "text"],
        ['"label"', "'text'"],
        ["LABEL", ""],
    ]
    columns = random.choice(good if mild else [*good, *bad])
    labels = [
        random.choice([some_name(random), *NAMES[:10]])
        for _ in range(random.choice([2, 3, 5, 40] if mild else [1, 2, 40]))
    ]
    quote = '"' if mild else random.choice(['"', "'", ""])
    rows = [delimiter.join(columns)]
    for _ in range(random.choice([0, 1, 5, 50, 50])):
        values = {"label": random.choice(labels), "text": line(random)}
        cells = [values.get(column.strip("\ufeff\"' ").lower(), word(random)) for column in columns]
        if random.random() < 0.02:
            cells = random.choice([cells[:1], cells * 2, [], ["", *cells], ['"', *cells], ["\n", *cells]])
        if mild:
            cells = [cell.replace('"', "'") for cell in cells]
        quoted = [random.random() < 0.5 or (mild and delimiter in cell) for cell in cells]
        cells = [f"{quote}{cell}{quote}" if is_quoted else cell for cell, is_quoted in zip(cells, quoted, strict=True)]
        rows.append(delimiter.join(cells))
    return text_content(
        random, mild and random.random() < 0.8, [row.encode("utf-8", "replace").decode() for row in rows]
    )


def read_names(path: Path, options: dict[str, Any], scratch: Path) -> None:
    """The first batch of each split, or of what is to be predicted."""
    data = Names(str(path), **options)
    names = data.class_names
    data.setup("fit")
    "".join([*names, data.found, str(data.fingerprint)]).encode()
    assert "\n" not in data.found
    assert len(set(names)) == len(names)
    loaders = [data.train_dataloader]
    loaders += [getattr(data, f"{split}_dataloader") for split in ("val", "test") if data.split_sizes[split]]
    if options.get("predict_path"):
        data.setup("predict")
        loaders.append(data.predict_dataloader)
    for loader in loaders:
        characters, lengths, labels = next(iter(loader()))
        assert (labels < len(names)).all()
        assert (lengths >= 0).all()
        assert characters.shape[1] >= lengths.max()


def make_corpus(random: Random, folder: Path) -> Use:
    """Text files, folders of them, patterns."""
    mild = random.random() < 0.6
    for _ in range(random.choice([1, 2, 4] if mild else [0, 1, 1, 1, 2, 4])):
        parts = [some_name(random) for _ in range(random.choice([0, 0, 1, 2]))]
        name = f"{some_name(random)}{random.choice(['.txt'] * 6 + ['.TXT', '.md', '.zip', ''])}"
        content = text_content(random, mild)
        write(folder.joinpath(*parts) / name, content * random.choice([1, 1, 1, 20]))
    if random.random() < 0.08:
        with suppress(OSError):
            random.choice([os.mkdir, os.mkfifo, partial(os.symlink, ".."), partial(os.symlink, "nowhere")])(
                folder / "odd.txt"
            )
    there = [str(path) for path in folder.rglob("*")]
    given: Any = random.choice(
        [
            str(folder),
            str(folder),
            f"{folder}/*.txt",
            f"{folder}/**/*",
            [*there, str(folder)],
            there or [],
            random.choice(there or ["no"]),
        ]
    )
    options: dict[str, Any] = {
        "batches": random.choice(["streams", "chunks"]),
        "batch_size": random.choice([1, 8, 100]),
        "chunk_length": random.choice([1, 16, 64]),
        "val_fraction": random.choice([0.0, 0.1, 0.5]),
        "test_fraction": random.choice([0.0, 0.1]),
        "normalisation": random.choice(["nfc", "ascii", "none"]),
    }
    return partial(read_corpus, given, options)


def read_corpus(path: str | list[str], options: dict[str, Any], scratch: Path) -> None:
    """The first batch of each split."""
    data = Text(path, download=False, **options)
    vocabulary = data.vocabulary
    data.setup("fit")
    "".join([*vocabulary, str(data.found), str(data.fingerprint)]).encode()
    assert "\n" not in str(data.found)
    loaders = [data.train_dataloader]
    loaders += [data.val_dataloader] if data.split_sizes["val"] else []
    loaders += [data.test_dataloader] if data.split_sizes["test"] else []
    for loader in loaders:
        inputs, targets, _ = data.on_after_batch_transfer(next(iter(loader())), 0)
        assert inputs.shape == targets.shape
        assert inputs.max() < len(vocabulary)


KINDS = [Kind("names files", 18, make_names), Kind("corpora", 17, make_corpus)]
