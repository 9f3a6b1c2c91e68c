"""The command line and config files as one tree."""

import json

import pytest

from lab.errors import UserError
from lab.training.given import CLASS, read_config, read_given


def tree(*arguments):
    return read_given(list(arguments)).tree


def test_options_form_a_tree_and_later_ones_override():
    assert tree("--model", "GAN", "--model.latent_dim", "3", "--model.latent_dim=4") == {
        "model": {CLASS: "GAN", "latent_dim": "4"}
    }
    assert tree("--quiet", "--run_dir", "a") == {"quiet": True, "run_dir": "a"}
    assert tree("--trainer.max_steps", "-1")["trainer"] == {"max_steps": "-1"}


def test_levels_of_init_args_are_left_out():
    assert tree("--model.init_args.generator.init_args.width", "3") == {"model": {"generator": {"width": "3"}}}


def test_lists_are_appended_to_and_their_last_object_is_configured():
    found = tree("--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=x", "--trainer.callbacks+=Other")
    assert found["trainer"]["callbacks"] == [{CLASS: "EarlyStopping", "monitor": "x"}, "Other"]


def test_a_config_and_what_is_typed_are_merged(tmp_path):
    (tmp_path / "a.yaml").write_text("model: {class_path: GAN, init_args: {latent_dim: 3, n_critic: 2}}\n")
    found = read_given(["-c", str(tmp_path / "a.yaml"), "--model.latent_dim", "4"])
    assert found.tree == {"model": {CLASS: "GAN", "latent_dim": "4", "n_critic": 2}}
    assert found.config_files == [tmp_path / "a.yaml"]
    assert found.arguments == ["-c", str(tmp_path / "a.yaml"), "--model.latent_dim", "4"]


@pytest.mark.parametrize("classes", [["--model", "GAN"], ["-c", "a.yaml"]])
def test_options_before_their_class_are_refused(in_tmp_path, classes):
    (in_tmp_path / "a.yaml").write_text("model: {class_path: GAN}\n")
    with pytest.raises(
        UserError, match=r"--model\.latent_dim comes before the class that has it: name that first, with"
    ):
        tree("--model.latent_dim", "3", *classes)
    assert tree("--trainer.max_epochs", "3", "--model.generator.width", "4")["model"] == {"generator": {"width": "4"}}


def test_options_of_a_class_that_was_exchanged_are_inherited(tmp_path):
    (tmp_path / "a.yaml").write_text("model: {class_path: GAN, init_args: {latent_dim: 3}}\n")
    found = tree("-c", str(tmp_path / "a.yaml"), "--model", "ImageClassifier", "--model.l1", "1")["model"]
    assert found["inherited options"] == ["latent_dim"]
    found = tree("-c", str(tmp_path / "a.yaml"), "--model", "ImageClassifier", "--model.latent_dim", "1")["model"]
    assert found["inherited options"] == []


def test_class_paths_of_earlier_versions_are_translated_for_the_parser(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {class_path: datamodules.names.Names}\n")
    found = read_given(["-c", str(tmp_path / "a.yaml")])
    assert found.tree["data"] == {CLASS: "datamodules.sequences.Names"}
    assert json.loads(found.arguments[1]) == {"data": {CLASS: "datamodules.sequences.Names"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n", "holds no options"),
        (b"a: [", "is not valid YAML"),
        (b"a: \xfc\n", "is not UTF-8"),
        (b"a: 0x_\n", "is not valid YAML: invalid literal for int"),
    ],
)
def test_config_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_config(path)


@pytest.mark.parametrize("key", ["", "init_args", "model.init_args", "model."])
def test_keys_that_name_nothing(tmp_path, key):
    (tmp_path / "a.yaml").write_text(f"'{key}': {{lr: 1}}\n")
    with pytest.raises(UserError, match=f"a config has the option '{key}': expected a name such as model or model"):
        tree("-c", str(tmp_path / "a.yaml"))


def test_words_that_are_no_options():
    with pytest.raises(UserError, match="'stray' is no option"):
        read_given(["stray"])
    with pytest.raises(UserError, match="-c needs the name of a config file"):
        read_given(["-c"])


def test_numbers_are_read_as_the_parser_reads_them(tmp_path):
    (tmp_path / "a.yaml").write_text("x: 1e-3\n")
    assert read_config(tmp_path / "a.yaml") == {"x": 0.001}


def test_options_of_earlier_versions_are_those_of_the_injected_network(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("model: {class_path: SequenceClassifier, init_args: {cell: gru, members: 3}}\n")
    model = tree("-c", str(path), "--model.hidden_size", "8")["model"]
    assert model["network"]["members"] == 3
    assert model["network"]["network"]["cell"] == "gru"
    assert model["network"]["network"]["hidden_size"] == "8"
    found = read_given(["--model", "CharLanguageModel", "--model.cell=gru"])
    assert found.arguments == ["--model", "CharLanguageModel", "--model.network.cell=gru"]
    assert read_given(["--model", "GAN", "--model.latent_dim", "3"]).arguments[-2:] == ["--model.latent_dim", "3"]


def test_a_typed_null_of_a_nested_option_is_null_for_the_parser():
    found = read_given(["--model.network.forget_bias=null"])
    assert found.arguments == ['--model.network={"init_args": {"forget_bias": null}}']
    assert found.tree == {"model": {"network": {"forget_bias": None}}}
    assert read_given(["--model.ema_decay", "null"]).arguments == ["--model.ema_decay", "null"]
