"""Files that a command writes: checked before anything is computed, never overwritten unless asked to."""

from pathlib import Path

from lab.errors import UserError

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


def picture_file(path: str, overwrite: bool) -> Path:
    """The same for a picture, whose name must end as one."""
    output = output_file(path, overwrite)
    if output.suffix.lower() not in PICTURE_ENDINGS:
        raise UserError(f"--output {output}: the name must end in .png, .jpg or .webp")
    return output
