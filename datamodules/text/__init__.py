"""Running text: books and other files as one vector of character indices."""

from datamodules.text.datamodule import Text

__all__ = ["Text"]
