"""Text of any number of files, as one long vector of character indices."""

from functools import cached_property
from itertools import pairwise
from pydoc_data.topics import topics
from typing import Any, Literal

import torch
from pytorch_lightning.utilities import rank_zero_warn

from datamodules.checks import check_at_least_one, check_fractions
from datamodules.described_data import DescribedDataModule
from datamodules.resumable_loader import default_seed
from datamodules.text.batches import HeldOutText, TextBatch, TextChunks, TextStreams
from datamodules.text.corpus import Normalisation, find_text_files, normalised, read_book
from datamodules.text.indices import characters_of, encode_into, index_table, index_type, text_hash
from lab.errors import UserError
from lab.files import displayable

CONTEXT = 4096  # characters that are kept of what comes before a held-out text; it is read with 128 of them
Batches = Literal["streams", "chunks"]


class Text(DescribedDataModule):
    """Characters of text files, or of the English that comes with Python: the help texts of its own language.

    The last part of each file is held out. The vocabulary is every character of all files, held-out parts included, as
    in char-rnn and nanoGPT: only then are nats a character comparable. It goes to the model and with it into every
    checkpoint.

    After `setup`: `train_tokens`, `val_tokens` and `test_tokens`, vectors of indices into `vocabulary`, uint8 where
    that is enough. A batch is (inputs, targets, continues), see `text_batches`.
    """

    def __init__(
        self,
        path: str | list[str] | None = None,
        root: str | None = None,
        download: bool = True,
        batches: Batches = "streams",
        batch_size: int = 32,
        chunk_length: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.0,
        normalisation: Normalisation = "nfc",
        vocabulary: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        """Keep and check the options; files are read when the vocabulary is asked for.

        Args:
            path: Text files, folders of .txt files, or patterns such as "novels/*.txt"; one or a list of them, looked
                for here and then in the data root. By default the embedded English.
            root: Folder of the data sets; by default $DATA_ROOT, else `data`.
            download: Fetch tinyshakespeare (1 MB) if it is asked for and not there.
            batches: "streams": contiguous, each batch goes on where the last one ended, for a state that is carried;
                "chunks": from random places, each read with a fresh state.
            batch_size: Streams or chunks in a batch of each process.
            chunk_length: Characters of each of them in a batch: how far back gradients go.
            val_fraction: Last part of each file that is kept for validation, from 0 (none) to below 1.
            test_fraction: Part of each file behind that which is kept for testing; 0: `test` measures the validation
                text, and says so.
            normalisation: "nfc": an accent and its letter are one character; "ascii": everything in plain ASCII;
                "none": as it is.
            vocabulary: Characters in the order of their indices; by default those that occur, and with a checkpoint its
                own.
            seed: Of the places of random chunks; by default the one of seed_everything, else 0.

        Raises:
            UserError: if an option is out of its range.
        """
        super().__init__()
        check_at_least_one(batch_size=batch_size, chunk_length=chunk_length)
        check_fractions(val_fraction, test_fraction)
        self.paths = [path] if isinstance(path, str) else path
        if self.paths == []:
            raise UserError("path is an empty list: name text files, folders or patterns, or leave it out")
        self.root = root
        self.download = download
        self.batches = batches
        self.batch_size = batch_size
        self.chunk_length = chunk_length
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.normalisation: Normalisation = normalisation
        self.given_vocabulary = vocabulary
        self.seed = default_seed() if seed is None else seed

        self._hash, self.num_files = "", 0  # known after setup
        self.streams: TextStreams | None = None
        self.following = -1  # see TextStreams; from a checkpoint, whose streams had this layout
        self.layout: dict[str, Any] | None = None

    @cached_property
    def texts(self) -> list[str]:
        """The text of each file.

        Raises:
            UserFileError: if there is no such file.
            UserError: if one is empty, or not UTF-8.
        """
        if self.paths is None:
            return [normalised("\n".join(topics.values()), self.normalisation)]
        files = find_text_files(self.paths, self.root, self.download)
        return [read_book(file, self.normalisation) for file in files]

    @cached_property
    def vocabulary(self) -> list[str]:
        """Every character that occurs, in the order of Unicode, unless another vocabulary was given.

        Raises:
            UserError: if that one lacks a character.
        """
        occurring = set().union(*map(characters_of, self.texts))
        if self.given_vocabulary is None:
            return sorted(occurring)
        missing = "".join(sorted(occurring - set(self.given_vocabulary)))
        if missing:
            raise UserError(
                f"the text holds {missing[:20]!r}, {len(missing)} of its characters in all, which the vocabulary of "
                f"{len(self.given_vocabulary)} characters lacks: a checkpoint knows those of its own text alone; "
                "use such a text, or try --data.normalisation ascii"
            )
        return list(self.given_vocabulary)

    def setup(self, stage: str) -> None:
        """Index the texts, once; without a validation text, tell the Trainer not to validate while it trains."""
        if not hasattr(self, "train_tokens"):
            self._split()
            if stage == "fit":
                self.print_found()
        if stage == "fit" and self.trainer is not None and len(self.val_tokens) == 0:
            self.trainer.limit_val_batches = 0  # Lightning warns of an empty loader
        if stage == "test" and self.test_fraction == 0:
            rank_zero_warn("no text is kept for testing (data.test_fraction 0): test measures the validation text")

    def _split(self) -> None:
        """Index every text right where its splits belong, and let go of it: large ones are in memory once."""
        self.num_files, self._hash = len(self.texts), text_hash(self.texts)
        bounds = [self._bounds(len(text)) for text in self.texts]
        sizes = [sum(end - start for start, end in parts) for parts in zip(*bounds, strict=True)]
        splits = [torch.empty(size, dtype=index_type(len(self.vocabulary))) for size in sizes]
        filled = [0, 0, 0]
        table = index_table(self.vocabulary)
        for text, parts in zip(self.texts, bounds, strict=True):
            for number, (start, end) in enumerate(parts):
                encode_into(splits[number][filled[number] :], text, start, end, table)
                filled[number] += end - start
        self.train_tokens, self.val_tokens, self.test_tokens = splits
        # what comes right before the held-out part of the first file
        first, second = (min(CONTEXT, end - start) for start, end in bounds[0][:2])
        before = [splits[part][: bounds[0][part][1] - bounds[0][part][0]] for part in (0, 1)]
        self.val_context = before[0][len(before[0]) - first :].clone()
        self.test_context = torch.cat([self.val_context, before[1][len(before[1]) - second :]])[-CONTEXT:]
        self.__dict__.pop("texts")  # they are read again if they are asked for again

    def _bounds(self, length: int) -> list[tuple[int, int]]:
        """Where the training, validation and test parts of a text begin and end."""
        ends = [int(length * (1 - self.val_fraction - self.test_fraction)), int(length * (1 - self.test_fraction))]
        return list(pairwise([0, *ends, length]))

    @property
    def split_sizes(self) -> dict[str, int]:
        """Characters in each split."""
        return {"train": len(self.train_tokens), "val": len(self.val_tokens), "test": len(self.test_tokens)}

    @property
    def found(self) -> str | None:
        """How much text the files hold; nothing of the text that comes with Python."""
        if self.paths is None:
            return None
        sizes = ", ".join(f"{split} {size:,}" for split, size in self.split_sizes.items())
        files = "1 file" if self.num_files == 1 else f"{self.num_files:,} files"
        return f"{displayable(', '.join(self.paths))}: {files}; {len(self.vocabulary)} different characters; {sizes}"

    @property
    def fingerprint(self) -> dict[str, int | str]:
        """The number of files, the sizes of the splits, and a hash of all texts."""
        return {"files": self.num_files, **self.split_sizes, "hash": self._hash}

    def train_dataloader(self) -> TextStreams | TextChunks:
        """Batches of the training text."""
        repeat = getattr(self.trainer, "overfit_batches", 0) > 0  # which asks for the same batches in every epoch
        if self.batches == "streams":
            self.streams = TextStreams(self.train_tokens, self.batch_size, self.chunk_length, repeat)
            if self.layout in (None, self.streams.layout):  # with another, no stream goes on where it was
                self.streams.following = self.following
            return self.streams
        return TextChunks(self.train_tokens, self.batch_size, self.chunk_length, self.seed, repeat)

    def val_dataloader(self) -> HeldOutText:
        """The whole validation text."""
        if len(self.val_tokens) == 0:
            raise UserError("there is no validation text: keep some with --data.val_fraction 0.1")
        return HeldOutText(self.val_tokens, self.val_context)

    def test_dataloader(self) -> HeldOutText:
        """The whole test text."""
        if self.test_fraction == 0:
            return self.val_dataloader()
        if len(self.test_tokens) == 0:
            raise UserError(f"data.test_fraction {self.test_fraction} of so short a text is nothing: use a larger one")
        return HeldOutText(self.test_tokens, self.test_context)

    def state_dict(self) -> dict[str, Any]:
        """Which batch continues the last one; Lightning restores a loader's state in the middle of an epoch alone."""
        if self.streams is None:
            return super().state_dict()
        return super().state_dict() | {"following": self.streams.following, "layout": self.streams.layout}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See state_dict."""
        super().load_state_dict(state_dict)
        self.following, self.layout = state_dict.get("following", -1), state_dict.get("layout")

    def on_after_batch_transfer(self, batch: TextBatch, dataloader_idx: int) -> TextBatch:
        """Indices as PyTorch's embedding wants them; 8 bits a character are transferred."""
        inputs, targets, continues = batch
        return inputs.long(), targets.long(), continues
