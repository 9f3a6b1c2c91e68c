"""Which place is taken next, and how those of stopped and killed workers come back."""

import shutil
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from lab.studies import heartbeat
from lab.studies import queue as queue_module
from lab.studies.heartbeat import RESULT, RUN, facts
from lab.studies.queue import MOST_ATTEMPTS, STOPPED, Queue, count_attempts
from lab.studies.storage import open_journal

BEFORE = Path(__file__).parents[2] / "data" / "before_queue"  # studies that were begun before this queue


@pytest.fixture
def optuna_study():
    return optuna.create_study()


@pytest.fixture
def queue(optuna_study):
    """Of three places, with nothing taken."""
    return Queue(optuna_study, 3)


def worker(queue):
    """Another worker of the same study, which knows nothing yet."""
    return Queue(queue.optuna_study, queue.size)


def take(queue):
    """The place that the next worker takes, as every worker sees it afterwards."""
    taken = worker(queue).take()
    return None if taken is None else taken[0]


def kill(trial):
    """The process that runs it is gone."""
    trial.set_user_attr("worker", "elsewhere:1:1")
    trial.set_user_attr("signed", 0.0)


def states(queue):
    """State of each place that was begun; None if it comes back."""
    queue.read()
    currents = {place: queue.current(place) for place in sorted(queue.places)}
    return {place: trial and trial.state for place, trial in currents.items()}


def test_each_place_is_taken_once_and_nothing_is_enqueued(queue):
    assert [take(queue) for _ in range(4)] == [0, 1, 2, None]
    assert [trial.state for trial in queue.optuna_study.trials] == [TrialState.RUNNING] * 3
    assert [trial.number for trial in queue.optuna_study.trials] == [0, 1, 2]


def test_a_trial_that_has_just_begun_has_a_worker(queue):
    _, trial = queue.take()
    assert not heartbeat.is_stale(queue.optuna_study.trials[0])
    queue.lose(trial, STOPPED)
    queue.look()
    _, replacement = queue.take()
    assert facts(replacement)["worker"] == heartbeat.worker_name()
    assert not heartbeat.is_stale(queue.optuna_study.trials[1])


def test_workers_that_know_of_nobody_else_share_the_places(queue):
    """As they do between two looks: each began with an empty storage."""
    workers = [worker(queue) for _ in range(2)]
    for one in workers:
        one.look()
    assert [one.take()[0] for one in [*workers, workers[0]]] == [0, 1, 2]
    assert [one.take() for one in workers] == [None, None]
    assert [trial.user_attrs.get("void", False) for trial in queue.optuna_study.trials] == [False] * 3 + [True] * 2
    assert list(states(queue)) == [0, 1, 2]


@pytest.mark.parametrize("stopped", [False, True])
def test_places_that_come_back_go_first(queue, stopped):
    begun = [queue.take() for _ in range(2)]
    if stopped:
        assert queue.lose(begun[1][1], STOPPED)
    else:
        kill(begun[1][1])
    assert [take(queue) for _ in range(3)] == [1, 2, None]
    assert states(queue) == dict.fromkeys(range(3), TrialState.RUNNING)


def test_the_place_whose_number_went_to_a_replacement_is_made_up_for(queue):
    for _ in range(2):
        kill(worker(queue).take()[1])
        assert worker(queue).look() == 1
    _, trial = worker(queue).take()
    assert (trial.number, facts(trial)["attempts"]) == (2, 3)
    assert [take(queue) for _ in range(3)] == [1, 2, None]
    assert [trial.number for trial in queue.optuna_study.trials] == [0, 1, 2, 3, 4]
    assert list(states(queue).values()) == [TrialState.RUNNING] * 3


def test_only_one_of_two_replacements_counts(queue):
    place, lost = queue.take()
    kill(lost)
    first, second = worker(queue), worker(queue)
    assert (first.look(), second.look()) == (1, 0)
    assert second.returning() == first.returning() == place == 0
    assert second.take()[0] == 0
    assert first.take()[0] == 1  # number 1 replaces 0; number 2, which replaced it too, is void; 3 makes up for 1
    assert ["void" in trial.user_attrs for trial in queue.optuna_study.trials] == [False, False, True, False]
    assert [take(queue) for _ in range(2)] == [2, None]


