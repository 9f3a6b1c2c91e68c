"""Trials that are begun more than once: lost, stopped, failed."""

import json
import os
import signal

import pytest
import torch

from lab.studies import engine, heartbeat
from lab.studies import queue as queue_module
from lab.studies.results import write_results
from lab.studies.study_file import read_study
from lab.studies.trial import MissingMetricError, run_dir_of, run_trial
from tests.lab.studies.small_studies import WIDTHS, opened, rows, run, write


def test_a_lost_trial_comes_back_and_nothing_counts_twice(tmp_path, fake):
    file, study_dir = write(tmp_path / "s.yaml"), tmp_path / "study"
    study, queue = opened(file, study_dir)
    _, lost = queue.take()  # by a process that is gone
    host = heartbeat.worker_name().rpartition(":")[0].rpartition(":")[0]
    worker = f"{host}:{os.getpid()}:1"  # the number of another process that began earlier
    lost.set_user_attr(heartbeat.RUN, {**heartbeat.first_beat(), heartbeat.WORKER: worker})
    engine.work(study, study_dir, opened(file, study_dir)[1])
    found = write_results(study, study_dir, queue)
    assert [(row["trial"], row["state"]) for row in found] == [(k, "complete") for k in range(4)]
    assert len(fake) == 4


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)])
def test_a_study_that_is_stopped_at_will_goes_on_with_the_trial_it_was_at(tmp_path, monkeypatch, fake, capsys, stop):
    file, study_dir = write(tmp_path / "s.yaml"), tmp_path / "study"
    done = engine.run_trial
    begun = []

    def stopped_in_the_second(study, run_dir, setting, seed, callbacks):
        begun.append(run_dir.name[:4])
        if len(begun) in (2, 3, 4, 5, 6):
            raise stop
        return done(study, run_dir, setting, seed, callbacks)

    monkeypatch.setattr(engine, "run_trial", stopped_in_the_second)
    study, _ = opened(file, study_dir)
    for _ in range(5):
        with pytest.raises(SystemExit) as status:
            engine.work(study, study_dir, opened(file, study_dir)[1])
        assert status.value.code == (130 if isinstance(stop, KeyboardInterrupt) else 143)
    assert "stopped: the same command resumes the study" in capsys.readouterr().err
    queue = opened(file, study_dir)[1]
    engine.work(study, study_dir, queue)
    assert begun == ["0000", *["0001"] * 6, "0002", "0003"]
    assert [row["state"] for row in write_results(study, study_dir, queue)] == ["complete"] * 4


def test_sigterm_at_the_end_of_a_run_keeps_its_result_and_takes_no_other(tmp_path, monkeypatch, fake):
    file, study_dir = write(tmp_path / "s.yaml"), tmp_path / "study"
    done = engine.run_trial

    def told_at_its_end(*args):
        found = done(*args)
        os.kill(os.getpid(), signal.SIGTERM)
        return found

    monkeypatch.setattr(engine, "run_trial", told_at_its_end)
    run(file, study_dir, status=143)
    assert [row["state"] for row in rows(study_dir)] == ["complete", *["waiting"] * 3]


def test_a_run_that_ended_before_it_was_booked_is_not_run_again(tmp_path):
    study = read_study(write(tmp_path / "s.yaml", grid={WIDTHS: [[4]]}, seeds=[0]))
    first = run_dir_of(tmp_path, 0, {WIDTHS: [4]}, 0)
    first.mkdir(parents=True)
    kept = {"metrics": {"val/accuracy": 0.5}, "parameters": {"network": 7, "network_ema": 7}, "seconds": 2.0}
    (first / "summary.json").write_text(json.dumps(kept))
    assert run_dir_of(tmp_path, 0, {WIDTHS: [4]}, 0) == first
    assert run_dir_of(tmp_path, 0, {WIDTHS: [4]}, 0, retried=True).name == f"{first.name}-attempt2"
    found = run_trial(study, first, {WIDTHS: [4]}, 0, [])
    expected = {"metrics": {"val/accuracy": 0.5}, "parameters": 7, "seconds": 2.0, "alarms": ""}
    assert found == {**expected, "run_dir": f"trials/{first.name}"}


