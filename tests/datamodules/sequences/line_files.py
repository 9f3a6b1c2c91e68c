"""Folders with one file of lines a class, and batches of lines as text again."""


def write_classes(folder, classes):
    """A folder with one file a class."""
    for name, lines in classes.items():
        path = folder / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(folder)


def numbered(prefix, count):
    return [f"{prefix}{number}" for number in range(count)]


def texts(data, batch):
    """The lines of a batch as text again."""
    sequences, lengths, labels = batch
    characters = ["·", *data.vocabulary[1:]]
    lines = ["".join(characters[n] for n in row[:length]) for row, length in zip(sequences, lengths, strict=True)]
    return list(zip(lines, [data.class_names[label] for label in labels], strict=True))
