"""Splits of a data set: folders that are named after them, and random ones that only depend on a sample's name."""

import hashlib
import math
from collections.abc import Sequence

SPLIT_OF_FOLDER = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_of_folder(name: str) -> str | None:
    """The split that a folder of that name holds, in upper or lower case; None if it is no name of a split."""
    return SPLIT_OF_FOLDER.get(name.lower())


def is_held_out(names: Sequence[str], classes: Sequence[str], fraction: float, key: str) -> list[bool]:
    """Whether each sample is held out, as decided by a hash of its name and `key`, so that no other sample matters.

    About `fraction` of the samples are held out. Two exceptions depend on the others: the class that would have no
    sample left keeps the one that is last to be held out, and of samples that make at least one the first is held out.

    Args:
        names: What identifies each sample; equal names are always on the same side.
        classes: The class of each sample.
        fraction: Between 0 and 1.
        key: Changes the choice, such as the seed of a run together with the name of the split.
    """
    if fraction <= 0:
        return [False] * len(names)
    places = [hash_fraction(name, key) for name in names]
    last: dict[str, float] = {}  # of each class, the place of what is last to be held out
    for place, label in zip(places, classes, strict=True):
        last[label] = max(place, last.get(label, -math.inf))
    stay = {name for name, place, label in zip(names, places, classes, strict=True) if place == last[label]}
    can_go = [name not in stay for name in names]
    held_out = [place < fraction and free for place, free in zip(places, can_go, strict=True)]
    if not any(held_out) and round(fraction * len(names)) > 0 and any(can_go):
        first = min(place for place, free in zip(places, can_go, strict=True) if free)
        held_out = [place == first and free for place, free in zip(places, can_go, strict=True)]
    return held_out


def hash_fraction(name: str, key: str) -> float:
    """A number from 0 to below 1 that is a function of `name` and `key`, as good as random."""
    content = f"{key}\0{name}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()[:6], "big") / 2**48