def test_a_broken_checkpoint_is_told_and_set_aside_and_the_trial_starts_anew(tmp_path, fake, capsys):
    file, study_dir = write(tmp_path / "s.yaml", grid={WIDTHS: [[4]]}, seeds=[0]), tmp_path / "study"
    study, _ = opened(file, study_dir)
    killed = run_dir_of(study_dir, 0, {WIDTHS: [4]}, 0) / "checkpoints"
    killed.mkdir(parents=True)
    for content, name in ((b"", "last.ckpt.broken-1"), (b"PK\x03\x04 cut off", "last.ckpt.broken-2")):
        (killed / "last.ckpt").write_bytes(content)
        anew = run_dir_of(study_dir, 0, {WIDTHS: [4]}, 0)
        assert anew.name == f"{killed.parent.name}-attempt2"
        assert (killed / name).read_bytes() == content
        told = f"{killed.parent.name}: starts anew, and last.ckpt is now {name}: {killed}/last.ckpt is not a checkpoint"
        assert capsys.readouterr().err.startswith(told)
    queue = opened(file, study_dir)[1]
    engine.work(study, study_dir, queue)
    found = write_results(study, study_dir, queue)
    assert [(row["state"], row["run_dir"]) for row in found] == [("complete", f"trials/{anew.name}")]


def test_a_whole_checkpoint_is_resumed_from(tmp_path, capsys):
    first = run_dir_of(tmp_path, 0, {WIDTHS: [4]}, 0)
    (first / "checkpoints").mkdir(parents=True)
    torch.save({"state_dict": {}}, first / "checkpoints" / "last.ckpt")
    assert run_dir_of(tmp_path, 0, {WIDTHS: [4]}, 0) == first
    assert capsys.readouterr().err == ""


def test_a_worker_whose_trial_was_taken_for_lost_leaves_it_to_others_and_goes_on(tmp_path, monkeypatch, capsys):
    seen, file, study_dir = [], write(tmp_path / "s.yaml", seeds=[0]), tmp_path / "study"

    def run_trial(study, run_dir, setting, seed, callbacks):
        run_dir.mkdir(parents=True, exist_ok=True)
        if not seen:
            with monkeypatch.context() as elsewhere:
                elsewhere.setattr(queue_module, "is_stale", lambda trial: True)
                opened(file, study_dir)[1].look()
            seen.append(callbacks[0].abandoned.wait(5))
            callbacks[0].on_train_batch_start()
        return {"metrics": {"val/accuracy": 0.5}, "parameters": 1, "seconds": 1.0, "alarms": ""}

    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(engine, "run_trial", run_trial)
    run(file, study_dir)
    assert seen == [True]
    assert [row["state"] for row in rows(study_dir)] == ["complete"] * 2
    assert not list(study_dir.glob("trials/*/error.txt"))
    assert "was taken from it: another worker resumes it" in capsys.readouterr().err


def test_the_error_of_an_attempt_that_failed_goes_when_another_one_succeeds(tmp_path, monkeypatch):
    def run_trial(study, run_dir, setting, seed, callbacks):
        (run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": {}}, run_dir / "checkpoints" / "last.ckpt")
        if not (run_dir / "error.txt").exists():
            raise MissingMetricError("the run logged no finite val/accuracy")
        return {"metrics": {"val/accuracy": 0.5}, "parameters": 1, "seconds": 1.0, "alarms": ""}

    monkeypatch.setattr(engine, "run_trial", run_trial)
    file, study_dir = write(tmp_path / "s.yaml", grid={WIDTHS: [[4]]}, seeds=[0]), tmp_path / "study"
    run(file, study_dir, status=1)
    assert len(list(study_dir.glob("trials/*/error.txt"))) == 1
    run(file, study_dir, "--retry_failed")
    assert [row["state"] for row in rows(study_dir)] == ["complete"]
    assert not list(study_dir.glob("trials/*/error.txt"))
