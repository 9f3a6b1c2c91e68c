"""Lines of text and their classes: names by country, sentences by language."""

from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.checks import check_at_least_one, check_fractions
from datamodules.data_root import data_root, expanded
from datamodules.described_data import DescribedDataModule, content_hash
from datamodules.resumable_loader import default_seed
from datamodules.sequences.csv_file import read_csv
from datamodules.sequences.line_folder import Duplicates, LinesOfClass, divide, read_folder, without_duplicates
from datamodules.sequences.pieces import Samples, cut, gather
from datamodules.sequences.surnames import surnames_by_country
from datamodules.tensor_dataset import TensorLoader
from datamodules.text_files import STANDARD_INPUT, read_lines
from datamodules.vocabulary import Encoder, build_vocabulary, normalized
from lab.errors import UserError, UserFileError
from lab.files import displayable


class Names(DescribedDataModule):
    """Lines of text, one file a class; by default surnames by country, which need no download.

    `path` holds one .txt file a class (names/*.txt), which are divided by chance, or train/, val/ and test/ with such
    files. The division is stratified, uses each pair of line and class once, and puts a line of several classes into
    one split. A batch is (characters (batch, time), lengths (batch,), labels (batch,)), all int64; behind its end a
    line is filled with 0.

    Lines are read whole or, with `chunk_lengths`, cut: in training to another random piece in each epoch, for
    validation and test once, always to the same.
    """

    def __init__(
        self,
        path: str | None = None,
        root: str | None = None,
        batch_size: int = 128,
        ascii_only: bool = False,
        chunk_lengths: tuple[int, int] | None = None,
        eval_chunk_lengths: tuple[int, int] | None = None,
        max_length: int = 200,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        seed: int | None = None,
        predict_path: str | None = None,
        vocabulary: list[str] | None = None,
        class_names: list[str] | None = None,
    ) -> None:
        """Keep and check the options; files are read when something of them is asked for.

        Args:
            path: Folder of the files, or a .csv or .tsv file with the columns `label` and `text`, as it stands or below
                the data root; by default Faker's surnames.
            root: Data root; by default the environment variable DATA_ROOT, else data/.
            batch_size: Lines in a batch of each process.
            ascii_only: Fold all text to ASCII (ü becomes u) instead of keeping Unicode.
            chunk_lengths: Fewest and most characters of a training piece, both included; by default whole lines.
            eval_chunk_lengths: The same for validation and test; by default like `chunk_lengths`.
            max_length: Characters of a line that are read; what is behind them is ignored.
            val_fraction: Part of each class that is kept for validation, if there is no folder val/.
            test_fraction: The same for the test, if there is no folder test/.
            split_seed: Seed of the division, and of the pieces for validation and test.
            seed: Seed of the order of batches and of the pieces; by default the one of seed_everything, else 0.
            predict_path: File with one line an input for `predict`, or - for standard input; by default the test lines.
            vocabulary: Characters that are known, by default those of the training lines; from a checkpoint its own.
            class_names: Names of the classes, by default those of the files; from a checkpoint its own.

        Raises:
            UserError: if an option is out of its range.
        """
        super().__init__()
        check_at_least_one(batch_size=batch_size)
        if max_length < 1:
            raise UserError(f"max_length is {max_length}: use a whole number of characters from 1 up")
        for option, lengths in (("chunk_lengths", chunk_lengths), ("eval_chunk_lengths", eval_chunk_lengths)):
            if lengths is not None and not 1 <= lengths[0] <= lengths[1]:
                raise UserError(
                    f"{option} is {list(lengths)}: use the fewest and the most characters, such as [10, 50]"
                )
        check_fractions(val_fraction, test_fraction)
        self.path = path
        self.root = data_root(root)
        self.batch_size = batch_size
        self.ascii_only = ascii_only
        self.chunk_lengths = chunk_lengths
        self.eval_chunk_lengths = eval_chunk_lengths or chunk_lengths
        self.max_length = max_length
        self.fractions = {"val": val_fraction, "test": test_fraction}
        self.split_seed = split_seed
        self._hash: str | None = None
        self.seed = default_seed() if seed is None else seed
        self.predict_path = predict_path
        self.given_vocabulary, self.given_class_names = vocabulary, class_names

    @property
    def vocabulary(self) -> list[str]:
        """The character of each number; 0 stands for all others."""
        if self.given_vocabulary is not None:
            return list(self.given_vocabulary)
        return build_vocabulary(line for lines in self.lines["train"].values() for line in lines)

    @property
    def class_names(self) -> list[str]:
        """The name of each label."""
        return list(self.given_class_names or self.lines["train"])

    @property
    def class_counts(self) -> list[int]:
        """Training lines of each class."""
        return [len(self.lines["train"].get(name, [])) for name in self.class_names]

    def training_lines(self) -> Iterator[Samples]:
        """All training lines in batches like those of training, each line once and as a whole."""
        characters, samples = self._encoded("train")
        for batch in TensorLoader(samples, 512, rank=0, world_size=1, augment=partial(gather, characters, None)):
            sequences, lengths, labels = batch
            yield sequences, lengths, labels

    @cached_property
    def lines(self) -> dict[str, LinesOfClass]:
        """The lines of train, val and test by class, none of them twice."""
        return self._read()[0]

    @cached_property
    def duplicates(self) -> Duplicates:
        """What was found twice in the files."""
        return self._read()[1]

    def setup(self, stage: str) -> None:
        """Encode the lines, once."""
        self.encoder = Encoder(self.vocabulary)
        if stage == "predict" and self.predict_path is not None:
            if self.predict_path != STANDARD_INPUT and not expanded(self.predict_path).is_file():
                raise UserFileError(f"--data.predict_path {self.predict_path}: there is no such file")
            lines = read_lines(self.predict_path)
            if not lines:
                raise UserError(f"--data.predict_path {self.predict_path} is empty: expected one input a line")
            self.lines_to_predict = [normalized(line, self.ascii_only) for line in lines]
            return
        labels = {name: label for label, name in enumerate(self.class_names)}
        if unknown := sorted(self.lines["train"].keys() - labels.keys()):
            raise UserError(
                f"{self._source} holds the class {unknown[0]}, which the model does not know. Its classes are "
                + ", ".join(labels)
            )
        if stage == "fit":
            self.print_found()

    # -------------------------------------------------------------------------------------------------------- loaders

    def train_dataloader(self) -> TensorLoader:
        """Batches of training lines or of pieces of them, in another order each epoch."""
        characters, samples = self._encoded("train")
        overfits = getattr(self.trainer, "overfit_batches", 0) > 0
        batch = partial(gather, characters, None if overfits else self.chunk_lengths)
        return TensorLoader(samples, self.batch_size, shuffle=not overfits, seed=self.seed, augment=batch)

    def val_dataloader(self) -> TensorLoader:
        """Each validation line once."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> TensorLoader:
        """Each test line once."""
        return self._evaluation_loader("test")

    def predict_dataloader(self) -> TensorLoader:
        """The lines of `predict_path` in their order, with labels of 0; without it the test lines."""
        if self.predict_path is None:
            return self.test_dataloader()
        characters, begins, lengths = self.encoder.encode(self.lines_to_predict)
        samples = (begins, lengths.clamp(max=self.max_length), torch.zeros_like(lengths))
        return TensorLoader(samples, self.batch_size, exactly_once=True, augment=partial(gather, characters, None))

    def _evaluation_loader(self, split: str) -> TensorLoader:
        characters, (begins, lengths, labels) = self._encoded(split)
        if len(labels) == 0:
            raise UserError(f"there are no lines in {split}: keep some with --data.{split}_fraction 0.1")
        if self.eval_chunk_lengths is not None:
            generator = torch.Generator().manual_seed(self.split_seed)
            begins, lengths = cut(begins, lengths, self.eval_chunk_lengths, generator)
        samples = (begins, lengths, labels)
        return TensorLoader(samples, self.batch_size, exactly_once=True, augment=partial(gather, characters, None))

    def _encoded(self, split: str) -> tuple[Tensor, Samples]:
        """All characters of a split, and its lines in them."""
        labelled = [(line, label) for label, name in enumerate(self.class_names)
                    for line in self.lines[split].get(name, [])]  # fmt: skip
        characters, begins, lengths = self.encoder.encode([line for line, _ in labelled])
        if self.chunk_lengths is None:
            lengths = lengths.clamp(max=self.max_length)
        return characters, (begins, lengths, torch.tensor([label for _, label in labelled], dtype=torch.int64))

    # -------------------------------------------------------------------------------------------------------- reading

    @property
    def _source(self) -> str:
        return "Faker's surnames" if self.path is None else displayable(str(self.path))

    @cached_property
    def _folder(self) -> Path:
        given = expanded(str(self.path))
        below_root = self.root / given
        return below_root if below_root.exists() and not given.exists() else given

    def _read(self) -> tuple[dict[str, LinesOfClass], Duplicates]:
        if self.path is None:
            names = surnames_by_country()
            splits = {"all": {c: [normalized(n, self.ascii_only) for n in own] for c, own in names.items()}}
        else:
            if not self._folder.exists():
                raise UserFileError(
                    f"--data.path {self.path}: there is no such folder or .csv file, neither "
                    f"{self._folder.absolute()} nor below the data root {self.root.absolute()} (--data.root or the "
                    "environment variable DATA_ROOT). "
                    "Expected one .txt file a class, train/, val/ and test/ with such files, or a .csv file with the "
                    "columns `label` and `text`"
                )
            if self._folder.is_dir():
                splits = read_folder(self._folder, self.ascii_only)
            else:
                splits = {"all": read_csv(self._folder, self.ascii_only)}
        splits, duplicates = without_duplicates(splits)
        missing = {split: fraction for split, fraction in self.fractions.items() if split not in splits}
        undivided = splits.pop("all") if "all" in splits else splits["train"]
        splits.update(divide(undivided, missing, self.split_seed))
        for name, lines in splits["train"].items():
            longest = max(map(len, lines), default=0)
            if longest == 0:
                raise UserError(f"{self._source}: all lines of the class {name} stand in val or test as well")
            if self.chunk_lengths is not None and longest < self.chunk_lengths[0]:
                raise UserError(
                    f"{self._source}: the longest line of the class {name} has {longest} characters, but pieces are to "
                    f"have {self.chunk_lengths[0]} to {self.chunk_lengths[1]}: give longer lines or lower chunk_lengths"
                )
        self.__dict__["lines"], self.__dict__["duplicates"] = splits, duplicates  # one reading serves both
        return splits, duplicates

    @property
    def found(self) -> str:
        """The lines of each split, and what is left out because it is there twice."""
        duplicates = self.duplicates
        text = f"{self._source}: {len(self.class_names)} classes; "
        text += ", ".join(f"{size:,} {split}" for split, size in self.split_sizes.items())
        if duplicates.repeated:
            text += f"; repeated lines left out: {duplicates.repeated:,}"
        if duplicates.across_splits:
            text += f"; left out because a later split has them too: {duplicates.across_splits:,}"
        if duplicates.ambiguous:
            text += f"; lines in several classes, each in one split only: {len(duplicates.ambiguous):,}"
        return text

    @property
    def split_sizes(self) -> dict[str, int]:
        """Lines in each split."""
        return {split: sum(map(len, self.lines[split].values())) for split in ("train", "val", "test")}

    @property
    def fingerprint(self) -> dict[str, int | str]:
        """The sizes of the splits, the number of classes, and a hash of all lines."""
        if self._hash is None:
            self._hash = content_hash(
                "\n".join((split, name, *sorted(lines))).encode()
                for split, classes in self.lines.items()
                for name, lines in classes.items()
            )
        return {**self.split_sizes, "classes": len(self.class_names), "hash": self._hash}


class Languages(Names):
    """Sentences by language, read in random pieces of 10 to 100 characters (report 1; see Names).

    Report 1 trained on pieces of exactly 50 characters and was tested on 10 to 50, which cost it seven points.
    """

    def __init__(
        self,
        path: str = "languages",
        chunk_lengths: tuple[int, int] | None = (10, 100),
        eval_chunk_lengths: tuple[int, int] | None = (10, 50),
        **kwargs: Any,
    ) -> None:
        """See Names.

        Args:
            path: Folder of the files, as it stands or below the data root.
            chunk_lengths: Fewest and most characters of a training piece, both included; null for whole lines.
            eval_chunk_lengths: The same for validation and test.
            **kwargs: See Names.
        """
        super().__init__(path, chunk_lengths=chunk_lengths, eval_chunk_lengths=eval_chunk_lengths, **kwargs)
