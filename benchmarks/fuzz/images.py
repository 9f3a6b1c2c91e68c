"""Folders and zips of images."""

import io
import os
import socket
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from benchmarks.fuzz.kinds import Kind, Use, broken, garbage, some_name, write
from datamodules.images import ImageFolder

FORMATS = {  # Pillow's name -> endings
    **{"PNG": [".png", ".PNG", ".apng"], "JPEG": [".jpg", ".JPEG", ".jfif", ".jpe"], "GIF": [".gif"], "BMP": [".bmp"]},
    **{"TIFF": [".tif", ".TIFF"], "WEBP": [".webp"], "PPM": [".ppm", ".pgm", ".pnm"], "ICO": [".ico"], "TGA": [".tga"]},
    **{"PCX": [".pcx"], "SGI": [".sgi", ".rgb"], "JPEG2000": [".jp2", ".j2k"], "AVIF": [".avif"], "DDS": [".dds"]},
    **{"ICNS": [".icns"], "IM": [".im"], "MPO": [".mpo"], "XBM": [".xbm"], "MSP": [".msp"], "QOI": [".qoi"]},
    **{"DIB": [".dib"], "PDF": [".pdf"], "EPS": [".eps"], "BLP": [".blp"]},
}
MODES = ["RGB", "RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "I", "F", "LA", "YCbCr", "LAB", "HSV", "PA"]
OTHER_ENDINGS = ["", ".txt", ".heic", ".HEIC", ".jxl", ".zip", ".npy", ".py", ".csv", ".mp4", ".svg", ".psd", ".raw"]
ENDINGS = [*(ending for endings in FORMATS.values() for ending in endings), *OTHER_ENDINGS]
ODD = [  # contents of other kinds
    b"",
    b"x",
    b"\0" * 100,
    b"<html>404</html>",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"GIF89a",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"BM" + bytes(60),
    b"RIFF\0\0\0\0WEBP",
    b"II*\0\x08\0\0\0",
    b"P6\n1000000 1000000\n255\n",
    b"P5 0 0 255\n",
    b"P1\n3 3\n1 0",
    b"8BPS" + bytes(50),
    b"\0\0\0\x20ftypheic" + bytes(30),
    b"PK\x03\x04",
    b"%PDF-1.4",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    b"\0\0\x01\0\x01\0" + bytes(30),
]


def picture(random: Random) -> tuple[bytes, str]:
    """The content of an image, whole or broken, and an ending, right or wrong."""
    if random.random() < 0.1:
        return random.choice([*ODD, garbage(random)]), random.choice(ENDINGS)
    name = random.choice(["PNG", "PNG", "JPEG", "JPEG", *FORMATS])
    sizes = (
        [random.randrange(1, 40), random.randrange(1, 40)] if random.random() < 0.9 else [1, random.choice([1, 900])]
    )
    mode = random.choice(MODES)
    pixels = np.frombuffer(random.randbytes(sizes[0] * sizes[1] * 4), np.uint8).reshape(sizes[1], sizes[0], 4)
    image = Image.fromarray(pixels, "RGBA")
    with suppress(ValueError, OSError):
        image = image.convert("RGB" if mode in ("LAB", "HSV", "YCbCr", "CMYK") else "L" if "I" in mode else "RGBA")
        image = image.convert(mode)
    options: dict[str, object] = {}
    if random.random() < 0.1 and name in ("PNG", "GIF", "WEBP", "TIFF", "AVIF", "MPO", "ICO"):
        options |= {"save_all": True, "append_images": [image] * random.randrange(1, 4)}
    if random.random() < 0.1:
        options["exif"] = random.choice(
            [garbage(random, 60), b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"]
        )
    if random.random() < 0.05:
        options["icc_profile"] = garbage(random, 200)
    if random.random() < 0.05:
        options["transparency"] = random.choice([0, b"\0\1", (0, 0, 0)])
    if name == "AVIF":  # whose writer ends the process on such metadata
        options = {key: value for key, value in options.items() if key not in ("exif", "icc_profile")}
    content = saved(image, name, options) or saved(image.convert("RGB"), "PNG", {})
    if name == "PNG" and random.random() < 0.05:
        content = claiming(content, random.choice([(0, 5), (70_000, 70_000), (2**31 - 1, 2**31 - 1), (2_000, 60_000)]))
    if random.random() < 0.08:
        content = broken(random, content)
    ending = random.choice(FORMATS[name])
    if random.random() < 0.05:
        ending = random.choice(ENDINGS)
    return content, ending


def saved(image: Image.Image, name: str, options: dict[str, object]) -> bytes:
    """The image as a file; empty where Pillow does not write it so."""
    file = io.BytesIO()
    with suppress(Exception):  # which combinations of format, mode and options can be written is Pillow's matter
        image.save(file, name, **options)
        return file.getvalue()
    return b""


def claiming(png: bytes, size: tuple[int, int]) -> bytes:
    """A PNG whose header says another size."""
    header = b"IHDR" + struct.pack(">II", *size) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def places(random: Random) -> Iterator[str]:
    """Names of files in folders, without their endings, in one of the arrangements that users have."""
    arrangement = random.choice(["flat", "classes", "classes", "splits", "splits of classes", "wrapped", "mixed"])
    names = [some_name(random) for _ in range(random.randrange(1, 5))]
    splits = random.choice([("train", "test"), ("Training", "Testing"), ("train", "val", "test"), ("train", "misc")])
    for number in range(random.choice([0, 1, 2, 5, 10, 20])):
        file = f"{number:02}" if random.random() < 0.8 else some_name(random)
        parts = {
            "flat": [file],
            "classes": [random.choice(names), file],
            "splits": [random.choice(splits), file],
            "splits of classes": [random.choice(splits), random.choice(names), file],
            "wrapped": ["wrap", "again", random.choice(names), file],
            "mixed": [*(some_name(random) for _ in range(random.randrange(4))), file],
        }[arrangement]
        yield "/".join(parts)


def make_folder(random: Random, folder: Path) -> Use:
    """A folder of images with links, pipes and folders that may not be read."""
    root = folder / "data"
    root.mkdir()
    same = picture(random) if random.random() < 0.6 else None  # many folders are of one format, and whole
    for place in places(random):
        content, ending = same if same and random.random() < 0.9 else picture(random)
        write(root / f"{place}{ending}", content)
    inside = [path for path in root.rglob("*") if not path.is_symlink()]
    for _ in range(random.choice([0, 0, 0, 1, 2])):
        folders = [root, *(path for path in inside if path.is_dir())]
        at = random.choice(folders) / f"{some_name(random)}{random.choice(['', '.png'])}"
        target = random.choice(["..", ".", "../..", "nowhere", str(root), str(random.choice(inside or [root]))])
        with suppress(OSError, ValueError):
            random.choice(
                [
                    *(
                        partial(os.symlink, target, at),
                        partial(os.mkdir, at),
                        partial(os.mkfifo, at),
                        partial(bind, at),
                    ),
                    partial(os.link, random.choice(inside or [root]), at),
                ]
            )()
    guarded = random.random() < 0.06 and inside
    if guarded:
        os.chmod(random.choice(inside), random.choice([0o000, 0o200, 0o444]))
    given = root if random.random() < 0.95 else random.choice([*inside, root / "nothing", folder])
    read = reading(random, given)
    return partial(as_nobody, read) if guarded else read


def bind(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def as_nobody(use: Use, scratch: Path) -> None:
    """Read as a user without rights: root may read everything."""
    if os.geteuid() == 0:
        os.chmod(scratch.parent, 0o755)
        os.chmod(scratch, 0o777)
        os.seteuid(65534)
    use(scratch)


def make_zip(random: Random, folder: Path) -> Use:
    """A .zip of images, or what has its name."""
    path = folder / random.choice(["data.zip", "data.zip", "data.ZIP", "data", "d\udce9.zip", "a b.zip"])
    file = io.BytesIO()
    kind = random.random()
    if kind < 0.05:
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            tar.addfile(tarfile.TarInfo("a.png"))
        write(
            path,
            random.choice(
                [
                    file.getvalue(),
                    b"Rar!\x1a\x07\0",
                    b"7z\xbc\xaf'\x1c",
                    b"",
                    garbage(random),
                    b"PK\x05\x06" + bytes(18),
                ]
            ),
        )
        return reading(random, path)
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = garbage(random, 100) if random.random() < 0.1 else b""
        same = picture(random) if random.random() < 0.6 else None
        for place in places(random):
            content, ending = same if same and random.random() < 0.9 else picture(random)
            add(random, archive, f"{place}{ending}", content)
        if random.random() < 0.05:
            add(random, archive, "bomb.png", bytes(random.choice([10_000_000, 60_000_000])))
    content = file.getvalue()
    if random.random() < 0.15:
        content = content.replace(b"PK\x03\x04", b"PK\x03\x05", 1) if random.random() < 0.1 else broken(random, content)
    if random.random() < 0.08:
        content = flagged(random, content)
    write(path, content)
    return reading(random, path)


def add(random: Random, archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """One entry under one of the many names that programs give them, once or twice."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    odd = random.random()
    if odd < 0.06:
        name = random.choice(
            [f"/{name}", f"../{name}", f"../../../../tmp/{name}", f"./{name}", f"a//{name}", f"C:\\{name}"]
        )
    elif odd < 0.12:
        name = name.replace("/", "\\")
    elif odd < 0.14:
        name = random.choice([f"{name}\0.png", f"{name}/", "/", "..", "\\", f"a/../{name}", "\x7f" * 300, name * 20])
    entry = zipfile.ZipInfo("x")
    entry.filename = name[:60_000]
    entry.compress_type = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    entry.external_attr = random.choice([0, 0o644 << 16, 0o120777 << 16, 0o040755 << 16, 0x10])
    for _ in range(2 if random.random() < 0.03 else 1):
        with suppress(Exception):  # what zipfile itself does not write
            archive.writestr(entry, content)


def flagged(random: Random, content: bytes) -> bytes:
    """A zip whose directory says something else of one entry: encrypted, another method, other sizes or names."""
    changed = bytearray(content)
    starts = [place for place in range(len(content) - 46) if content[place : place + 4] == b"PK\x01\x02"]
    if starts:
        start = random.choice(starts)
        offset, value = random.choice(
            [
                (8, b"\x01\0"),
                (8, b"\0\x08"),
                (10, b"\x63\0"),
                (10, b"\x09\0"),
                (20, b"\xff\xff\xff\xff"),
                (24, b"\xff\xff\xff\x7f"),
                (24, bytes(4)),
                (42, b"\xff\xff\xff\0"),
                (16, bytes(4)),
                (46, b"\xff"),
                (46, b"\0"),
                (28, b"\xff\xff"),
                (12, b"\xff\xff\xff\xff"),
            ]
        )
        changed[start + offset : start + offset + len(value)] = value
    return bytes(changed)


def reading(random: Random, path: Path) -> Use:
    """What reads the images at `path`: for training, or to predict their classes."""
    options = {
        "image_size": random.choice([1, 8, 16, 33]),
        "channels": random.choice([1, 3]),
        "batch_size": random.choice([1, 4, 1000]),
        "val_fraction": random.choice([0.0, 0.1, 0.5]),
        "test_fraction": random.choice([0.0, 0.2]),
    }
    return partial(predict if random.random() < 0.15 else train, path, options)


def train(path: Path, options: dict[str, object], scratch: Path) -> None:
    """The first batches of each split, twice: from the files, and from the cache."""
    for _ in range(2):
        data = ImageFolder(str(path), cache_dir=str(scratch / "cache"), **options)  # type: ignore[arg-type]
        shape, names = data.image_shape, data.class_names
        data.prepare_data()
        data.setup("fit")
        take(data, data.train_dataloader, shape)
        for split in ("val", "test"):
            if data.split_sizes[split]:
                take(data, getattr(data, f"{split}_dataloader"), shape)
        assert "\n" not in str(data.found)
        assert len(set(names)) == len(names)
        assert not any(character in name for name in names for character in "\n\r\x1b")
        "".join([*names, data.found, str(data.fingerprint)]).encode()


def predict(path: Path, options: dict[str, object], scratch: Path) -> None:
    """The first batch of images to predict."""
    options = {**options, "predict_path": str(path), "class_names": ["a", "b"]}
    data = ImageFolder("nowhere", cache_dir=str(scratch / "cache"), **options)  # type: ignore[arg-type]
    data.prepare_data()
    data.setup("predict")
    assert data.predict_names is not None
    assert len(data.predict_names) == len(data.predict_images)
    "".join(data.predict_names).encode()
    take(data, data.predict_dataloader, data.image_shape)


def take(data: ImageFolder, loader: Callable[[], object], shape: tuple[int, int, int]) -> None:
    """The first batch, as a model gets it."""
    images, labels = data.on_after_batch_transfer(next(iter(loader())), 0)  # type: ignore[call-overload]
    assert images.shape[1:] == shape
    assert len(images) == len(labels)
    assert images.min() >= -1
    assert images.max() <= 1
    assert (labels >= 0).all()
    assert (labels < max(2, data.num_classes)).all()


KINDS = [Kind("image folders", 25, make_folder), Kind("zips", 20, make_zip)]
