"""Files that commands write, and options that reach what they are for; nothing is computed."""

from contextlib import suppress
from pathlib import Path

import pytest

import cli
from lab.commands import interpolate, sample, study
from lab.commands.output import output_file, picture_file
from lab.errors import UserError
from lab.studies import engine, start


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jpeg", "a.webp", "A.PNG", "b.a.Jpg"])
def test_a_picture_has_one_of_four_endings_in_any_case(tmp_path, name):
    assert picture_file(str(tmp_path / name), overwrite=False) == tmp_path / name


@pytest.mark.parametrize("name", ["a", "a.txt", "png", ".png", "a.png.zip"])
def test_any_other_ending_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"the name must end in \.png, \.jpg or \.webp"):
        picture_file(str(tmp_path / name), overwrite=False)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert output_file("~/a.txt", overwrite=False) == tmp_path / "a.txt"


@pytest.mark.parametrize("check", [output_file, picture_file])
def test_a_file_is_kept_unless_it_may_be_overwritten_and_a_folder_always(tmp_path, check):
    path = tmp_path / "a.png"
    path.write_text("mine")
    with pytest.raises(UserError, match=r"a\.png exists: choose another --output, or give --overwrite"):
        check(str(path), False)
    assert check(str(path), True) == path
    with pytest.raises(UserError, match="is a folder: give the name of a file"):
        check(str(tmp_path), True)
    with pytest.raises(UserError, match=r"the folder of --output .*no/a\.png does not exist"):
        check(str(tmp_path / "no" / "a.png"), True)


@pytest.mark.parametrize(("command", "options"), [
    (sample, ["--output", "a.png"]), (sample, []), (interpolate, ["--output", "a.png"]), (interpolate, []),
])  # fmt: skip
def test_pictures_are_not_overwritten_by_either_command(in_tmp_path, monkeypatch, command, options):
    default = {sample: "grid.png", interpolate: "strip.png"}[command]
    Path(options[1] if options else default).write_text("mine")
    monkeypatch.setattr(command, "load_model", lambda path: FakeGenerator())
    monkeypatch.setattr(command, "ImageGenerator", FakeGenerator)
    with pytest.raises(UserError, match="exists"):
        command.run(["--ckpt_path", "a.ckpt", *options])
    command.run(["--ckpt_path", "a.ckpt", *options, "--overwrite"])


class FakeGenerator:
    """Remembers how it was called."""

    calls: list[tuple] = []  # noqa: RUF012

    class_names = ("a", "b", "c")

    def sample(self, count, seed, labels=None):
        import torch

        FakeGenerator.calls.append(("sample", count, seed, labels if labels is None else labels.tolist()))
        return torch.zeros(count, 1, 4, 4)

    def interpolation(self, steps, seed, mode, labels=None):
        FakeGenerator.calls.append(("interpolation", steps, seed, mode, labels if labels is None else labels.tolist()))
        return self.sample(steps, seed)


class FakeText:
    calls: list[tuple] = []  # noqa: RUF012

    def generate(self, *arguments):
        FakeText.calls.append(arguments)
        return "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN}"


@pytest.mark.parametrize(
    ("command", "options", "call"),
    [
        (sample, [], ("sample", 64, 0, None)),
        (sample, ["--count", "3", "--seed", "7"], ("sample", 3, 7, None)),
        (interpolate, [], ("interpolation", 9, 0, "spherical", None)),
        (interpolate, ["--steps", "3", "--seed", "7", "--mode", "linear"], ("interpolation", 3, 7, "linear", None)),
        (sample, ["--count", "4", "--class", "c,a"], ("sample", 4, 0, [2, 2, 0, 0])),
        (interpolate, ["--class", "c,a"], ("interpolation", 9, 0, "spherical", [2, 0])),
        (interpolate, ["--class", "b"], ("interpolation", 9, 0, "spherical", [1, 1])),
    ],
)
def test_options_of_images_reach_the_model(in_tmp_path, monkeypatch, command, options, call):
    monkeypatch.setattr(command, "load_model", lambda path: FakeGenerator())
    monkeypatch.setattr(command, "ImageGenerator", FakeGenerator)
    FakeGenerator.calls.clear()
    command.run(["--ckpt_path", "a.ckpt", *options])
    assert FakeGenerator.calls[0] == call


