"""Rules that recognise a failing run from observations made every few dozen batches.

The state of a rule is plain numbers, which a checkpoint stores. Its message says what was observed, what that usually
means and what usually helps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import log
from statistics import median
from typing import Any

from lab.errors import UserError

EARLY = 5  # first observations, whose median is normal for this run
UPDATES_TO_LEARN = 1000  # of G, after which samples should differ; of a VAE, after which its code should be used
RELAPSE = 1.5  # times the best Frechet distance
BY_HEART = 0.8  # share of the pairs of a training and a held-out image in which D rates the training image higher


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
        distance: Frechet distance of the samples, and what it was measured with: distances of other feature extractors
            or numbers of images cannot be compared. None where nothing new was measured.
        membership: how often D rates a training image above a held-out one; None without held-out images.
        posterior: active latent variables of a VAE, all of them, and the KL in nats per image.
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
    distance: tuple[float, str] | None = None
    membership: float | None = None
    posterior: tuple[int, int, float] | None = None


class Rule:
    """An alarm that rings when its symptom was seen in `patience` observations in a row.

    Args:
        name: of the alarm.
        patience: number of observations in a row with the symptom.
        sees: detects the symptom: describes it, or returns None. It may store numbers in the dict that it is given.
        advice: the likely cause and the usual remedies.
        needs: fields of an observation that the rule needs at least one of; others are skipped. Empty: it sees all.
    """

    def __init__(
        self,
        name: str,
        patience: int,
        sees: Callable[[Observation, dict[str, Any]], str | None],
        advice: str,
        needs: tuple[str, ...] = (),
    ) -> None:
        self.name, self.patience, self.sees, self.advice, self.needs = name, patience, sees, advice, needs
        self.state: dict[str, Any] = {"in_a_row": 0, "rings": False, "since": None}

    def look(self, seen: Observation) -> str | None:
        """The message when the alarm begins to ring, else None; `state["rings"]` tells whether it does."""
        if self.needs and all(getattr(seen, name) in (None, {}) for name in self.needs):
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


def relapses(seen: Observation, state: dict[str, Any]) -> str | None:
    """The Frechet distance is more than RELAPSE times its best."""
    if seen.distance is None:
        return None
    distance, measured_with = seen.distance
    if state.get("measured_with") != measured_with:
        state.update(measured_with=measured_with, best=distance)
    best = state["best"] = min(distance, state["best"])
    if distance <= RELAPSE * best:
        return None
    return f"the Frechet distance is {distance:.3g}, its best was {best:.3g}"


def learns_by_heart(seen: Observation, state: dict[str, Any]) -> str | None:
    """D rates training images higher than held-out ones of the same kind."""
    if seen.membership is None or seen.membership < BY_HEART:
        return None
    return f"D rates a training image above a held-out one in {seen.membership:.0%} of the pairs"


def posterior_collapses(seen: Observation, state: dict[str, Any]) -> str | None:
    """The latent vector says nothing about the image, although the VAE has had UPDATES_TO_LEARN updates."""
    if seen.posterior is None or seen.updates < UPDATES_TO_LEARN:
        return None
    active, variables, kl = seen.posterior
    if active > 0 and kl >= log(2):  # too little to tell one half of the images from the other
        return None
    return f"{active} of {variables} latent variables are active, and the KL is {kl:.2g} nats per image"


def is_not_finite(seen: Observation, state: dict[str, Any]) -> str | None:
    """A weight, a buffer, a metric or a sample is NaN or infinite."""
    return None if seen.not_finite is None else f"{seen.not_finite} is NaN or infinite"


RULES: tuple[Callable[[], Rule], ...] = (
    partial(
        Rule,
        "not_finite",
        1,
        is_not_finite,
        "Usually the learning rate is too high: lower it, clip gradients, or use bf16-mixed or float32 for float16",
    ),
    partial(
        Rule,
        "convergence_failure",
        15,
        discriminator_wins,
        "D has won and G learns little from it: check that G's output range is the data's, lower D's learning rate "
        "or size, smooth its labels, put noise on its inputs, or use spectral normalization",
        ("metrics",),
    ),
    partial(
        Rule,
        "losses_apart",
        10,
        losses_apart,
        "D has won: lower its learning rate, regularize it (spectral normalization, R1), or use the least squares "
        "or the Wasserstein loss",
        ("metrics",),
    ),
    partial(
        Rule,
        "vanishing_gradient",
        5,
        gradient_vanishes,
        "G does not learn any more: use the non-saturating loss, a weaker D, or a Wasserstein loss with a penalty",
        ("metrics",),
    ),
    partial(
        Rule,
        "mode_collapse",
        5,
        collapses,
        "G repeats itself: try more latent variables, a lower learning rate for G, another seed, or another loss",
        ("diversity", "nearest", "classes"),
    ),
    partial(
        Rule,
        "pinned_weights",
        5,
        is_pinned,
        "The clipping bound shapes the critic more than the data do: raise clip_value, lower the learning rate, or "
        "use WGANGP",
        ("pinned",),
    ),
    partial(
        Rule,
        "quality_relapse",
        3,
        relapses,
        "The best weights are in best.ckpt: stop here, lower the learning rates, average G's weights (ema_decay), "
        "or, with few images, augment D's inputs",
        ("distance",),
    ),
    partial(
        Rule,
        "memorizing_discriminator",
        5,
        learns_by_heart,
        "The images are too few for this D: augment its inputs (--model.augmentation DiffAugment), flip images, "
        "take a smaller D, or stop earlier",
        ("membership",),
    ),
    partial(
        Rule,
        "posterior_collapse",
        5,
        posterior_collapses,
        "The decoder ignores its input: lower beta, warm the KL up (kl_warmup_epochs), give each variable some "
        "free bits, or take a weaker decoder",
        ("posterior",),
    ),
)


def all_rules() -> list[Rule]:
    """All rules, in their initial state."""
    return [make() for make in RULES]
