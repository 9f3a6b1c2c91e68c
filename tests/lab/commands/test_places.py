"""Places where nothing can be written: one message, whichever command writes, and nothing is left behind."""

import errno

import pytest
from PIL import Image

import cli
from tests import tiny_runs
from tests.tiny_runs import checkpoint_of, copied, resumed

STUDY = "title: T\nbase: configs/classifier/digits.yaml\ngrid: {data.batch_size: [64]}\nrecord: [val/accuracy]\n"


def refused(capsys, *arguments):
    """The message, which is one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as status:
        cli.main([*map(str, arguments)])
    assert status.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert len(line) < 700
    return line


@pytest.fixture(params=["too long", "below a file"])
def place(request, tmp_path):
    """A path that cannot be, and what is wrong with it."""
    if request.param == "too long":
        return tmp_path / ("y" * 300), ("File name too long",)
    (tmp_path / "file").touch()
    return tmp_path / "file" / "x", ("is a file, no folder", "does not exist", "no folder")


def test_every_command_that_writes(gan_run, place, tmp_path, capsys):
    path, reasons = place
    (tmp_path / "s.yaml").write_text(STUDY)
    before = set(tmp_path.rglob("*"))
    for command in (
        [*tiny_runs.GAN, "--run_dir", path],
        ["validate", *resumed(gan_run), "--run_dir", path],
        ["predict", *resumed(gan_run), "--run_dir", path],
        ["sample", *checkpoint_of(gan_run), "--output", f"{path}.png"],
        ["interpolate", *checkpoint_of(gan_run), "--output", f"{path}.png"],
        ["report", path],
        ["study", tmp_path / "s.yaml", "--study_dir", path],
        ["fit", *tiny_runs.GAN[1:], "--ckpt_path", path],
        ["sample", "--ckpt_path", path],
        ["fit", "-c", path],
        ["study", path],
    ):
        line = refused(capsys, *command)
        wanted = ("there is no", *reasons)
        assert any(reason in line for reason in wanted), line
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "name"), [("sample", "grid.png"), ("interpolate", "strip.png"), ("sample", "out.txt")]
)
def test_a_full_disk_keeps_the_file_that_was_there(gan_run, text_run, tmp_path, capsys, monkeypatch, command, name):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    output = tmp_path / name
    output.write_bytes(b"mine")
    run = text_run if name.endswith("txt") else gan_run
    with monkeypatch.context() as disk:
        disk.setattr(Image.Image, "save", full)
        disk.setattr("pathlib.Path.write_text", full)
        line = refused(capsys, command, *checkpoint_of(run), "--output", output, "--overwrite")
    assert line == f"error: cannot write {output}: No space left on device"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert output.read_bytes() == b"mine"


def test_the_longest_name_that_may_be(gan_run, tmp_path):
    output = tmp_path / f"{'é' * 125}.png"
    cli.main(["sample", *checkpoint_of(gan_run), "--output", str(output)])
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_a_page_on_a_full_disk(gan_run, tmp_path, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", "report.html")

    run = copied(gan_run, tmp_path / "run")
    monkeypatch.setattr("os.fsync", full)
    before = set(run.iterdir())
    page = run / "report.html"
    assert refused(capsys, "report", run) == (
        f"error: {page} cannot be written (No space left on device): copy the folder elsewhere first"
    )
    assert set(run.iterdir()) == before