def test_a_replacement_whose_worker_died_before_it_saw_that_it_was_second_takes_nothing(queue):
    _, lost = queue.take()
    queue.lose(lost, STOPPED)
    behind = worker(queue)
    behind.look()
    template = behind.replacement(0)
    assert take(queue) == 0
    template.user_attrs.update(worker="elsewhere:1:1", signed=0.0)  # which go before what RUN says
    queue_module.begin(queue.optuna_study, template)
    assert worker(queue).look() == 1
    assert states(queue)[0] is TrialState.RUNNING
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def second_to(queue, ending):
    """Place 0 came back and two workers have begun a trial for it; the first one has ended. The second one's trial."""
    _, lost = queue.take()
    queue.lose(lost, STOPPED)
    behind = worker(queue)
    behind.look()
    template = behind.replacement(0)
    place, first = worker(queue).take()
    second = queue_module.begin(queue.optuna_study, template)
    assert (place, first.number, second.number) == (0, 1, 2)
    queue.end(first, ending, 1.0 if ending is TrialState.COMPLETE else None)
    return second


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.FAIL])
@pytest.mark.parametrize("alive", [True, False])
def test_a_second_replacement_takes_nothing_from_one_that_has_ended(queue, ending, alive):
    second = second_to(queue, ending)
    if not alive:
        kill(second)
        assert worker(queue).look() == 1
    assert states(queue)[0] is ending
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def test_a_retry_makes_up_for_what_failed_before_it_only(queue):
    second_to(queue, TrialState.FAIL)
    queue.retry_failed()
    place, trial = worker(queue).take()
    assert (place, facts(trial)["retried"]) == (0, True)
    queue.end(trial, TrialState.FAIL)
    assert states(queue)[0] is TrialState.FAIL
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def test_a_worker_that_is_killed_as_soon_as_it_has_begun_is_known_to_be_dead(queue, monkeypatch):
    monkeypatch.setattr(heartbeat, "worker_name", lambda: f"{heartbeat.socket.gethostname()}:1:never")
    queue.take()
    assert heartbeat.is_stale(queue.optuna_study.trials[0])


def test_two_workers_that_find_the_same_dead_one(queue, monkeypatch):
    kill(queue.take()[1])
    first, second = worker(queue), worker(queue)
    second.read()
    assert first.look() == 1
    monkeypatch.setattr(second, "read", lambda: None)  # its knowledge is older
    assert second.look() == 0
    assert take(queue) == 0


def test_a_worker_that_dies_while_it_marks_a_trial_loses_none(queue, monkeypatch):
    _, trial = queue.take()
    with monkeypatch.context() as dying:
        dying.setattr(queue_module, "end", lambda *args: exit(1))
        with pytest.raises(SystemExit):
            queue.lose(trial, STOPPED)
    assert states(queue) == {0: TrialState.RUNNING}
    kill(trial)
    assert take(queue) == 0


def test_an_ended_trial_is_not_lost(queue):
    _, trial = queue.take()
    queue.end(trial, TrialState.COMPLETE, 1.0)
    assert not queue.lose(trial, STOPPED)
    assert states(queue) == {0: TrialState.COMPLETE}
    assert queue.optuna_study.best_value == 1.0


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_what_has_ended_is_not_taken_again(queue, ending):
    _, trial = queue.take()
    queue.end(trial, ending, 1.0 if ending is TrialState.COMPLETE else None)
    assert states(queue)[0] is ending
    assert [take(queue) for _ in range(3)] == [1, 2, None]


def test_dead_workers_are_looked_for_every_few_seconds(optuna_study, monkeypatch):
    queue = Queue(optuna_study, 4)
    kill(queue.take()[1])
    assert [queue.take()[0] for _ in range(2)] == [1, 2]
    monkeypatch.setattr(queue_module, "LOOK_SECONDS", -1.0)
    assert [queue.take()[0] for _ in range(2)] == [0, 3]


