"""The commands on a small text."""

import json

import pytest
import torch

import cli

TEXT = "".join(f"{name}:\nWhat say you? I say it is the {number}th.\n\n" for number in range(90) for name in "ABC")


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "play.txt"
    path.write_text(TEXT)
    return path


def tiny(text_file):
    return [
        *("fit", "--model", "CharLanguageModel", "--data", "Text", "--data.path", str(text_file), "--quiet"),
        *("--model.hidden_dim", "16", "--data.batch_size", "8", "--data.chunk_length", "16", "--texts.length", "30"),
        *("--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "10"),
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory, text_file):
    """A finished run of two epochs."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    cli.main([*tiny(text_file), "--trainer.max_epochs", "2", "--run_dir", str(run_dir)])
    return run_dir


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    """A checkpoint of a model that makes images."""
    run_dir = tmp_path_factory.mktemp("runs") / "gan"
    small = ["--model.latent_dim", "2", "--model.generator.width", "8", "--model.discriminator.width", "8"]
    few = ["--trainer.max_steps", "1", "--trainer.log_every_n_steps", "1", "--trainer.accelerator", "cpu"]
    cli.main(["fit", "--model", "GAN", "--data", "Digits", "--quiet", *small, *few, "--run_dir", str(run_dir)])
    return str(run_dir / "checkpoints" / "last.ckpt")


def last(run):
    return str(run / "checkpoints" / "last.ckpt")


def complaint(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(args))
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_a_run_keeps_numbers_samples_and_its_vocabulary(run):
    metrics = json.loads((run / "summary.json").read_text())["metrics"]
    for name in ("nats_per_char", "bits_per_char", "perplexity"):
        assert metrics[f"val/{name}"] > 0
        assert metrics[f"train/{name}"] > 0
    assert sorted(path.name for path in (run / "samples").iterdir()) == [
        "learning_curves.png",
        "text-0000000.txt",
        "text-0000075.txt",
        "text-0000150.txt",
        "texts.csv",
    ]
    assert (run / "checkpoints" / "best.ckpt").exists()
    checkpoint = torch.load(last(run), weights_only=True)
    assert checkpoint["hyper_parameters"]["vocabulary"] == sorted(set(TEXT))
    assert "Unable to serialize" not in (run / "config.yaml").read_text()


def test_validate_and_test_measure_all_of_the_held_out_text(run):
    cli.main(["validate", "-c", str(run / "config.yaml"), "--ckpt_path", last(run)])
    validated = json.loads((run / "validate" / "summary.json").read_text())["metrics"]
    trained = json.loads((run / "summary.json").read_text())["metrics"]
    assert validated["val/nats_per_char"] == pytest.approx(trained["val/nats_per_char"], abs=1e-6)
    with pytest.warns(UserWarning, match="no text is kept for testing"):
        cli.main(["test", "-c", str(run / "config.yaml"), "--ckpt_path", last(run)])
    tested = json.loads((run / "test" / "summary.json").read_text())["metrics"]
    assert tested == {name.replace("val/", "test/"): value for name, value in validated.items()}


def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, text_file):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    dropout = [*tiny(text_file), "--model.dropout", "0.2", "--model.schedule", "Constant"]
    cli.main([*dropout, "--trainer.max_epochs", "2", "--run_dir", str(straight)])
    cli.main([*dropout, "--trainer.max_epochs", "1", "--run_dir", str(stopped)])
    cli.main(["fit", "-c", str(stopped / "config.yaml"), "--ckpt_path", last(stopped), "--trainer.max_epochs", "2"])
    expected, found = (torch.load(last(run), weights_only=True) for run in (straight, stopped))
    for kept in ("state_dict", "optimizer_states"):
        assert str(expected[kept]) == str(found[kept])
    assert all(torch.equal(expected["state_dict"][name], found["state_dict"][name]) for name in found["state_dict"])
    final = [run / "samples" / "text-0000150.txt" for run in (straight, stopped)]
    assert final[0].read_text() == final[1].read_text()


def test_sample_prints_or_writes_and_repeats_with_the_seed(run, tmp_path, capsys):
    def sample(*options):
        cli.main(["sample", "--ckpt_path", last(run), "--length", "40", *options])
        return capsys.readouterr().out

    printed = sample("--prompt", "Wh", "--seed", "3")
    assert printed.startswith("Wh")
    assert len(printed) == 2 + 40 + 1
    assert printed == sample("--prompt", "Wh", "--seed", "3") != sample("--prompt", "Wh", "--seed", "4")
    assert sample("--top_k", "1", "--seed", "3") == sample("--top_p", "0.01", "--seed", "4")
    output = tmp_path / "out.txt"
    assert sample("--prompt", "Wh", "--seed", "3", "--output", str(output)) == (
        f"{output}: 42 characters of CharLanguageModel, seed 3\n"
    )
    assert output.read_text() + "\n" == printed


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
def test_mistakes_in_sampling_text_are_named(run, options, message, capsys, in_tmp_path):
    assert message in complaint(capsys, "sample", "--ckpt_path", last(run), *options)
    assert not list(in_tmp_path.iterdir())


def test_options_of_text_are_no_options_of_images(run, gan, capsys, in_tmp_path):
    error = complaint(capsys, "sample", "--ckpt_path", gan, "--prompt", "Th")
    assert f"--prompt is an option of a language model, but {gan} holds a GAN: leave it out" in error
    assert "holds a CharLanguageModel, which generates no images" in complaint(
        capsys, "interpolate", "--ckpt_path", last(run)
    )


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_a_checkpoint_of_another_vocabulary_is_refused(run, tmp_path, capsys, command):
    (tmp_path / "other.txt").write_text(TEXT.replace("A", "ß").replace("9", "0"))
    config = [
        "-c",
        str(run / "config.yaml"),
        "--run_dir",
        str(tmp_path / "run"),
        "--data.path",
        str(tmp_path / "other.txt"),
    ]
    error = complaint(capsys, command, *config, "--ckpt_path", last(run))
    assert "the text holds 'ß', 1 of its characters in all, which the vocabulary of 29 characters lacks" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "play.txt is empty: there is nothing to learn from"),
        (b"caf\xe9 " * 400, "play.txt is not UTF-8: byte 0xe9 at position 3, in line 1"),
        (
            b"too short",
            "the training text has 8 characters: 8 streams of 16 need 128; use a smaller",
        ),
    ],
)
def test_texts_that_cannot_be_learned_from_are_named(tmp_path, capsys, content, message):
    (tmp_path / "play.txt").write_bytes(content)
    error = complaint(capsys, *tiny(tmp_path / "play.txt"), "--run_dir", str(tmp_path / "run"))
    assert message in error
    assert not (tmp_path / "run").exists()


def test_a_prompt_for_the_samples_that_the_text_does_not_know_stops_a_run_at_its_start(tmp_path, text_file, capsys):
    error = complaint(capsys, *tiny(text_file), "--texts.prompt", "Ω", "--run_dir", str(tmp_path / "run"))
    assert "the prompt holds 'Ω', which the model has never seen" in error
    assert not (tmp_path / "run").exists()


def test_predict_says_what_to_do_instead(run, capsys):
    error = complaint(capsys, "predict", "-c", str(run / "config.yaml"), "--ckpt_path", last(run))
    assert "a CharLanguageModel makes no predictions: `python cli.py sample` generates" in error
