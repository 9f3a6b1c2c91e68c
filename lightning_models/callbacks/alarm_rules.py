"""Rules that recognise a failing adversarial run from observations made every few dozen batches.

The state of a rule is plain numbers, which a checkpoint stores. Its message says what was observed, what that usually
means and what usually helps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from lab.errors import UserError

EARLY = 5  # first observations, whose median is normal for this run
UPDATES_TO_LEARN = 1000  # of G, after which samples should differ


class StoppedByAlarmError(UserError):
    """The run was stopped by an alarm."""


class RestartAskedError(StoppedByAlarmError):
    """The run was stopped by an alarm, and is to be restarted with another seed."""


@dataclass(frozen=True)
class Observation:
    """What the rules see of a run after a batch.

    Args:
        batch: number of the batch, from 1.
        updates: how often G was updated.
        metrics: what the model logged, without `train/`; empty if nothing was logged since the last observation.
        has_labels: whether D learns labels, so that its accuracy and the size of its loss mean something.
        diversity: mean distance between two samples, relative to that between two real images.
        nearest: median distance of a sample to the one most like it, relative to that of as many real images. A
            generator that has collapsed to a few images, however different, repeats them: it is near 0.
        classes: classes that hold at least 1 % of the samples, and of the data; None without a classifier.
        pinned: share of the critic's parameters at their clipping bound; None without clipping.
        not_finite: what holds NaN or infinity, if anything does.
    """

    batch: int
    updates: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    has_labels: bool = True
    diversity: float | None = None
    nearest: float | None = None
    classes: tuple[int, int] | None = None
    pinned: float | None = None
    not_finite: str | None = None


class Rule:
    """An alarm that rings when its symptom was seen in `patience` observations in a row.

    Args:
        name: of the alarm.
        patience: number of observations in a row with the symptom.
        sees: detects the symptom: describes it, or returns None. It may store numbers in the dict that it is given.
        advice: the likely cause and the usual remedies.
    """

    def __init__(
        self, name: str, patience: int, sees: Callable[[Observation, dict[str, Any]], str | None], advice: str
    ) -> None:
        self.name, self.patience, self.sees, self.advice = name, patience, sees, advice
        self.state: dict[str, Any] = {"in_a_row": 0, "rings": False, "since": None}

    def look(self, seen: Observation) -> str | None:
        """The message when the alarm begins to ring, else None; `state["rings"]` tells whether it does."""
        if self.needs_metrics and not seen.metrics:
            return None
        finding = self.sees(seen, self.state)
        if finding is None:
            self.state.update(in_a_row=0, rings=False, since=None)
            return None
        if self.state["in_a_row"] == 0:
            self.state["since"] = seen.batch
        self.state["in_a_row"] += 1
        if self.state["rings"] or self.state["in_a_row"] < self.patience:
            return None
        self.state["rings"] = True
        return f"{finding}, since batch {self.state['since']:,}. {self.advice}"

    @property
    def needs_metrics(self) -> bool:
        """Whether it needs logged metrics, which not every observation has."""
        return self.name in ("convergence_failure", "losses_apart", "vanishing_gradient")


def discriminator_wins(seen: Observation, state: dict[str, Any]) -> str | None:
    """D classifies nearly every image correctly."""
    real, fake = seen.metrics.get("d_accuracy_real"), seen.metrics.get("d_accuracy_fake")
    if not seen.has_labels or real is None or fake is None or min(real, fake) < 0.98:
        return None
    return f"D classifies {real:.0%} of the real and {fake:.0%} of the generated images correctly"


def losses_apart(seen: Observation, state: dict[str, Any]) -> str | None:
    """D's loss is nearly 0, and G's is at least twice the early one."""
    d_loss, g_loss = seen.metrics.get("d_loss"), seen.metrics.get("g_loss")
    if not seen.has_labels or d_loss is None or g_loss is None:
        return None
    early = state.setdefault("g_losses", [])
    if len(early) < EARLY:
        early.append(g_loss)
        return None
    if d_loss > 0.05 or g_loss < 2 * median(early):
        return None
    return f"D's loss is {d_loss:.3g} while G's is {g_loss:.3g}, {g_loss / median(early):.1f} times the early one"


def gradient_vanishes(seen: Observation, state: dict[str, Any]) -> str | None:
    """G's gradient norm is at most a hundredth of the early one."""
    norm = seen.metrics.get("g_gradient_norm")
    if norm is None:
        return None
    early = state.setdefault("norms", [])
    if len(early) < EARLY:
        early.append(norm)
        return None
    if norm > median(early) / 100:
        return None
    return f"the norm of G's gradient is {norm:.3g}, {norm / median(early):.2%} of the early one"


def collapses(seen: Observation, state: dict[str, Any]) -> str | None:
    """Samples are alike or leave classes out, although they did not earlier or G has had UPDATES_TO_LEARN updates."""
    should_have = seen.updates >= UPDATES_TO_LEARN
    differed = state["differed"] = state.get("differed", False) or (seen.diversity or 0) >= 0.5
    if differed or should_have:
        if seen.diversity is not None and seen.diversity < 0.5:
            return f"samples differ {seen.diversity:.0%} as much as real images do"
        if seen.nearest is not None and seen.nearest < 0.25:
            return f"samples repeat: the distance to the nearest other one is {seen.nearest:.0%} of that of real images"
    if seen.classes is None:
        return None
    leaves_out = seen.classes[0] < 0.8 * seen.classes[1]
    had_them = state["had_them"] = state.get("had_them", False) or not leaves_out
    if leaves_out and (had_them or should_have):
        return f"samples are of {seen.classes[0]} of {seen.classes[1]} classes"
    return None


def is_pinned(seen: Observation, state: dict[str, Any]) -> str | None:
    """Most of the critic's parameters lie at the bound of weight clipping."""
    if seen.pinned is None or seen.pinned <= 0.8:
        return None
    return f"{seen.pinned:.0%} of the critic's parameters lie at the clipping bound"


def is_not_finite(seen: Observation, state: dict[str, Any]) -> str | None:
    """A weight, a buffer, a metric or a sample is NaN or infinite."""
    return None if seen.not_finite is None else f"{seen.not_finite} is NaN or infinite"


def all_rules() -> list[Rule]:
    """All rules, in their initial state."""
    return [
        Rule(
            "not_finite",
            1,
            is_not_finite,
            "Usually the learning rate is too high: lower it, clip gradients, or use bf16-mixed or float32 for float16",
        ),
        Rule(
            "convergence_failure",
            15,
            discriminator_wins,
            "D has won and G learns little from it: check that G's output range is the data's, lower D's learning rate "
            "or size, smooth its labels, put noise on its inputs, or use spectral normalization",
        ),
        Rule(
            "losses_apart",
            10,
            losses_apart,
            "D has won: lower its learning rate, regularize it (spectral normalization, R1), or use the least squares "
            "or the Wasserstein loss",
        ),
        Rule(
            "vanishing_gradient",
            5,
            gradient_vanishes,
            "G does not learn any more: use the non-saturating loss, a weaker D, or a Wasserstein loss with a penalty",
        ),
        Rule(
            "mode_collapse",
            5,
            collapses,
            "G repeats itself: try more latent variables, a lower learning rate for G, another seed, or another loss",
        ),
        Rule(
            "pinned_weights",
            5,
            is_pinned,
            "The clipping bound shapes the critic more than the data do: raise clip_value, lower the learning rate, or "
            "use WGANGP",
        ),
    ]
