import pytest

from datamodules.text.corpus import find_text_files, normalised, read_book


@pytest.fixture
def library(in_tmp_path, monkeypatch):
    """Three texts: two below a folder, one in the data root alone."""
    monkeypatch.setenv("DATA_ROOT", str(in_tmp_path / "root"))
    for name in ("novels/b.txt", "novels/part/a.txt", "novels/notes.md", "root/plays/c.txt"):
        (in_tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (in_tmp_path / name).write_text(name)
    return in_tmp_path


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["novels/b.txt"], ["novels/b.txt"]),
        (["novels"], ["novels/b.txt", "novels/part/a.txt"]),
        (["novels/*"], ["novels/b.txt", "novels/notes.md"]),
        (["novels/**/*.txt"], ["novels/b.txt", "novels/part/a.txt"]),
        (["plays"], ["root/plays/c.txt"]),
        (["plays/*.txt", "novels", "novels/b.txt"], ["root/plays/c.txt", "novels/b.txt", "novels/part/a.txt"]),
    ],
)
def test_files_folders_and_patterns(library, paths, names):
    assert find_text_files(paths, None) == [library / name for name in names]
    assert find_text_files([str(library / "novels" / "b.txt")], "elsewhere") == [library / "novels" / "b.txt"]


def test_links_lead_to_no_file_twice_and_patterns_not_round_in_circles(library):
    (library / "novels" / "part" / "up").symlink_to(library / "novels")
    (library / "novels" / "same.txt").symlink_to(library / "novels" / "b.txt")
    (library / "novels" / ".hidden").mkdir()
    (library / "novels" / ".hidden" / "x.txt").write_text("x")
    expected = [library / "novels/b.txt", library / "novels/part/a.txt"]
    assert find_text_files(["novels/**/*.txt"], None) == expected
    assert find_text_files(["novels/**"], None) == [*expected[:1], library / "novels/notes.md", *expected[1:]]
    assert find_text_files(["novels/same.txt", "novels"], None) == [library / "novels/same.txt", expected[1]]


def test_what_is_not_there_is_named_with_the_nearest_name(library):
    with pytest.raises(FileNotFoundError, match=r"there is no text at .*novells and .*root/novells: did you mean 'nov"):
        find_text_files(["novells"], None)
    (library / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no \.txt file in the folder .*empty"):
        find_text_files(["empty"], None)


def test_a_known_text_is_fetched_into_the_data_root(library, monkeypatch):
    url = (library / "novels" / "b.txt").as_uri()
    monkeypatch.setattr("datamodules.text.corpus.SOURCES", {"known/text.txt": url, "known/gone.txt": f"{url}.gone"})
    with pytest.raises(FileNotFoundError, match=r"fetched from file:.*b\.txt \(--data\.download is false\)"):
        find_text_files(["known/text.txt"], None)
    fetched = library / "root" / "known" / "text.txt"
    assert find_text_files(["known/text.txt"], None, download=True) == [fetched]
    assert fetched.read_text() == "novels/b.txt"
    with pytest.raises(FileNotFoundError, match=r"no text at .*gone\.txt, and it was not fetched from .*\.gone"):
        find_text_files(["known/gone.txt"], None, download=True)
    assert [path.name for path in fetched.parent.iterdir()] == ["text.txt"]


@pytest.mark.parametrize("content", ["\ufeffone\r\ntwo\r\n".encode(), b"one\ntwo\n", b"one\rtwo\r"])
def test_byte_order_marks_and_line_ends(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    assert read_book(tmp_path / "a.txt") == "one\ntwo\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.txt is empty: there is nothing to learn from"),
        (b" \n\n", r"a\.txt holds no text but white space"),
        (b"caf\xe9 noir", r"a\.txt is not UTF-8: byte 0xe9 at position 3, in line 1"),
    ],
)
def test_files_that_hold_no_text_are_named(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_book(tmp_path / "a.txt")


def test_normalisation():
    decomposed = "Cafe\u0301 “œuvre” — "
    assert normalised(decomposed, "none") == decomposed
    assert normalised(decomposed, "nfc") == "Café “œuvre” — "
    assert normalised(decomposed, "ascii") == 'Cafe "oeuvre" - '
