"""How many batches a run would take and when it would be ended, before it is run."""

import math

import pytest

from lab.training import plan as plan_module
from lab.training.plan import BatchTimer, Plan, seconds_of

RUN = ["--model", "ImageClassifier", "--data", "Digits", "--data.batch_size", "100"]  # 13 batches an epoch
GAN = ["--model", "GAN", "--data", "Digits"]


@pytest.fixture(scope="module")
def planned():
    """A function of options that gives the plan of a run; parser, data and model of RUN and GAN are made once."""
    plans = {}

    def plan(run, *options):
        key = tuple(run)
        if key not in plans:
            plans[key] = Plan(run)
        plans[key].config = plans[key].parser.parse_args(["fit", *run, *options])
        return plans[key]

    return plan


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        (["--trainer.max_epochs=3"], 3 * 13),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=5"], 3 * 5),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=1"], 3),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=1.0"], 3 * 13),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=0.5"], 3 * 6),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=2.0"], 3 * 2),
        (["--trainer.max_epochs=3", "--trainer.limit_train_batches=99"], 3 * 13),
        (["--trainer.max_epochs=3", "--trainer.max_steps=20"], 20),
        (["--trainer.max_epochs=1", "--trainer.max_steps=20"], 13),
        (["--trainer.max_epochs=-1", "--trainer.max_steps=20"], 20),
        (["--trainer.max_steps=20"], 20),
        ([], 20 * 13),  # what a run takes where nothing ends it
        (["--trainer.max_time=00:00:01:00"], math.inf),
    ],
)
def test_batches(planned, options, batches):
    assert planned(RUN, *options).batches() == batches


def test_seconds(planned):
    assert planned(RUN, "--trainer.max_time=00:01:01:05").seconds() == 3665
    assert planned(RUN).seconds() == math.inf


def test_parameters(planned):
    model = planned(GAN).model
    expected = sum(sum(p.numel() for p in network.parameters()) for network in (model.generator, model.discriminator))
    assert planned(GAN).parameters == expected > 0
    assert planned([*GAN, "--model.ema_decay", "0.9"]).parameters == expected  # the average learns nothing


@pytest.mark.parametrize(
    ("options", "metric", "reason"),
    [
        ([], "val/fid", ""),
        ([], "val/modes", "it needs a classifier of the images. To train one: python cli.py fit -c configs/"),
        (["--quality.network=none"], "val/modes", "quality.network is none"),
        (["--quality.network=random", "--quality.every_n_epochs=0"], "val/kid", "quality.every_n_epochs is 0"),
        (["--quality.network=random"], "val/fid", ""),
        ([], "train/d_loss", ""),
    ],
)
def test_why_samples_would_not_be_measured(planned, options, metric, reason):
    found = planned(GAN, *options).why_unmeasured(metric)
    assert reason in found
    assert bool(found) == bool(reason)


def test_a_classifier_has_a_precision_of_its_own(planned):
    assert planned(RUN).why_unmeasured("val/precision") == ""


def test_nothing_is_written(in_tmp_path):
    Plan(RUN)
    assert not list(in_tmp_path.iterdir())


@pytest.mark.parametrize(("seconds", "mean"), [([9.0, 9.0, 9.0, 1.0, 3.0], 2.0), ([9.0, 3.0], 6.0)])
def test_the_first_three_batches_do_not_count_where_there_are_more(seconds, mean):
    timer = BatchTimer()
    timer.seconds = seconds
    assert timer.seconds_per_batch() == mean


def test_a_batch_is_timed_from_its_start_to_its_end(monkeypatch):
    clock = iter([10.0, 10.5, 20.0, 21.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    timer = BatchTimer()
    for _ in range(2):
        timer.on_train_batch_start()
        timer.on_train_batch_end()
    assert timer.seconds == [0.5, 1.5]


@pytest.mark.parametrize(("limit", "seconds"), [([], 39 * 2.0), (["--trainer.max_time=00:00:00:50"], 50)])
def test_the_time_of_a_run_is_that_of_a_few_batches_times_their_number(monkeypatch, limit, seconds):
    begun = []

    def run_trainer(command, options, callbacks):
        begun.append((command, options))
        callbacks[0].seconds = [2.0] * 20

    monkeypatch.setattr(plan_module, "run_trainer", run_trainer)
    assert seconds_of([*RUN, "--trainer.max_epochs=3", *limit]) == seconds
    ((command, options),) = begun
    assert command == "fit"
    wanted = ["limit_train_batches=20", "max_epochs=1", "limit_val_batches=0", "log_every_n_steps=1"]
    given = [option for option in options if not option.startswith("--run_dir=")]
    expected = [*(f"--trainer.{option}" for option in wanted), "--quiet", "--wandb.mode=disabled"]
    assert given[len(RUN) + 1 + len(limit) :] == expected