def test_the_more_workers_there_are_the_less_often_each_looks(optuna_study, monkeypatch):
    queue = Queue(optuna_study, 40)
    for _ in range(15):
        worker(queue).take()
    now, looks = [1000.0], []
    monkeypatch.setattr(queue_module, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(queue_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(queue, "look", lambda look=queue.look: looks.append(now[0]) or look())
    for _ in range(20):
        queue.take()
        now[0] += 0.25
    assert looks == [1000.0, 1001.75, 1004.0]  # 15 others, and then its own, too


def test_dead_workers_are_looked_for_before_a_worker_ends(queue):
    kill(queue.take()[1])
    assert [queue.take()[0] for _ in range(3)] == [1, 2, 0]


def lose_at(queue, checkpointed_at):
    """The next trial is taken, its run goes on from that checkpoint, and its process is killed; place and attempt."""
    place, trial = worker(queue).take()
    attempts = count_attempts(facts(trial), checkpointed_at)
    trial.set_user_attr(RUN, {"attempts": attempts, "checkpointed_at": checkpointed_at})
    kill(trial)
    return place, attempts


def test_attempts_are_counted_while_there_is_no_newer_checkpoint(queue):
    found = [lose_at(queue, checkpoint) for checkpoint in (None, None, None, 1, 1, 1, 2, 3, 3)]
    assert found == [(0, attempt) for attempt in (1, 2, 3, 1, 2, 3, 1, 1, 2)]


def test_a_stop_is_no_attempt(queue):
    for _ in range(MOST_ATTEMPTS + 1):
        place, trial = queue.take()
        assert (place, facts(trial).get("attempts", 1)) == (0, 1)
        queue.lose(trial, STOPPED)
        queue.look()


def test_failed_places_come_back_when_they_are_retried(queue):
    for _ in range(MOST_ATTEMPTS):
        lose_at(queue, 17)
    place, trial = worker(queue).take()
    assert (place, count_attempts(facts(trial), 17)) == (0, MOST_ATTEMPTS + 1)
    trial.set_user_attr(RUN, {"attempts": 4, "checkpointed_at": 17, "run_dir": "trials/0000"})
    queue.end(trial, TrialState.FAIL)
    assert take(queue) == 1
    for _ in range(2):  # twice does no harm
        worker(queue).retry_failed()
    assert states(queue) == {0: None, 1: TrialState.RUNNING}
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"], facts(trial)["retried"]) == (0, 1, True)
    queue.lose(trial, STOPPED)
    _, trial = worker(queue).take()
    assert not facts(trial)["retried"]  # it goes on with what the retry has begun


def test_a_lost_trial_of_a_search_keeps_its_values():
    queue = Queue(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)), 2)
    _, first = queue.take()
    value = first.suggest_float("lr", 1e-4, 1.0, log=True)
    queue.lose(first, STOPPED)
    place, again = worker(queue).take()
    assert (place, again.suggest_float("lr", 1e-4, 1.0, log=True)) == (0, value)
    place, other = worker(queue).take()
    assert place == 1
    assert other.suggest_float("lr", 1e-4, 1.0, log=True) != value
    assert take(queue) is None


def test_results_are_read_whoever_wrote_them(queue):
    _, trial = queue.take()
    trial.set_user_attr(RUN, {"run_dir": "trials/0", "attempts": 1})
    trial.set_user_attr(RESULT, {"run_dir": "trials/0-restart1", "seconds": 2.0})
    trial.set_user_attr("error", "none")
    found = facts(queue.optuna_study.trials[0])
    assert (found["run_dir"], found["attempts"], found["seconds"], found["error"]) == (
        "trials/0-restart1",
        1,
        2.0,
        "none",
    )


def test_finished_trials_are_looked_at_once(optuna_study, monkeypatch):
    queue = Queue(optuna_study, 50)
    for _ in range(40):
        _, trial = queue.take()
        queue.end(trial, TrialState.COMPLETE, 1.0)
    queue.look()
    assert (queue.unfinished, queue.unsettled) == (set(), set())
    seen = []
    monkeypatch.setattr(queue, "current", lambda place: seen.append(place))
    for _ in range(3):
        queue.take()
    queue.read()
    assert set(seen) == {40, 41, 42}


@pytest.fixture
def before(tmp_path):
    """A function that opens a study that an earlier version began."""

    def opened(name, size):
        journal = tmp_path / "journal.log"
        shutil.copy(BEFORE / f"{name}.log", journal)
        return Queue(optuna.load_study(study_name=name, storage=open_journal(journal)), size)

    return opened


def test_a_grid_that_an_earlier_version_began_goes_on(before):
    queue = before("grid", 6)
    queue.read()
    complete, running, fail = TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL
    assert states(queue) == {0: complete, 1: None, 2: fail, 3: complete, 4: running, 5: None}
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"], facts(trial)["checkpointed_at"]) == (1, 2, 18)
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"]) == (4, 2)
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"]) == (5, 1)
    assert take(queue) is None
    queue.retry_failed()
    assert take(queue) == 2
    assert facts(queue.current(0))["metrics"] == {"val/accuracy": 0.0}
    assert take(queue) is None


def test_a_search_that_an_earlier_version_began_goes_on(before):
    queue = before("search", 5)
    lost = queue.optuna_study.trials[1].params["model.l2"]
    place, trial = worker(queue).take()
    assert (place, facts(trial)["attempts"]) == (1, 2)
    assert trial.suggest_float("model.l2", 1e-4, 1e-1, log=True) == lost
    places = [worker(queue).take() for _ in range(3)]
    assert [taken and taken[0] for taken in places] == [3, 4, None]
    assert places[0][1].suggest_float("model.l2", 1e-4, 1e-1, log=True) != lost
