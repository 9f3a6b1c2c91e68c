"""sample and interpolate --class."""

import pytest
from PIL import Image

import cli
from lab.commands.classes import asked_classes, rows_of
from lab.errors import UserError
from tests import tiny_runs
from tests.tiny_runs import checkpoint_of


class Named:
    class_names = ("cat", "dog", "2")


def test_classes_are_named_or_numbered():
    assert asked_classes("dog", Named()) == [1]
    assert asked_classes("2, cat", Named()) == [2, 0]
    assert asked_classes("1", Named()) == [1]
    assert asked_classes("all", Named()) == [0, 1, 2]
    assert rows_of([2, 0], 7).tolist() == [2, 2, 2, 0, 0, 0]
    assert rows_of([2, 0, 1], 2).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cta", r"--class cta: there is no class 'cta': did you mean 'cat'\? use names \(cat, dog, 2\)"),
        ("7", r"there is no class '7': .* or numbers 0 to 2"),
        ("dog,1", "names one class twice"),
    ],
)
def test_a_class_that_does_not_exist(given, message):
    with pytest.raises(UserError, match=message):
        asked_classes(given, Named())


def test_an_unconditional_model_cannot_be_asked_for_a_class(gan_run, capsys):
    for command in ("sample", "interpolate"):
        with pytest.raises(SystemExit) as stopped:
            cli.main([command, *checkpoint_of(gan_run), "--class", "7"])
        assert stopped.value.code == 2
        assert "--class 7: this GAN is unconditional and cannot be asked for a class" in capsys.readouterr().err


@pytest.fixture(scope="module")
def conditional_run(tmp_path_factory):
    run = tmp_path_factory.mktemp("conditional") / "run"
    cli.main([*tiny_runs.GAN, "--trainer.max_epochs", "1", "--model.conditional", "true", "--run_dir", str(run)])
    return run


def test_a_grid_has_a_row_for_each_class(conditional_run, tmp_path, capsys):
    def picture(name, *options):
        output = str(tmp_path / name)
        cli.main(["sample", *checkpoint_of(conditional_run), "--output", output, *options])
        with Image.open(output) as image:
            return capsys.readouterr().out, image.size

    said, (width, height) = picture("a.png", "--class", "0,3", "--count", "8")
    assert "8 images of GAN" in said
    assert 1.9 < width / height < 2.6  # two rows of four, and their names
    said, (width, height) = picture("b.png", "--class", "3", "--count", "9")
    assert width == height
    said, _ = picture("c.png")
    assert "64 images" in said
    grids = list((conditional_run / "samples").glob("grid-*.png"))
    assert grids
    with Image.open(grids[0]) as image:
        assert image.height > image.width  # ten rows


def test_an_interpolation_between_two_classes(conditional_run, tmp_path, capsys):
    def strip(name, classes):
        output = tmp_path / name
        cli.main(["interpolate", *checkpoint_of(conditional_run), "--output", str(output), "--class", classes])
        return output.read_bytes()

    assert strip("a.png", "1,2") == strip("b.png", "1,2") != strip("c.png", "2,1")
    with pytest.raises(SystemExit):
        strip("d.png", "1,2,3")
    assert "names 3 classes: give one, or the two of the ends" in capsys.readouterr().err
