"""Study files: what is read, and what is said about mistakes."""

from pathlib import Path

import pytest
import yaml

import cli
from lab.errors import UserError
from lab.studies.study_file import name_of, read_study

ROOT = Path(__file__).parents[3]
STUDIES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "configs" / "studies").rglob("*.yaml"))
LEARNING_RATE = "model.optimizer.lr"
GIVEN = {
    "title": "Learning rates",
    "base": "configs/classifier/digits.yaml",
    "overrides": {"data.batch_size": 32},
    "grid": {LEARNING_RATE: [0.1, 0.01], "model.l2": [0.0, 1e-4, 1e-2]},
    "seeds": [3, 4],
    "record": ["val/accuracy", "val/loss"],
    "direction": "maximize",
    "quick": {"overrides": {"trainer.max_epochs": 1}, "grid": {LEARNING_RATE: [0.1]}, "seeds": [0]},
}


def write(path, **changes):
    """A study file with some keys changed; None leaves one out."""
    content = {key: value for key, value in {**GIVEN, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def in_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_grid_has_every_combination_with_every_seed(in_root, tmp_path):
    study = read_study(write(tmp_path / "rates.yaml"))
    assert study.name == "rates"
    assert study.num_trials == len(study.planned) == 2 * 3 * 2
    assert study.planned[0] == ({LEARNING_RATE: 0.1, "model.l2": 0.0}, 3)
    assert study.planned[1] == ({LEARNING_RATE: 0.1, "model.l2": 0.0}, 4)
    assert len({str(planned) for planned in study.planned}) == 12


def test_quick_size_replaces_grid_and_seeds_and_adds_overrides(in_root, tmp_path):
    study = read_study(write(tmp_path / "rates.yaml"), quick=True)
    assert study.planned == [({LEARNING_RATE: 0.1}, 0)]
    assert study.overrides == {"data.batch_size": 32, "trainer.max_epochs": 1}


def test_arguments_of_a_trial(in_root, tmp_path):
    study = read_study(write(tmp_path / "rates.yaml"))
    assert study.arguments({LEARNING_RATE: 0.1, "model.network.hidden_dims": [5, 6]}, 4) == [
        *("--trainer.devices=1", "-c", "configs/classifier/digits.yaml", "--data.batch_size=32"),
        *(f"--{LEARNING_RATE}=0.1", "--model.network.hidden_dims=[5, 6]", "--seed_everything=4"),
    ]


def test_the_name_tells_two_reports_apart():
    assert name_of(Path("configs/studies/report1/learning_rate.yaml")) == "report1/learning_rate"
    assert name_of(Path("elsewhere/learning_rate.yaml")) == "learning_rate"


MISTAKES = [
    ({"gird": {}}, "there is no key gird; did you mean grid?"),
    ({"grid": None}, "none of grid, list, search: give exactly one"),
    ({"list": [{}]}, "has grid and list: give exactly one"),
    ({"grid": {}}, "grid is empty"),
    ({"grid": {LEARNING_RATE: []}}, f"the grid of {LEARNING_RATE} is []: expected a list with at least one value"),
    ({"grid": {LEARNING_RATE: 0.1}}, f"the grid of {LEARNING_RATE} is 0.1: expected a list"),
    ({"grid": None, "list": []}, "list is []: expected lines such as"),
    ({"labels": ["a", "b"]}, "labels is ['a', 'b']: expected different names for the settings of a list"),
    ({"grid": None, "list": [{}, {}], "labels": ["a", "a"]}, "labels is ['a', 'a']: expected different names"),
    ({"grid": None, "list": [{}, {}], "labels": ["a"]}, "there are 1 labels for 2 settings"),
    ({"grid": None, "search": {LEARNING_RATE: [1, 2]}}, "expected {low: 1e-4, high: 1e-2, log: true}"),
    ({"grid": None, "search": {LEARNING_RATE: {"low": 1, "high": 0.1}}}, "is from 1 to 0.1"),
    ({"grid": None, "search": {LEARNING_RATE: {"low": 0, "high": 1, "log": True}}}, "above 0"),
    ({"grid": None, "search": {LEARNING_RATE: {"low": 1e-4, "high": 1}}, "trials": 0}, "trials is 0"),
    ({"sampler": "grid"}, "sampler is 'grid': choose one of random, tpe"),
    ({"pruner": "hyperband"}, "pruner is 'hyperband': choose one of none, median, asha"),
    ({"direction": "up"}, "direction is 'up'"),
    ({"record": None}, "the key record is missing"),
    ({"record": {"val/loss": 1}}, "give a list of metrics"),
    ({"seeds": []}, "seeds is []"),
    ({"seeds": [-1]}, "seeds is [-1]"),
    ({"seeds": [True]}, "seeds is [True]"),
    ({"overrides": ["a"]}, "overrides is ['a']: give options"),
    ({"quick": {"overrides": ["a"]}}, "overrides is ['a']: give options"),
    ({"base": "configs/classifier/nothing.yaml"}, "there is no config configs/classifier/nothing.yaml"),
    ({"plot": [{"x": "model.width", "y": "val/loss"}]}, "plot has x: model.width: the varied options are"),
    ({"plot": [{"x": LEARNING_RATE, "y": "val/fid"}]}, "plot has y: val/fid: the recorded metrics are"),
    ({"plot": ["val/fid"]}, "plot has 'val/fid'"),
]


@pytest.mark.parametrize(("changes", "told"), MISTAKES, ids=[told[:30] for _, told in MISTAKES])
def test_mistake_in_the_file(in_root, tmp_path, capsys, changes, told):
    path = write(tmp_path / "study.yaml", **changes)
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["study", str(path), "--study_dir", str(tmp_path / "study"), *["--quick"] * ("quick" in changes)])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "study").exists()


