"""Palindromes of digits (report 3): a task of pure memory, as long as one likes."""

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from datamodules.checks import check_at_least_one
from datamodules.resumable_loader import default_seed
from datamodules.tensor_dataset import TensorLoader
from lab.errors import UserError

DIGITS = list("0123456789")


class Palindromes(LightningDataModule):
    """Palindromes without their last digit, which is the label: the first digit, seen `length` - 1 steps ago.

    A batch is (digits (batch, length - 1), lengths (batch,), labels (batch,)): digits are float32 numbers 0 to 9, or
    with `one_hot` int64 classes, which the model sees as 10 inputs.

    A palindrome is its first half, ceil(length / 2) digits; the halves are drawn without repetition, so that training,
    validation and test palindromes all differ. Of length 5 there are only 10 ** 3 = 1,000, however many are asked for
    (800 to train on: 7 batches of 128 an epoch); from length 9 on there are the 100,000 of report 3. Its generator
    ended at length 37, because it kept a half as one 64-bit integer; here halves are drawn digit by digit, so that
    longer ones are no different.
    """

    def __init__(
        self,
        length: int = 5,
        one_hot: bool = False,
        count: int = 100_000,
        train_fraction: float = 0.8,
        test_fraction: float = 0.1,
        batch_size: int = 128,
        data_seed: int = 42,
        seed: int | None = None,
    ) -> None:
        """Keep and check the options; palindromes are made in `setup`.

        Args:
            length: Digits of a palindrome, T in report 3; the model sees one less.
            one_hot: Give digits as classes instead of as numbers.
            count: Palindromes in all, as far as there are so many.
            train_fraction: Part of them to train on.
            test_fraction: Part of them for the test; the rest is for validation.
            batch_size: Palindromes in a batch of each process.
            data_seed: Seed of the palindromes.
            seed: Seed of the order of batches; by default the one of seed_everything, else 0.

        Raises:
            UserError: if an option is out of its range.
        """
        super().__init__()
        if length < 2:
            raise UserError(f"length is {length}: a palindrome whose last digit is to be told has at least 2")
        check_at_least_one(batch_size=batch_size)
        if train_fraction <= 0 or test_fraction < 0 or train_fraction + test_fraction >= 1:
            raise UserError(
                f"train_fraction {train_fraction} and test_fraction {test_fraction} leave nothing for validation: "
                "their sum must be below 1"
            )
        possible = 10 ** ((length + 1) // 2)
        if min(count, possible) < 10:
            raise UserError(f"count is {count}: use at least 10 palindromes")
        self.length, self.one_hot, self.count = length, one_hot, min(count, possible)
        self.train_fraction, self.test_fraction = train_fraction, test_fraction
        self.batch_size, self.data_seed = batch_size, data_seed
        self.seed = default_seed() if seed is None else seed

    @property
    def vocabulary(self) -> list[str] | None:
        """The digits if they are classes; None if they are numbers."""
        return list(DIGITS) if self.one_hot else None

    @property
    def class_names(self) -> list[str]:
        """The name of each label."""
        return list(DIGITS)

    def setup(self, stage: str) -> None:
        """Make the palindromes, once: `train`, `val` and `test`, (palindromes, length) int64 each."""
        if hasattr(self, "train"):
            return
        halves = torch.from_numpy(unique_halves(self.count, (self.length + 1) // 2, self.data_seed))
        mirrored = halves.flip(1) if self.length % 2 == 0 else halves.flip(1)[:, 1:]
        palindromes = torch.cat([halves, mirrored], dim=1)
        num_train, num_test = round(self.train_fraction * self.count), round(self.test_fraction * self.count)
        sizes = [num_train, self.count - num_train - num_test, num_test]
        self.train, self.val, self.test = torch.split(palindromes, sizes)

    def train_dataloader(self) -> TensorLoader:
        """Batches of the training palindromes, in another order each epoch."""
        overfits = getattr(self.trainer, "overfit_batches", 0) > 0
        return TensorLoader(self._samples(self.train), self.batch_size, shuffle=not overfits, seed=self.seed)

    def val_dataloader(self) -> TensorLoader:
        """Each validation palindrome once."""
        return TensorLoader(self._samples(self.val), self.batch_size, exactly_once=True)

    def test_dataloader(self) -> TensorLoader:
        """Each test palindrome once."""
        return TensorLoader(self._samples(self.test), self.batch_size, exactly_once=True)

    def predict_dataloader(self) -> TensorLoader:
        """The test palindromes."""
        return self.test_dataloader()

    def _samples(self, palindromes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        digits, labels = palindromes[:, :-1], palindromes[:, -1]
        lengths = torch.full((len(palindromes),), self.length - 1)
        return (digits if self.one_hot else digits.float()).contiguous(), lengths, labels.contiguous()


def unique_halves(count: int, digits: int, seed: int) -> np.ndarray:
    """`count` different rows of `digits` digits each, int64, drawn by `seed` from all 10 ** digits."""
    generator = np.random.default_rng(seed)
    if 10**digits <= 10 * count:  # few enough to shuffle them all
        chosen = generator.permutation(10**digits)[:count]
        return np.stack([chosen // 10**place % 10 for place in reversed(range(digits))], axis=1)
    drawn = np.zeros((0, digits), dtype=np.int64)
    while len(drawn) < count:
        more = generator.integers(10, size=(count - len(drawn), digits))
        drawn = generator.permutation(np.unique(np.concatenate([drawn, more]), axis=0))
    return drawn
