"""How many threads compute, and how they wait for each other: settled before PyTorch is imported, which asks once."""

import os
import sys

from lab.errors import UserError

OPTION = "--threads"


def settle_threads(options: list[str]) -> list[str]:
    """The options without `--threads N`, which becomes the number of threads of this process and those it starts.

    Threads that wait sleep, unless OMP_WAIT_POLICY is set. By default they spin for a while, which is a little faster
    on an idle machine and up to twenty times slower beside another busy process.

    Raises:
        UserError: if N is not a whole number from 1 up.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    kept, words = [], iter(options)
    for word in words:
        name, has_value, value = word.partition("=")
        if name != OPTION:
            kept.append(word)
            continue
        number = value if has_value else next(words, "")
        if not number.isdecimal() or int(number) < 1:
            raise UserError(f"{OPTION} is '{number}': use a whole number from 1 up")
        os.environ["OMP_NUM_THREADS"] = number
        if "torch" in sys.modules:  # a notebook, or the tests
            import torch

            torch.set_num_threads(int(number))
    return kept