def test_what_stands_there_twice_is_one_trial(in_root, tmp_path, capsys):
    path = write(tmp_path / "study.yaml", grid={LEARNING_RATE: ["1e-3", 0.001, 0.1]}, seeds=[5, 5, 4])
    assert read_study(path).planned == [
        ({LEARNING_RATE: value}, seed) for value in ("1e-3", 0.1) for seed in (5, 4)
    ]  # fmt: skip
    assert capsys.readouterr().err.count("equal to an earlier one, tried once") == 2


def test_a_key_that_stands_twice_names_both_lines(in_root, tmp_path):
    path = write(tmp_path / "study.yaml")
    text = path.read_text()
    path.write_text(f"{text}\nseeds: [9]\n")
    line = 1 + next(number for number, line in enumerate(text.splitlines()) if line.startswith("seeds"))
    with pytest.raises(UserError, match=f"study.yaml has the key seeds in line {line} and again in line "):
        read_study(path)


def test_quick_size_that_is_not_there(in_root, tmp_path):
    with pytest.raises(ValueError, match="has no quick size: add a key `quick`"):
        read_study(write(tmp_path / "study.yaml", quick=None), quick=True)


def test_file_that_is_not_there_names_the_nearest(in_root, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["study", "configs/studies/report5/widht.yaml"])
    assert "did you mean configs/studies/report5/width.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("values", [11, 1000])  # of four options; the second one would not fit into memory
def test_a_grid_too_large_to_be_meant_says_how_many(in_root, tmp_path, capsys, values):
    grid = {f"model.{name}": list(range(values)) for name in "abcd"}
    path = write(tmp_path / "study.yaml", grid=grid, seeds=[0])
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(["study", str(path), "--study_dir", str(tmp_path / "study")])
    assert f"study has {values**4:,} trials ({values**4:,} settings, 1 seeds)" in capsys.readouterr().err


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("path", STUDIES)
def test_every_study_is_read(in_root, path, quick):
    study = read_study(Path(path), quick)
    assert 1 <= study.num_trials <= 1000
    assert study.question.endswith("?")
    assert study.caption
    assert len({str(setting) for setting in study.settings}) == len(study.settings)
    assert path == f"configs/studies/{study.name}.yaml"


def test_every_question_of_the_reports_has_its_study():
    expected = {
        "report1": "gan_or_lsgan spectral_norm learning_rate noise_size beta1 snapshots char_rnn_type char_rnn_layers "
        "char_rnn_hidden_size char_rnn_learning_rate language_type language_layers language_hidden_size "
        "language_learning_rate",
        "report2": "tanh latent label_smoothing batch_normalization input_noise loss",
        "report3": "palindromes learning_rate rnn_or_lstm forget_bias gan_samples",
        "report4": " ".join(
            f"{model}_{data}_{what}"
            for model in ("vae", "gan", "wgan")
            for data in ("mnist", "cifar10")
            for what in ("latent", "layers")
        ),
        "report5": "width lambda activation budget dense_or_convolutional gan_epochs",
    }
    for report, names in expected.items():
        for name in names.split():
            assert f"configs/studies/{report}/{name}.yaml" in STUDIES


def test_quick_sizes_that_end_by_batches_end_with_a_validation(monkeypatch):
    """Lightning validates after an epoch, and stops without after fewer batches than that."""
    monkeypatch.chdir(ROOT)
    quick = {path: read_study(ROOT / path, True).overrides for path in STUDIES}
    limited = {path: options for path, options in quick.items() if options.get("trainer.max_steps", -1) != -1}
    assert limited
    for path, options in limited.items():
        steps = options["trainer.max_steps"]
        between = options.get("trainer.val_check_interval", options.get("trainer.limit_train_batches", steps + 1))
        assert between <= steps, path


def test_the_folder_of_a_study_knows_what_makes_it_another_one(in_root, tmp_path):
    """Keys of study.yaml, by which the folders of earlier versions are known, too."""
    grid = read_study(write(tmp_path / "s.yaml", quick=None)).as_dict()
    common = ["title", "question", "caption", "base", "overrides", "seeds", "record", "direction", "plot", "quick"]
    assert sorted(grid) == sorted([*common, "grid", "pruner"])
    search = {"grid": None, "search": {"model.l2": {"low": 0.1, "high": 1.0}}, "trials": 7, "sampler": "random"}
    searched = read_study(write(tmp_path / "s.yaml", quick=None, **search)).as_dict()
    assert sorted(searched) == sorted([*common, "search", "pruner", "sampler", "trials"])
    assert (searched["trials"], searched["sampler"], searched["pruner"]) == (7, "random", "none")
    settings = {"grid": None, "list": [{"model.l2": 0.0}, {"model.l2": 0.1}], "labels": ["a", "b"]}
    listed = read_study(write(tmp_path / "s.yaml", quick=None, **settings)).as_dict()
    assert sorted(listed) == sorted([*common, "list", "labels", "pruner"])
    assert (listed["labels"], listed["quick"]) == (["a", "b"], False)
