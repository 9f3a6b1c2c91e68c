import random
import zipfile
from pathlib import Path

import pytest

from datamodules.images.files import open_zip
from lab.errors import UserError


def damaged(content, rng):
    """A zip with some bytes of its directory changed, and perhaps cut short."""
    changed, directory = bytearray(content), content.index(b"PK\1\2")
    for _ in range(rng.choice((1, 2, 4))):
        changed[rng.randrange(directory, len(changed))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
    return changed[: rng.randrange(len(changed))] if rng.random() < 0.2 else changed


def test_whatever_is_damaged_in_a_zip_ends_in_one_message(tmp_path):
    path, rng = Path(tmp_path / "pictures.zip"), random.Random(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5):
            archive.writestr(f"é/{number}.png", b"x" * 50)
    content, causes = path.read_bytes(), set()
    for _ in range(300):
        path.write_bytes(damaged(content, rng))
        try:
            zipfile.ZipFile(path).close()
        except Exception as cause:
            causes.add(type(cause))
            with pytest.raises(UserError, match=r"pictures\.zip \([\d,]+ bytes\) is neither a folder nor a complete"):
                open_zip(path)
    assert causes >= {zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError}
