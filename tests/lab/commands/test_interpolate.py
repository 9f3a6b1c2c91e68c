"""interpolate: a strip of images between two latent vectors."""

import pytest
from PIL import Image

import cli
from tests.tiny_runs import checkpoint_of


def strip(run, output, *options):
    cli.main(["interpolate", *checkpoint_of(run), "--output", str(output), *options])
    return output.read_bytes()


def test_a_strip_repeats_with_the_seed(gan_run, tmp_path):
    first = strip(gan_run, tmp_path / "a.png", "--seed", "3")
    assert strip(gan_run, tmp_path / "b.png", "--seed", "3", "--mode", "spherical") == first
    assert strip(gan_run, tmp_path / "c.png", "--seed", "4") != first
    assert strip(gan_run, tmp_path / "d.png", "--seed", "3", "--mode", "linear") != first


@pytest.mark.parametrize(("options", "steps"), [([], 9), (["--steps", "4"], 4)])
def test_its_length(gan_run, in_tmp_path, capsys, options, steps):
    cli.main(["interpolate", *checkpoint_of(gan_run), *options])
    assert capsys.readouterr().out == f"strip.png: {steps} images of GAN, seed 0\n"
    with Image.open("strip.png") as image:
        width, height = image.size
    assert width / height == pytest.approx(steps, rel=0.1)


def test_a_language_model_has_no_images(text_run, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["interpolate", *checkpoint_of(text_run)])
    assert "holds a CharLanguageModel, which generates no images" in capsys.readouterr().err


def test_a_gif_moves_from_one_end_to_the_other(gan_run, in_tmp_path, capsys):
    for name in ("strip.png", "strip.gif"):
        cli.main(["interpolate", *checkpoint_of(gan_run), "--steps", "5", "--output", name])
    assert capsys.readouterr().out.endswith("strip.gif: 5 images of GAN, seed 0\n")
    with Image.open("strip.gif") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (5, 0)
        assert animation.width == animation.height
        frames = []
        for number in range(5):
            animation.seek(number)
            frames.append(animation.convert("L").tobytes())
    assert len(set(frames)) == 5
    cli.main(["interpolate", *checkpoint_of(gan_run), "--steps", "2", "--output", "ends.gif"])
    with Image.open("ends.gif") as animation:
        assert animation.convert("L").tobytes() == frames[0]
