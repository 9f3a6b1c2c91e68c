"""Workers of a study in this process: what they take, how they die, and what the others see."""

from lab.studies.queue import Queue


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
