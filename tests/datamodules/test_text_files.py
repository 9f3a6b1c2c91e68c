import codecs
import os

import pytest

from datamodules.text_files import decoded, find_txt_files, read_lines
from lab.errors import UserError


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_text_is_read_in_all_encodings_of_unicode(tmp_path, mark, encoding):
    (tmp_path / "x.txt").write_bytes(mark + "Müller\r\n日本\r𝄞\n".encode(encoding))
    assert read_lines(tmp_path / "x.txt") == ["Müller", "日本", "𝄞"]


def test_text_in_another_encoding_is_named_with_its_first_wrong_byte():
    with pytest.raises(UserError, match=r"^x is not UTF-8: byte 0xe9 at position 7, in line 2\. "):
        decoded(b"one\ncaf\xe9\n", "x")
    with pytest.raises(UserError, match=r"^x is not UTF-16, as its byte-order mark says: byte 0x61 at position 4"):
        decoded(codecs.BOM_UTF16_LE + b"a\0a", "x")


def test_nul_characters_are_refused_with_their_place():
    with pytest.raises(UserError, match=r"^x is not plain text: character 5, in line 2, is NUL"):
        decoded(b"one\na\0b", "x")


def test_text_files_are_found_in_any_case_without_hidden_ones(tmp_path):
    names = [
        "b.txt",
        "A.TXT",
        "._b.txt",
        "notes.md",
        "deep/c.txt",
        ".ipynb_checkpoints/b.txt",
        "@eaDir/d.txt",
        "LICENCE",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    files, left_out = find_txt_files(tmp_path, recursive=True)
    assert [str(file.relative_to(tmp_path)) for file in files] == ["A.TXT", "b.txt", "deep/c.txt"]
    assert left_out == {"hidden or of the system": 3, ".md": 1, "without an ending": 1}
    files, _ = find_txt_files(tmp_path, recursive=False)
    assert [file.name for file in files] == ["A.TXT", "b.txt"]


def test_a_file_in_the_home_folder_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.txt").write_text("text")
    assert read_lines("~/x.txt") == ["text"]


def test_a_folder_of_texts_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "x.txt").write_text("text")

    def scan(folder):
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scan)  # root may read everything
    with pytest.raises(UserError, match=r"the folder .*/deep cannot be read: Permission denied"):
        find_txt_files(tmp_path, recursive=True)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(UserError, match=r"pipe\.txt is neither a file nor a folder: give a file, or - for"):
        read_lines(tmp_path / "pipe.txt")
