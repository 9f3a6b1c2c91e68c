"""Small data sets in the formats of the real ones, made from scikit-learn's digits, so that no test needs a network."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def digit_images(count, size):
    """(count, size, size) uint8 pictures of digits, and their (count,) labels; each class is in any 20 of them."""
    digits = load_digits()
    chosen = np.arange(count) % len(digits.images)
    small = (digits.images[chosen] * (255 / 16)).round().astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((size, size))) for image in small]), digits.target[chosen]


def write_idx(path, array):
    """An uncompressed idx file of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.asarray(array, dtype=np.uint8)
    path.write_bytes(struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def write_mnist(root, count=200, name="MNIST"):
    """`count` training images, 28 x 28, and half as many to test, in MNIST's files; `name` may be "FashionMNIST"."""
    folder = Path(root) / name / "raw"
    images, labels = digit_images(count + count // 2, 28)
    write_idx(folder / "train-images-idx3-ubyte", images[:count])
    write_idx(folder / "train-labels-idx1-ubyte", labels[:count])
    write_idx(folder / "t10k-images-idx3-ubyte", images[count:])
    write_idx(folder / "t10k-labels-idx1-ubyte", labels[count:])
    return Path(root)


def write_cifar10(root, count=60):
    """`count` training images, 32 x 32 RGB PNG, and half as many for testing, in cifar10/{train,test}/<class>/."""
    for part, number in (("train", count), ("test", count // 2)):
        write_image_folder(Path(root) / "cifar10" / part, number, 32, CIFAR10_CLASSES)
    return Path(root)


def write_image_folder(path, count=12, size=32, classes=(), suffix=".png"):
    """`count` RGB images, square of `size` pixels, dealt in turn to the folders `classes`, where there are any."""
    path = Path(path)
    images, _ = digit_images(count, size)
    for index, image in enumerate(images):
        folder = path / classes[index % len(classes)] if classes else path
        folder.mkdir(parents=True, exist_ok=True)
        colours = np.stack([image, 255 - image, np.full_like(image, index % 256)], axis=-1)
        Image.fromarray(colours).save(folder / f"{index:04}{suffix}")
    return path


def write_texts(root):
    """Shakespeare and two novels of Dickens, in Project Gutenberg's manner, where the configs look for them."""
    text = "".join(
        f"{name}:\nWhat say you, {name}? I say it is the {number}th.\n\n" for number in range(60) for name in "ABC"
    )
    files = {"tinyshakespeare/input.txt": text, "dickens/one.txt": text, "dickens/two.txt": f"\ufeff“{text}”"}
    for name, content in files.items():
        (Path(root) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(root) / name).write_text(content, encoding="utf-8")
    return Path(root)


def write_names(root, names=30):
    """`names` made-up surnames of each of three peoples in names/<People>.txt."""
    for people, syllables, ending in (
        ("Polish", "kow now szcz", "ski"),
        ("Irish", "bri ke do", "an"),
        ("Czech", "č ř", "ek"),
    ):
        choices = syllables.split()
        lines = [f"{choices[n % len(choices)]}{'aeiou'[n % 5]}{n}{ending}".capitalize() for n in range(names)]
        write_lines(Path(root) / "names" / f"{people}.txt", lines)
    return Path(root)


def write_languages(root, sentences=20):
    """`sentences` repetitive sentences in each of two languages in languages/{train,val,test}/<language>.txt."""
    for part in ("train", "val", "test"):
        for language, words in (("english", "the house of words"), ("german", "das Haus der Wörter")):
            lines = [f"{part} {n}: {words} {words} {words} {n % 7}" for n in range(sentences)]
            write_lines(Path(root) / "languages" / part / f"{language}.txt", lines)
    return Path(root)


def write_lines(path, lines):
    """A UTF-8 text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def zip_folder(folder, zip_path):
    """All files below `folder`, by their names relative to it."""
    with zipfile.ZipFile(zip_path, "w") as archive:
        for file in sorted(Path(folder).rglob("*")):
            archive.write(file, file.relative_to(folder))
    return Path(zip_path)


def png_bytes(array):
    """An array (height, width[, channels]) as a PNG file's content."""
    content = io.BytesIO()
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(content, "png")
    return content.getvalue()
