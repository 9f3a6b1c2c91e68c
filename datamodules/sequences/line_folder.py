"""Folders with one text file a class: reading them, and dividing their lines into parts that share nothing."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datamodules.text_files import read_lines
from datamodules.vocabulary import normalized
from lab.errors import UserError, UserFileError

PARTS = ("train", "val", "test")
LinesOfClass = dict[str, list[str]]  # class -> its lines


@dataclass
class Duplicates:
    """What was found twice in the files; no pair of a line and a class is ever used twice."""

    repeated: int = 0  # lines that their class has already
    ambiguous: list[str] = field(default_factory=list)  # lines of more than one class; all of them in the same part
    across_parts: int = 0  # lines left out of a part because a later one of train, val, test has them too


def read_folder(folder: Path, ascii_only: bool) -> dict[str, LinesOfClass]:
    """The lines of `folder`/*.txt as part "all", or those of `folder`/{train,val,test}/*.txt as the parts that exist.

    Classes are named after their files. Empty lines are left out.

    Raises:
        UserFileError: if there are no such files.
        UserError: for an empty file, a file that is not UTF-8, a single class, or a class that train/ does not have.
    """
    if not folder.is_dir():
        raise UserFileError(f"there is no folder {folder.absolute()}: expected one with a .txt file for each class")
    if (folder / "train").is_dir():
        parts = {part: read_classes(folder / part, ascii_only) for part in PARTS if (folder / part).is_dir()}
    else:
        parts = {"all": read_classes(folder, ascii_only)}
    known = next(iter(parts.values()))
    if len(known) == 1:
        raise UserError(f"{folder} holds one class only, {next(iter(known))}: a classifier needs at least two files")
    for part, classes in parts.items():
        if unknown := sorted(classes.keys() - known.keys()):
            raise UserError(f"{folder / part} holds the class {unknown[0]}, which {folder / 'train'} does not have")
    return parts


def read_classes(folder: Path, ascii_only: bool) -> LinesOfClass:
    """The lines of each .txt file in `folder`, by the file's name without .txt, in the order of the names."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".txt" and not p.name.startswith("."))
    if not files:
        raise UserFileError(f"{folder.absolute()} holds no .txt file: expected one for each class")
    classes = {}
    for path in files:
        lines = [line for given in read_lines(path) if (line := normalized(given, ascii_only))]
        if not lines:
            raise UserError(f"{path} is empty: give it at least one line, or remove it")
        classes[path.stem] = lines
    return classes


def without_duplicates(parts: dict[str, LinesOfClass]) -> tuple[dict[str, LinesOfClass], Duplicates]:
    """Each pair of line and class once, and no line in two parts: the later of train, val, test keeps it."""
    found = Duplicates()
    unique: dict[str, LinesOfClass] = {}
    kept_later: set[str] = set()
    for part in reversed(parts):
        unique[part] = {}
        for name, lines in parts[part].items():
            once = list(dict.fromkeys(lines))
            own = [line for line in once if line not in kept_later]
            found.repeated += len(lines) - len(once)
            found.across_parts += len(once) - len(own)
            unique[part][name] = own
        kept_later.update(line for lines in unique[part].values() for line in lines)
    classes_of_line = Counter(line for classes in unique.values() for lines in classes.values() for line in lines)
    found.ambiguous = sorted(line for line, classes in classes_of_line.items() if classes > 1)
    return {part: unique[part] for part in parts}, found


def divide(classes: LinesOfClass, fractions: dict[str, float], seed: int) -> dict[str, LinesOfClass]:
    """Deal lines to "train" and the parts named in `fractions`, class by class (stratified), chosen by `seed`.

    A line of several classes goes to one part with all its pairs; it is dealt among the lines of its rarest class.
    """
    by_size = sorted(classes, key=lambda name: (len(classes[name]), name))
    part_of_line: dict[str, str] = {}
    for name in by_size:
        own = [line for line in classes[name] if line not in part_of_line]
        order = np.random.default_rng([seed, list(classes).index(name)]).permutation(len(own))
        first = 0
        for part, fraction in fractions.items():
            end = first + max(0, min(round(fraction * len(own)), len(own) - 1 - first))  # leaves one to train
            part_of_line.update((own[number], part) for number in order[first:end])
            first = end
        part_of_line.update((own[number], "train") for number in order[first:])
    return {
        part: {name: [line for line in lines if part_of_line[line] == part] for name, lines in classes.items()}
        for part in ("train", *fractions)
    }
