"""Batches from one long text: contiguous streams, random chunks, and held-out text read from end to end.

A text is a vector of character indices (characters,); a batch is one gather from it. It holds (inputs, targets,
continues): `targets` are the characters that follow `inputs`, both (sequences, characters), and `continues` tells
whether each sequence goes on where the same one of the previous batch of this process ended.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from datamodules.resumable_loader import ResumableLoader, generator_of
from lab.errors import UserError

TextBatch = tuple[Tensor, Tensor, bool]
NOT_SCORED = -100  # the target that torch's cross_entropy leaves out


class TextStreams(ResumableLoader[TextBatch]):
    """The text read in parallel by many streams, for truncated backpropagation through time with a carried state.

    With n streams in all processes together, stream s starts at character s / n of the text and goes on, chunk by chunk
    and epoch by epoch, from the end of the text to its beginning. Nothing is left out and no stream ever breaks off; as
    a chunk seldom divides the text, every epoch cuts it at other places. Process r has the streams r, r + world_size,
    ... Everything follows from the number of the batch, so that a run resumes exactly.
    """

    def __init__(
        self,
        tokens: Tensor,
        batch_size: int,
        chunk_length: int,
        repeat: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Check the sizes; nothing is copied.

        Args:
            tokens: The text, (characters,).
            batch_size: Streams of this process.
            chunk_length: Characters of a stream in a batch.
            repeat: Begin every epoch at the same places, so that an epoch does not continue the previous one.
            rank: This process, by default torch.distributed's.
            world_size: Number of processes, by default torch.distributed's.

        Raises:
            UserError: if the text is too short for one batch.
        """
        super().__init__(0, rank, world_size)
        self.tokens, self.batch_size, self.chunk_length, self.repeat = tokens, batch_size, chunk_length, repeat
        self.following = -1  # number, over all epochs, of the batch that continues the last one
        if len(self) == 0:
            streams = batch_size * self.world_size
            raise UserError(
                f"the training text has {len(tokens):,} characters: {streams} streams of {chunk_length} need "
                f"{streams * chunk_length:,}; use a smaller --data.chunk_length or --data.batch_size, or more text"
            )

    def __len__(self) -> int:
        """Number of batches in which the streams together read the text once."""
        return len(self.tokens) // (self.batch_size * self.world_size) // self.chunk_length

    @property
    def layout(self) -> dict[str, Any]:
        """See ResumableLoader."""
        return layout_of(self)

    def _number(self, position: int) -> int:
        """The number, over all epochs, of the batch at `position` of this one."""
        return (0 if self.repeat else self.epoch * len(self)) + position

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ResumableLoader; the next batch continues the last one before the interruption."""
        super().load_state_dict(state)
        self.following = self._number(self.position)

    def batches(self, start: int) -> Iterator[TextBatch]:
        """The batches of this process and epoch from number `start` on."""
        streams = torch.arange(self.rank, self.batch_size * self.world_size, self.world_size)
        first = streams * len(self.tokens) // (self.batch_size * self.world_size)  # where each stream began
        window = torch.arange(self.chunk_length + 1)
        for position in range(start, len(self)):
            number = self._number(position)
            indices = ((first + number * self.chunk_length).unsqueeze(1) + window) % len(self.tokens)
            chunk = self.tokens[indices]  # (streams, chunk_length + 1)
            continues, self.following = number > 0 and number == self.following, number + 1
            yield chunk[:, :-1], chunk[:, 1:], continues


class TextChunks(ResumableLoader[TextBatch]):
    """Chunks of the text from random places, drawn independently of each other by (seed, epoch, position).

    An epoch has as many characters as the text. The places are drawn for the global batch; process r takes those with
    numbers r, r + world_size, ...
    """

    def __init__(
        self,
        tokens: Tensor,
        batch_size: int,
        chunk_length: int,
        seed: int = 0,
        repeat: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Check the sizes; nothing is copied.

        Args:
            tokens: The text, (characters,).
            batch_size: Chunks of this process.
            chunk_length: Characters of a chunk.
            seed: Of the places, from 0 up.
            repeat: Draw the same places in every epoch.
            rank: This process, by default torch.distributed's.
            world_size: Number of processes, by default torch.distributed's.

        Raises:
            UserError: if the text is shorter than a chunk and the character behind it.
        """
        super().__init__(seed, rank, world_size)
        self.tokens, self.batch_size, self.chunk_length, self.repeat = tokens, batch_size, chunk_length, repeat
        if len(tokens) <= chunk_length:
            raise UserError(
                f"the training text has {len(tokens):,} characters: a chunk of {chunk_length} and the character behind "
                f"it need {chunk_length + 1:,}; use a smaller --data.chunk_length, or more text"
            )

    def __len__(self) -> int:
        """Number of batches that hold as many characters as the text, at least one."""
        return max(1, len(self.tokens) // (self.batch_size * self.world_size * self.chunk_length))

    @property
    def layout(self) -> dict[str, Any]:
        """See ResumableLoader."""
        return layout_of(self)

    def batches(self, start: int) -> Iterator[TextBatch]:
        """The batches of this process and epoch from number `start` on."""
        window = torch.arange(self.chunk_length + 1)
        places = len(self.tokens) - self.chunk_length
        for position in range(start, len(self)):
            generator = generator_of(self.seed, 0 if self.repeat else self.epoch, position)
            drawn = torch.randint(places, (self.batch_size * self.world_size,), generator=generator)
            chunk = self.tokens[drawn[self.rank :: self.world_size].unsqueeze(1) + window]
            yield chunk[:, :-1], chunk[:, 1:], False


def layout_of(loader: TextStreams | TextChunks) -> dict[str, Any]:
    """See ResumableLoader.layout."""
    return {
        "batches": "streams" if isinstance(loader, TextStreams) else "chunks",
        "batch size of all processes": loader.batch_size * loader.world_size,
        "chunk_length": loader.chunk_length,
    }


class HeldOutText(ResumableLoader[TextBatch]):
    """All of a held-out text, every character scored exactly once, by a state that is carried along.

    The text is cut into rows that are read side by side. Each row begins `warm_up` characters early; those are read and
    not scored, so that a row is judged as if the text had been read from its beginning, in a fraction of the time. What
    comes before the text itself is its `context`. The cut depends neither on the batch size of the training nor on the
    number of processes: all get the same numbers.
    """

    def __init__(
        self,
        tokens: Tensor,
        context: Tensor,
        num_rows: int = 32,
        chunk_length: int = 256,
        warm_up: int = 128,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Cut the text.

        Args:
            tokens: The text, (characters,), all of which is scored.
            context: The characters before it, (any number,); the last `warm_up` of them are read.
            num_rows: Rows in all processes together, fewer if they would be shorter than a chunk.
            chunk_length: Characters of a row in a batch.
            warm_up: Characters that a row reads before those that count; fewer than `chunk_length`.
            rank: This process, by default torch.distributed's.
            world_size: Number of processes, by default torch.distributed's.
        """
        super().__init__(0, rank, world_size)
        self.chunk_length = chunk_length
        self.num_rows = max(self.world_size, min(num_rows, len(tokens) // chunk_length))
        self.length = -(-len(tokens) // self.num_rows)  # characters that count in a row; the last rows may have fewer
        self.before = min(warm_up, len(context)) if len(context) else 1
        if len(context) == 0:  # the very first character follows nothing: it is read and cannot be scored
            context, tokens = tokens[:1], tokens[1:]
        self.tokens = torch.cat([context[len(context) - self.before :], tokens])

    def __len__(self) -> int:
        """Number of batches."""
        return -(-(self.before - 1 + self.length) // self.chunk_length)

    def batches(self, start: int) -> Iterator[TextBatch]:
        """The batches of this process from number `start` on. Targets that do not count are NOT_SCORED."""
        rows = torch.arange(self.rank, self.num_rows, self.world_size).unsqueeze(1)
        first_scored = self.before + rows * self.length  # index of a row's first target that counts
        for position in range(start, len(self)):
            columns = torch.arange(self.chunk_length) + position * self.chunk_length
            columns = columns[columns < self.before - 1 + self.length]
            places = rows * self.length + columns  # of the inputs: (rows, characters)
            inputs = self.tokens[places.clamp(max=len(self.tokens) - 1)]
            following = places + 1
            targets = self.tokens[following.clamp(max=len(self.tokens) - 1)].to(torch.int64)
            is_scored = (following >= first_scored) & (following < len(self.tokens))
            is_scored &= following < first_scored + self.length
            yield inputs, targets.masked_fill(~is_scored, NOT_SCORED), position > 0
