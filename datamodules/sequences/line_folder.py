"""Folders with one text file a class: reading them, and dividing their lines into splits that share nothing."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.splits import is_held_out, split_of_folder
from datamodules.text_files import find_txt_files, left_out_text, read_lines
from datamodules.vocabulary import normalized
from lab.errors import UserError, UserFileError
from lab.files import displayable, displayable_names

SPLITS = ("train", "val", "test")
LinesOfClass = dict[str, list[str]]  # class -> its lines


@dataclass
class Duplicates:
    """What was found twice in the files; no pair of a line and a class is ever used twice."""

    repeated: int = 0  # lines that their class has already
    ambiguous: list[str] = field(default_factory=list)  # lines of more than one class; all of them in the same split
    across_splits: int = 0  # lines left out of a split because a later one of train, val, test has them too


def read_folder(folder: Path, ascii_only: bool) -> dict[str, LinesOfClass]:
    """The lines of `folder`/*.txt as split "all", or those of `folder`/{train,val,test}/*.txt as the splits that exist.

    Classes are named after their files. Empty lines are left out.

    Raises:
        UserFileError: if there are no such files.
        UserError: for an empty file, a file that is not UTF-8, a single class, or a class that train/ does not have.
    """
    if not folder.is_dir():
        raise UserFileError(f"there is no folder {folder.absolute()}: expected one with a .txt file for each class")
    split_folders = find_split_folders(folder)
    if "train" in split_folders:
        splits = {split: read_classes(split_folders[split], ascii_only) for split in SPLITS if split in split_folders}
    else:
        splits = {"all": read_classes(folder, ascii_only)}
    known = next(iter(splits.values()))
    if len(known) == 1:
        raise UserError(f"{folder} holds one class only, {next(iter(known))}: a classifier needs at least two files")
    for split, classes in splits.items():
        if unknown := sorted(classes.keys() - known.keys()):
            raise UserError(
                f"{split_folders[split]} holds the class {unknown[0]}, which {split_folders['train']} does not have"
            )
    return splits


def read_classes(folder: Path, ascii_only: bool) -> LinesOfClass:
    """The lines of each .txt file in `folder`, by the file's name without .txt, in the order of the names."""
    files, left_out = find_txt_files(folder, recursive=False)
    if not files:
        raise UserFileError(
            f"{folder.absolute()} holds no .txt file: expected one for each class{left_out_text(left_out)}"
        )
    classes: LinesOfClass = {}
    for path, name in zip(files, displayable_names([file.stem for file in files]), strict=True):
        lines = [line for given in read_lines(path) if (line := normalized(given, ascii_only))]
        if not lines:
            raise UserError(f"{displayable(str(path))} is empty: give it at least one line, or remove it")
        classes.setdefault(name, []).extend(lines)  # there may be x.txt and x.TXT
    return classes


def find_split_folders(folder: Path) -> dict[str, Path]:
    """The folders train/, val/ and test/ of `folder`, under any of their names, by split.

    Raises:
        UserError: if two folders are the same split.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = split_of_folder(path.name) if path.is_dir() else None
        if split is None:
            continue
        if split in found:
            raise UserError(f"{folder} has two folders for one split, {found[split].name}/ and {path.name}/: keep one")
        found[split] = path
    return found


def without_duplicates(splits: dict[str, LinesOfClass]) -> tuple[dict[str, LinesOfClass], Duplicates]:
    """Each pair of line and class once, and no line in two splits: the later of train, val, test keeps it."""
    found = Duplicates()
    unique: dict[str, LinesOfClass] = {}
    kept_later: set[str] = set()
    for split in reversed(splits):
        unique[split] = {}
        for name, lines in splits[split].items():
            once = list(dict.fromkeys(lines))
            own = [line for line in once if line not in kept_later]
            found.repeated += len(lines) - len(once)
            found.across_splits += len(once) - len(own)
            unique[split][name] = own
        kept_later.update(line for lines in unique[split].values() for line in lines)
    classes_of_line = Counter(line for classes in unique.values() for lines in classes.values() for line in lines)
    found.ambiguous = sorted(line for line, classes in classes_of_line.items() if classes > 1)
    return {split: unique[split] for split in splits}, found


def divide(classes: LinesOfClass, fractions: dict[str, float], seed: int) -> dict[str, LinesOfClass]:
    """Divide lines into "train" and the splits named in `fractions`, each by a hash of the line and `seed`.

    So a line stays in its split whatever other lines there are, and a line of several classes is in one split only.
    Every class keeps a line to train on.
    """
    left = [(line, name) for name, lines in classes.items() for line in lines]
    split_of_line: dict[str, str] = {}
    remaining = 1.0
    for split, fraction in fractions.items():
        lines, names = [line for line, _ in left], [name for _, name in left]
        held_out = is_held_out(lines, names, fraction / remaining, f"{split} {seed}")
        split_of_line.update((line, split) for line, is_out in zip(lines, held_out, strict=True) if is_out)
        left = [pair for pair, is_out in zip(left, held_out, strict=True) if not is_out]
        remaining -= fraction
    return {
        split: {
            name: [line for line in lines if split_of_line.get(line, "train") == split]
            for name, lines in classes.items()
        }
        for split in ("train", *fractions)
    }
