"""A mistake ends in one line that says what was wrong and what would be right, and exit status 2."""

import pytest

import cli

GAN_ON_DIGITS = ["fit", "--model", "GAN", "--data", "Digits"]


def complaint(capsys, *args):
    with pytest.raises(SystemExit) as stopped:
        cli.main(list(args))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    return error.removeprefix("error: ").strip()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model", "GAM", "--data", "Digits"],
            "--model GAM: there is no such class; did you mean GAN?; choose one of GAN, ",
        ),
        (["--model", "GAN", "--data", "Digit"], "--data Digit: there is no such class; did you mean Digits?"),
        (["--model", "GAN"], "--data is missing: choose one of Digits, MNIST, "),
        (["--model.latent_dim", "3"], "--model.latent_dim needs a class before it: --model is missing"),
        (["--model", "WGAN", "--data", "Text"], "a WGAN cannot learn from Text: choose --data Digits, MNIST, "),
        (
            ["--model", "CharLanguageModel", "--data", "Names"],
            "a CharLanguageModel cannot learn from Names: ",
        ),
        (["--model", "GAN", "--data", "ImageFolder"], "--data.path is missing: the folder or .zip of images"),
    ],
)
def test_classes(capsys, in_tmp_path, options, message):
    assert complaint(capsys, "fit", *options).startswith(message)
    assert not list(in_tmp_path.iterdir())  # nothing was made


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.latent_dimm", "3"], "there is no option --model.latent_dimm of GAN; did you mean latent_dim?"),
        (["--model.latent_dim", "x"], "--model.latent_dim is 'x': expected a whole number"),
        (["--model.noise", "gauss"], "--model.noise is 'gauss': expected one of normal, uniform, normal_over_max"),
        (["--model.generator", "DCGANGen"], "--model.generator DCGANGen: there is no such class; did you mean DCGANG"),
        (
            ["--model.generator.widht", "3"],
            "there is no option --model.generator.widht of DCGANGenerator; did you mean width?",
        ),
        (["--model.objective.real_label", "x"], "--model.objective.real_label is 'x': expected a number"),
        (["--model.optimizer_g", "Adamm"], "--model.optimizer_g Adamm: there is no such class; did you mean Adam"),
        (["--model.image_shape", "[1,2,3]"], "--model.image_shape follows from the data and cannot be set"),
        (["--trainer.max_epoks", "3"], "there is no option --trainer.max_epoks of Trainer; did you mean max_epochs"),
        (["--trainer.precision", "bf17"], "--trainer.precision is 'bf17': expected one of 64, 32, 16,"),
        (["--samples.gird", "3"], "there is no option --samples.gird of ImageSamples; did you mean grid?"),
        (["--optimizer.lr", "3"], "there is no option --optimizer; there are config, model, data, "),
        (["--data.value_range", "[0,1]"], "the generator produces values in [-1.0, 1.0] but the data's are in [0.0"),
        (["--data.batch_size", "0"], "batch_size is 0: use a whole number from 1 up"),
        (["--model.objective", "Wasserstein", "--model.objective.real_label", "0.9"], "Wasserstein has no labels in"),
        (["--trainer.log_every_n_steps", "0"], "--trainer.log_every_n_steps is 0: expected at least 1"),
        (["--trainer", "5"], "--trainer is 5: expected the name of one of its options, such as --trainer.accelerator"),
        (["--wandb", "null"], "--wandb is null: expected the name of one of its options, such as --wandb.mode"),
        (["--quiet", "false"], "--quiet is 'false': it takes no value"),
        (["--model.generator", "null"], "--model.generator is null: expected a kind of Generator (choose one of Conv"),
        (["--trainer.logger", "5"], "--trainer.logger 5: there is no such class; choose one of "),
        (["--ckpt_path", "nope.ckpt"], "there is no checkpoint nope.ckpt: a run keeps its own in RUN/checkpoints/"),
    ],
)
def test_options(capsys, in_tmp_path, options, message):
    assert complaint(capsys, *GAN_ON_DIGITS, *options).startswith(message)
    assert not list(in_tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("model: {class_path: GANN}", "--model GANN: there is no such class; did you mean GAN"),
        (
            "model: {class_path: GAN, init_args: {latent_dimm: 3}}",
            "there is no option --model.latent_dimm of GAN; did you mean latent_dim?",
        ),
        (
            "model: {class_path: GAN, init_args: {generator: {class_path: MLPGenerator, init_args: {hidden_dim: 8}}}}",
            "there is no option --model.generator.hidden_dim of MLPGenerator; did you mean hidden_dims",
        ),
        (
            "trainer:\n  max_epochs: 3\ntrainer:\n  max_steps: 5",
            "the config file mine.yaml has the key trainer in line 1 and again in line 3: keep one of them",
        ),
        ("trainer: {max_epoch: 3}", "there is no option --trainer.max_epoch of Trainer; did you mean max_epochs"),
        ("model: {class_path: GAN, init_args: {7: 3}}", "there is no option --model.7 of GAN; there are latent_dim, "),
        ("model: [", "the config file mine.yaml is not valid YAML: while parsing"),
    ],
)
def test_config_files(capsys, in_tmp_path, config, message):
    (in_tmp_path / "mine.yaml").write_text(f"{config}\n")
    assert complaint(capsys, "fit", "-c", "mine.yaml", "--data", "Digits").startswith(message)


def test_a_config_file_that_is_not_there(capsys, in_tmp_path):
    (in_tmp_path / "configs" / "gan").mkdir(parents=True)
    (in_tmp_path / "configs" / "gan" / "digits.yaml").touch()
    assert complaint(capsys, "fit", "-c", "configs/gan/digit.yaml") == (
        "there is no config file configs/gan/digit.yaml; did you mean configs/gan/digits.yaml?"
    )


def test_the_command_word(capsys):
    assert complaint(capsys, "smaple") == "there is no command 'smaple': did you mean 'sample'?"
    assert complaint(capsys, "frobnicate").startswith("there is no command 'frobnicate': choose one of fit, validate,")


def test_help_names_every_command_without_importing_torch(capsys):
    import subprocess
    import sys

    code = "import sys, cli\ntry: cli.main(['--help'])\nfinally: print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "False"
    for command in ("fit", "validate", "test", "predict", "sample", "interpolate"):
        assert f"\n  {command} " in printed
