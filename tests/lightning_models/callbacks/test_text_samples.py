import csv
from functools import partial
from types import SimpleNamespace

import pytest

from lightning_models.callbacks.text_samples import TextSamples
from lightning_models.language_model import CharLanguageModel
from lightning_models.networks import CharRNN


def trainer(folder, global_step):
    return SimpleNamespace(
        global_step=global_step, current_epoch=0, is_global_zero=True, default_root_dir=str(folder), loggers=[]
    )


def test_samples_are_written_once_a_batch_and_survive_a_resume(tmp_path):
    model = CharLanguageModel(list("ab\n"), network=partial(CharRNN, hidden_dim=4))
    samples = TextSamples(length=12, prompt="ab")
    samples.on_train_start(trainer(tmp_path, 0), model)
    samples.on_train_epoch_end(trainer(tmp_path, 7), model)
    samples.on_train_end(trainer(tmp_path, 7), model)
    files = sorted((tmp_path / "samples").glob("*.txt"))
    assert [file.name for file in files] == ["text-0000000.txt", "text-0000007.txt"]
    assert len(files[0].read_text()) == 14
    assert files[0].read_text().startswith("ab")

    resumed = TextSamples(length=12, prompt="ab")
    resumed.load_state_dict(samples.state_dict())
    resumed.on_train_end(trainer(tmp_path, 9), model)
    with (tmp_path / "samples" / "texts.csv").open(newline="") as table:
        rows = list(csv.reader(table))
    assert rows[0] == ["batches", "text"]
    assert [int(batches) for batches, _ in rows[1:]] == [0, 7, 9]
    assert rows[1][1] == files[0].read_text()


def test_samples_at_the_start_and_the_end_alone(tmp_path):
    model = CharLanguageModel(list("ab\n"), network=partial(CharRNN, hidden_dim=4))
    samples = TextSamples(length=3, every_n_epochs=0)
    samples.on_train_epoch_end(trainer(tmp_path, 7), model)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"length": 0}, r"texts\.length is 0: expected at least 1"), ({"top_p": 2.0}, r"top-p is 2\.0")],
)
def test_options_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TextSamples(**options)


def test_every_option_of_sampling_is_used(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(CharLanguageModel, "generate", lambda self, *args: asked.append(args) or "text")
    model = CharLanguageModel(list("ab\n"), network=partial(CharRNN, hidden_dim=4))
    samples = TextSamples(11, "ab", temperature=0.5, top_k=2, top_p=0.75, seed=9)
    samples.on_train_end(trainer(tmp_path, 5), model)
    assert asked == [(11, "ab", 0.5, 2, 0.75, 9)]


@pytest.mark.parametrize(("every", "epochs"), [(1, [0, 1, 2, 3]), (2, [1, 3]), (3, [2])])
def test_samples_after_every_so_many_epochs(tmp_path, every, epochs):
    model = CharLanguageModel(list("ab\n"), network=partial(CharRNN, hidden_dim=4))
    samples = TextSamples(length=2, every_n_epochs=every)
    for epoch in range(4):
        now = trainer(tmp_path, 10 + epoch)
        now.current_epoch = epoch
        samples.on_train_epoch_end(now, model)
    assert [batches - 10 for batches, _ in samples.rows] == epochs


def test_a_resumed_run_has_no_sample_of_an_untrained_model(tmp_path):
    samples = TextSamples(length=2)
    samples.on_train_start(
        trainer(tmp_path, 3), CharLanguageModel(list("ab\n"), network=partial(CharRNN, hidden_dim=4))
    )
    assert samples.rows == []