def test_options_of_text_reach_the_model_and_the_file(in_tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sample, "load_model", lambda path: FakeText())
    monkeypatch.setattr(sample, "CharLanguageModel", FakeText)
    FakeText.calls.clear()
    sample.run(["--ckpt_path", "a.ckpt"])
    options = [
        "--length",
        "5",
        "--prompt",
        "Th",
        "--temperature",
        "0.5",
        "--top_k",
        "3",
        "--top_p",
        "0.25",
        "--seed",
        "7",
    ]
    sample.run(["--ckpt_path", "a.ckpt", *options, "--seed", "7", "--output", "a.txt"])
    assert FakeText.calls == [(1000, "", 0.8, None, None, 0), (5, "Th", 0.5, 3, 0.25, 7)]
    assert (in_tmp_path / "a.txt").read_bytes().decode("utf-8") == "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN}"
    with pytest.raises(UserError, match="exists"):
        sample.run(["--ckpt_path", "a.ckpt", "--output", "a.txt"])
    sample.run(["--ckpt_path", "a.ckpt", "--output", "a.txt", "--overwrite"])
    assert "6 characters of FakeText, seed 0" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------------------- study


@pytest.fixture
def started(monkeypatch, in_tmp_path):
    """What `study` asks of lab.studies, in order; nothing is run."""
    calls = []
    for module, name in (
        *((engine, name) for name in ("check_size",)),
        *((start, name) for name in ("check_options", "dry_run", "prepare", "run_study")),
    ):
        monkeypatch.setattr(module, name, lambda *args, name=name: calls.append((name, *args[1:])))
    (in_tmp_path / "base.yaml").write_text("{}")
    (in_tmp_path / "mine.yaml").write_text(
        "{title: T, base: base.yaml, record: val/loss, grid: {model.l: [1]}, quick: {grid: {model.l: [2]}}}"
    )
    return calls


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        (
            [],
            [("check_size", False), ("check_options",), "prepare", ("run_study", "runs/studies/mine", 1, None, False)],
        ),
        (
            ["--quick", "--workers", "3", "--retry_failed", "--allow_large", "--study_dir", "here"],
            [("check_size", True), ("check_options",), "prepare", ("run_study", "here", 3, None, True)],
        ),
        (["--quick", "--dry_run"], [("check_size", False), ("check_options",), ("dry_run", "runs/studies/mine-quick")]),
    ],
)
def test_options_of_a_study_reach_their_places(started, options, calls):
    with suppress(SystemExit):
        study.run(["mine.yaml", *options])
    folder = options[options.index("--study_dir") + 1] if "--study_dir" in options else "runs/studies/mine"
    words = " ".join(["study", "mine.yaml", *options])
    expected = [("prepare", folder, f"python cli.py {words}") if call == "prepare" else call for call in calls]
    assert [tuple(str(x) if isinstance(x, Path) else x for x in call) for call in started] == expected


def test_a_study_in_its_folder_is_not_checked_again(started, in_tmp_path):
    (in_tmp_path / "here").mkdir()
    (in_tmp_path / "here" / "study.yaml").write_text("")
    with pytest.raises(SystemExit):
        study.run(["mine.yaml", "--study_dir", "here"])
    assert [name for name, *_ in started] == ["check_size", "prepare", "run_study"]


def test_the_exit_status_is_that_of_the_study(started, monkeypatch):
    monkeypatch.setattr(start, "run_study", lambda *args: 1)
    with pytest.raises(SystemExit) as ended:
        study.run(["mine.yaml"])
    assert ended.value.code == 1


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_workers_are_a_whole_number_from_one_up(started, workers):
    with pytest.raises(UserError, match="--workers"):
        study.run(["mine.yaml", "--workers", workers])
    assert started == []


def test_a_page_is_found_below_the_home_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("{}")
    (tmp_path / "run" / "summary.json").write_text("{}")
    cli.main(["report", "~/run"])
    assert capsys.readouterr().out.startswith(f"{tmp_path}/run/report.html: 0.")


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        ([], (64, 8, [])),
        (["--count", "10", "--columns", "4"], (10, 4, [])),
        (["--count", "6", "--class", "c,a"], (6, 3, ["c", "a"])),  # a row for each class
        (["--count", "6", "--class", "c,a", "--columns", "3"], (6, 3, ["c", "a"])),
        (["--count", "6", "--class", "c,a", "--columns", "2"], (6, 2, [])),
        (["--count", "4", "--class", "b"], (4, 2, [])),
    ],
)
def test_columns_and_row_names_of_a_grid(in_tmp_path, monkeypatch, options, grid):
    drawn = []
    monkeypatch.setattr(sample, "load_model", lambda path: FakeGenerator())
    monkeypatch.setattr(sample, "ImageGenerator", FakeGenerator)
    monkeypatch.setattr(sample, "to_picture", lambda images, columns, rows: drawn.append((len(images), columns, rows)))
    monkeypatch.setattr(sample, "save_picture", lambda picture, output: None)
    sample.run(["--ckpt_path", "a.ckpt", *options])
    assert drawn == [grid]
