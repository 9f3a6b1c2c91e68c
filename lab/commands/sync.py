"""sync: upload to Weights & Biases what runs have recorded offline."""

import sys
from pathlib import Path

from lab.commands.parser import Parser
from lab.errors import UserError


def run(options: list[str]) -> None:
    """Upload part after part, the oldest first, so that the parts of a resumed run follow each other.

    Raises:
        UserError: if there is no such folder, no API key, or no server.
        SystemExit: with status 1, if a part could not be uploaded; the others are.
    """
    parser = Parser("sync", "Upload every run below DIR that is recorded offline to Weights & Biases.")
    parser.add_argument("folder", metavar="DIR", help="a run folder, a folder of runs, or a study's folder")
    folder = Path(parser.parse_args(options).folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give that of a run, of several runs or of a study")
    from lightning_models.tracking.wandb_server import api_key, server_url, why_unusable
    from lightning_models.tracking.wandb_upload import parts_to_upload, upload

    parts = parts_to_upload(folder)
    if not parts:
        print(f"{folder}: no run is left to upload")
        return
    if api_key() is None:
        raise UserError("there is no API key for Weights & Biases: use `wandb login` or set WANDB_API_KEY")
    if reason := why_unusable(server_url()):
        raise UserError(f"{server_url()} cannot be used ({reason}): nothing is uploaded yet, try again later")
    failed = 0
    for number, part in enumerate(parts, start=1):
        reason = upload(part)
        failed += bool(reason)
        print(
            f"{number}/{len(parts)}  {part}  {reason or 'uploaded'}",
            file=sys.stderr if reason else sys.stdout,
            flush=True,
        )
    if failed:
        sys.exit(1)
