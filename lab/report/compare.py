"""What runs are compared by: the options in which they differ, and the metrics that say how good they are."""

from collections.abc import Iterable, Sequence

from lab.report.collection import Metric
from lab.report.runs import Run, Value
from lightning_models.metrics.catalogue import CATALOGUE, direction_of

NO_RESULTS = ("second", "norm", "weight", "rate")  # samples_per_second, gradient_norm, kl_weight, learning_rate
NOT_COMPARED = ("config", "run_dir", "resume", "seed_everything", "ckpt_path", "quiet", "data.root", "data.num_workers")
COMPARED = ("model", "data", "trainer")


def differing_options(runs: list[Run]) -> list[str]:
    """The options with more than one value among the runs that have them, without the seed and the paths of a run.

    An option that only some runs have, all with the same value, belongs to a class that another option chooses.
    """
    return [
        option
        for option in dict.fromkeys(option for run in runs for option in run.settings)
        if option not in NOT_COMPARED
        and option.partition(".")[0] in COMPARED
        and len({run.settings[option] for run in runs if option in run.settings}) > 1
    ]


def without_consequences(options: list[str], runs: list[Run], notes: list[str]) -> list[str]:
    """The options without those of a class that have one value for each class, such as the loss of `--model WGAN`.

    What is left out is named in `notes`.
    """
    kept, left_out = list[str](), dict[str, list[str]]()
    for option in options:
        words = option.split(".")
        owners = [owner for count in range(1, len(words)) if (owner := ".".join(words[:count])) in options]
        for owner in owners:
            found: dict[Value, set[Value]] = {}
            for run in runs:
                if option in run.settings:
                    found.setdefault(run.settings.get(owner), set()).add(run.settings[option])
            if all(len(values) == 1 for values in found.values()):
                left_out.setdefault(owner, []).append(option)
                break
        else:
            kept.append(option)
    for owner, followers in left_out.items():
        notes.append(f"Not shown, because each {owner} has its own: {', '.join(followers)}.")
    return kept


def varies_alone(option: str, options: list[str], runs: list[Run]) -> bool:
    """Whether two runs differ in this option and in no other one, so that its effect can be seen."""
    values: dict[tuple[Value, ...], set[Value]] = {}
    for run in runs:
        others = tuple(run.settings.get(other) for other in options if other != option)
        values.setdefault(others, set()).add(run.settings.get(option))
    return any(len(found) > 1 for found in values.values())


def without_twins(options: list[str], runs: list[Run], notes: list[str], plotted: Sequence[str] = ()) -> list[str]:
    """The options without those that always equal another one, such as the layers of both networks of a GAN.

    Plotted options stay; those left out are named in `notes`.
    """
    kept: dict[tuple[Value, ...], str] = {}
    for option in sorted(options, key=lambda option: option not in plotted):
        twin = kept.setdefault(tuple(run.settings.get(option) for run in runs), option)
        if twin != option and option not in plotted:
            notes.append(f"{option} always has the value of {twin} and is not shown.")
    return [option for option in options if option in kept.values() or option in plotted]


def spans_decades(runs: list[Run], option: str) -> bool:
    """Whether an option's values are positive numbers and the largest is at least 50 times the smallest."""
    values = [value for run in runs if isinstance(value := run.settings.get(option), (int, float))]
    return len(values) == len(runs) and min(values) > 0 and max(values) / min(values) >= 50


def main_metrics(runs: list[Run]) -> list[Metric]:
    """The metrics on test data; if there are none, those on validation data; if there are none, those of training.

    In the order of the catalogue, those without a better direction last.
    """
    found = {name for run in runs for name in run.metrics if is_result(name)}
    places = {name: place for place, name in enumerate(CATALOGUE)}
    names = sorted(
        (name for name in found if not is_detail(name, found)),
        key=lambda name: (direction_of(name) is None, places.get(name.rpartition("/")[2], len(places)), name),
    )
    for split in ("test/", "val/", ""):
        if chosen := [Metric(name, direction_of(name)) for name in names if name.startswith(split)]:
            return chosen
    return []


def is_result(metric: str) -> bool:
    """Whether a metric says how good a model is; speeds, norms and weights of a loss do not."""
    return not any(word in NO_RESULTS for word in metric.rpartition("/")[2].split("_"))


def is_detail(metric: str, others: Iterable[str]) -> bool:
    """Whether a metric details another one, as `val/accuracy_7` does if there is `val/accuracy`."""
    return any(metric.startswith(f"{other}_") for other in others)
