"""Files that a command writes: checked before anything is computed, never overwritten unless asked to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from lab.errors import UserError
from lab.files import atomic_write
from lab.outcome import refusal

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def output_file(path: str, overwrite: bool) -> Path:
    """The file at `path`, whose folder exists.

    Raises:
        UserError: if the file exists and may not be overwritten, or its folder does not exist.
    """
    output = Path(path).expanduser()
    if output.is_dir():
        raise UserError(f"--output {output} is a folder: give the name of a file")
    if output.exists() and not overwrite:
        raise UserError(f"{output} exists: choose another --output, or give --overwrite")
    if not output.parent.is_dir():
        raise UserError(f"the folder of --output {output} does not exist")
    return output


def picture_file(path: str, overwrite: bool, may_move: bool = False) -> Path:
    """The same for a picture, whose name must end as one; in .gif only if it `may_move`."""
    output = output_file(path, overwrite)
    if output.suffix.lower() not in (*PICTURE_ENDINGS, *([".gif"] if may_move else [])):
        allowed = ".png, .jpg, .webp or .gif" if may_move else ".png, .jpg or .webp"
        raise UserError(f"--output {output}: the name must end in {allowed}")
    return output


@contextmanager
def writing(output: Path) -> Iterator[Path]:
    """A file to write to, which becomes `output` when it is whole; see `atomic_write`.

    Raises:
        UserError: if the file system refuses it.
    """
    try:
        with atomic_write(output) as unfinished:
            yield unfinished
    except OSError as error:
        if (reason := refusal(error)) is None:
            raise
        raise UserError(f"cannot write {output}: {reason.rpartition(': ')[2]}") from error


def save_picture(picture: Image.Image, output: Path) -> None:
    """Write a picture in the format that the name says."""
    with writing(output) as unfinished:
        picture.save(unfinished, format=Image.registered_extensions()[output.suffix.lower()])
