"""sample: a grid of images or a text from a checkpoint alone."""

import pytest
from PIL import Image

import cli
from tests.tiny_runs import checkpoint_of


def complaint(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(args))
    assert stopped.value.code == 2
    return capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------- images


def test_images_repeat_with_the_seed(gan_run, tmp_path, capsys):
    def picture(name, seed):
        output = tmp_path / name
        options = ["--count", "9", "--seed", seed, "--output", str(output)]
        cli.main(["sample", *checkpoint_of(gan_run), *options])
        assert capsys.readouterr().out == f"{output}: 9 images of GAN, seed {seed}\n"
        return output.read_bytes()

    assert picture("a.png", "3") == picture("b.png", "3") != picture("c.png", "4")


@pytest.mark.parametrize(
    ("options", "columns", "rows"),
    [
        ([], 8, 8),
        (["--count", "1"], 1, 1),
        (["--count", "9"], 3, 3),
        (["--count", "6"], 2, 3),
        (["--count", "6", "--columns", "3"], 3, 2),
    ],
)
def test_the_grid_is_square_unless_columns_are_given(gan_run, in_tmp_path, capsys, options, columns, rows):
    cli.main(["sample", *checkpoint_of(gan_run), *options])
    assert f"grid.png: {columns * rows} images of GAN, seed 0" in capsys.readouterr().out
    with Image.open("grid.png") as image:
        width, height = image.size
    assert width / height == pytest.approx(columns / rows, rel=0.1)


def test_a_file_is_replaced_only_if_that_is_asked_for(gan_run, in_tmp_path, capsys):
    (in_tmp_path / "grid.png").write_bytes(b"mine")
    sample = ["sample", *checkpoint_of(gan_run)]
    assert "grid.png exists: choose another --output, or give --overwrite" in complaint(capsys, *sample)
    assert (in_tmp_path / "grid.png").read_bytes() == b"mine"
    cli.main([*sample, "--overwrite"])
    assert (in_tmp_path / "grid.png").read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "--count is 0: expected at least 1"),
        (["--output", "no/such/folder.png"], "the folder of --output no/such/folder.png does not exist"),
        (["--output", "grid.txt"], "--output grid.txt: the name must end in"),
        (["--cuont", "3"], "unrecognized arguments: --cuont 3"),
        (["--prompt", "Th"], "last.ckpt holds a GAN: leave it out"),
    ],
)
def test_mistakes_in_sampling_images_are_named(gan_run, options, message, capsys, in_tmp_path):
    assert message in complaint(capsys, "sample", *checkpoint_of(gan_run), *options)
    assert not list(in_tmp_path.iterdir())


def test_a_classifier_generates_nothing(names_run, capsys):
    assert "holds a SequenceClassifier, which generates no" in complaint(capsys, "sample", *checkpoint_of(names_run))


# --------------------------------------------------------------------------------------------------------------- text


def test_text_is_printed_or_written_and_repeats_with_the_seed(text_run, tmp_path, capsys):
    def sample(*options):
        cli.main(["sample", *checkpoint_of(text_run), "--length", "40", *options])
        return capsys.readouterr().out

    printed = sample("--prompt", "Wh", "--seed", "3")
    assert printed.startswith("Wh")
    assert len(printed) == 2 + 40 + 1
    assert printed == sample("--prompt", "Wh", "--seed", "3") != sample("--prompt", "Wh", "--seed", "4")
    assert sample("--top_k", "1", "--seed", "3") == sample("--top_p", "0.01", "--seed", "4")
    assert sample("--temperature", "0.001", "--seed", "3") == sample("--top_k", "1", "--seed", "4")
    output = tmp_path / "out.txt"
    assert sample("--prompt", "Wh", "--seed", "3", "--output", str(output)) == (
        f"{output}: 42 characters of CharLanguageModel, seed 3\n"
    )
    assert output.read_text() + "\n" == printed


def test_the_defaults_of_text(text_run, capsys):
    cli.main(["sample", *checkpoint_of(text_run)])
    by_default = capsys.readouterr().out
    given = ["--length", "1000", "--prompt", "", "--temperature", "0.8", "--seed", "0"]
    cli.main(["sample", *checkpoint_of(text_run), *given])
    assert capsys.readouterr().out == by_default
    assert len(by_default) == 1000 + 1
    cli.main(["sample", *checkpoint_of(text_run), "--length", "1"])
    assert capsys.readouterr().out == by_default[0] + "\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--length", "0"], "--length is 0: expected at least 1"),
        (["--prompt", "Zé"], "the prompt holds 'Zé', which the model has never seen; it knows '\\n .0123"),
        (["--temperature", "0"], "the temperature is 0.0: expected a number above 0, such as 0.8"),
        (["--temperature", "-1"], "the temperature is -1.0"),
        (["--top_k", "0"], "top-k is 0: expected a whole number from 1 up"),
        (["--top_p", "1.5"], "top-p is 1.5: expected a probability above 0 and up to 1"),
        (["--count", "3"], "--count is an option of a model of images, but"),
        (["--output", "grid.png"], "writes text, give a name such as out.txt"),
    ],
)
def test_mistakes_in_sampling_text_are_named(text_run, options, message, capsys, in_tmp_path):
    assert message in complaint(capsys, "sample", *checkpoint_of(text_run), *options)
    assert not list(in_tmp_path.iterdir())
