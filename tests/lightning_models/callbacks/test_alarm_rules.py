import math

import pytest

from lightning_models.callbacks.alarm_rules import Observation, all_rules

HEALTHY = {"d_loss": 1.1, "g_loss": 1.2, "d_accuracy_real": 0.7, "d_accuracy_fake": 0.8, "g_gradient_norm": 3.0}


def run(name, observations):
    """(batches at which the rule of this name rang, its last message)."""
    rule = next(rule for rule in all_rules() if rule.name == name)
    rang, message = [], None
    for seen in observations:
        told = rule.look(seen)
        if told:
            rang.append(seen.batch)
            message = told
    return rang, message


def seen(count, first=1, **options):
    return [
        Observation(50 * (first + k), **{"metrics": {**HEALTHY, "g_loss": 1.2 + 0.01 * k}, **options})
        for k in range(count)
    ]


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.name)
def test_nothing_rings_for_a_healthy_run(rule):
    assert not any(rule.look(look) for look in seen(60, diversity=0.95, nearest=0.8, classes=(10, 10), pinned=0.3))


def test_a_discriminator_that_is_always_right_rings_once():
    wins = {"metrics": {**HEALTHY, "d_accuracy_real": 1.0, "d_accuracy_fake": 0.99}}
    rang, message = run("convergence_failure", seen(40, **wins))
    assert rang == [750]
    assert message.startswith(
        "D classifies 100% of the real and 99% of the generated images correctly, since batch 50. D has won"
    )
    assert run("convergence_failure", [*seen(10, **wins), *seen(1, 11), *seen(10, 12, **wins)])[0] == []  # in a row


def test_an_alarm_rings_again_after_it_has_ended():
    wins = {"metrics": {**HEALTHY, "d_accuracy_real": 1.0, "d_accuracy_fake": 1.0}}
    assert run("convergence_failure", [*seen(20, **wins), *seen(1, 21), *seen(20, 22, **wins)])[0] == [750, 1800]


def test_the_accuracy_of_a_critic_without_labels_means_nothing():
    wins = {"metrics": {**HEALTHY, "d_accuracy_real": 1.0, "d_accuracy_fake": 1.0}, "has_labels": False}
    assert run("convergence_failure", seen(40, **wins))[0] == []


def test_losses_apart():
    apart = {"metrics": {**HEALTHY, "d_loss": 0.01, "g_loss": 6.0}}
    rang, message = run("losses_apart", [*seen(6), *seen(20, 7, **apart)])
    assert rang == [50 * 16]
    assert "D's loss is 0.01 while G's is 6, 4.9 times the early one" in message


def test_a_gradient_that_falls_a_hundredfold():
    gone = {"metrics": {**HEALTHY, "g_gradient_norm": 0.02}}
    rang, message = run("vanishing_gradient", [*seen(6), *seen(10, 7, **gone)])
    assert rang == [50 * 11]
    assert "G's gradient is 0.02, 0.67% of the early one" in message


def test_samples_that_become_alike():
    rang, message = run("mode_collapse", [*seen(6, diversity=0.9), *seen(9, 7, diversity=0.3)])
    assert rang == [50 * 11]
    assert "samples differ 30% as much as real images do, since batch 350" in message


def test_samples_that_come_again_however_different_they_are():
    rang, message = run(
        "mode_collapse", [*seen(6, diversity=0.9, nearest=0.9), *seen(9, 7, diversity=0.9, nearest=0.02)]
    )
    assert rang == [50 * 11]
    assert (
        "samples repeat: the distance to the nearest other one is 2% of that of real images, since batch 350" in message
    )


def test_samples_that_leave_classes_out():
    rang, message = run("mode_collapse", [*seen(6, classes=(10, 10)), *seen(9, 7, diversity=0.9, classes=(6, 10))])
    assert rang == [50 * 11]
    assert "samples are of 6 of 10 classes" in message


def test_a_generator_that_has_learned_nothing_yet_has_not_collapsed():
    assert run("mode_collapse", seen(30, diversity=0.1, updates=900))[0] == []
    assert run("mode_collapse", seen(30, diversity=0.1, updates=1100))[0] == [250]
    assert run("mode_collapse", seen(30, diversity=0.9, classes=(3, 10), updates=900))[0] == []
    assert run("mode_collapse", seen(30, diversity=0.9, classes=(3, 10), updates=1100))[0] == [250]


def test_pinned_weights():
    assert run("pinned_weights", seen(9, pinned=0.85))[0] == [250]


def test_nan_rings_at_once():
    rang, message = run("not_finite", [Observation(7, not_finite="train/d_loss")])
    assert rang == [7]
    assert "train/d_loss is NaN or infinite" in message


# What each rule sees at its threshold and beyond, after five observations with losses and a gradient norm of 1.
AT_THRESHOLDS = [
    ("convergence_failure", {"metrics": {"d_accuracy_real": 0.98, "d_accuracy_fake": 0.98}}, True),
    ("convergence_failure", {"metrics": {"d_accuracy_real": 1.0, "d_accuracy_fake": 0.97}}, False),
    ("convergence_failure", {"metrics": {"d_accuracy_real": 0.97, "d_accuracy_fake": 1.0}}, False),
    ("losses_apart", {"metrics": {"d_loss": 0.05, "g_loss": 2.0}}, True),
    ("losses_apart", {"metrics": {"d_loss": 0.051, "g_loss": 2.0}}, False),
    ("losses_apart", {"metrics": {"d_loss": 0.05, "g_loss": 1.99}}, False),
    ("losses_apart", {"metrics": {"d_loss": 0.0, "g_loss": 9.0}, "has_labels": False}, False),
    ("vanishing_gradient", {"metrics": {"g_gradient_norm": 0.01}}, True),
    ("vanishing_gradient", {"metrics": {"g_gradient_norm": 0.0101}}, False),
    ("mode_collapse", {"diversity": 0.499, "updates": 1000}, True),
    ("mode_collapse", {"diversity": 0.499, "updates": 999}, False),
    ("mode_collapse", {"diversity": 0.5, "updates": 1000}, False),
    ("mode_collapse", {"nearest": 0.249, "updates": 1000}, True),
    ("mode_collapse", {"nearest": 0.25, "updates": 1000}, False),
    ("mode_collapse", {"classes": (7, 10), "updates": 1000}, True),
    ("mode_collapse", {"classes": (8, 10), "updates": 1000}, False),
    ("pinned_weights", {"pinned": 0.801}, True),
    ("pinned_weights", {"pinned": 0.8}, False),
]


@pytest.mark.parametrize(("name", "options", "is_seen"), AT_THRESHOLDS)
def test_thresholds(name, options, is_seen):
    rule = next(rule for rule in all_rules() if rule.name == name)
    for batch in range(5):
        rule.look(Observation(batch, metrics={"d_loss": 1.0, "g_loss": 1.0, "g_gradient_norm": 1.0}))
    assert (rule.sees(Observation(9, **options), rule.state) is not None) == is_seen


@pytest.mark.parametrize(
    ("good", "bad"),
    [({"diversity": 0.5}, {"diversity": 0.49}), ({"classes": (8, 10)}, {"classes": (7, 10)})],
)
def test_what_was_good_once_and_is_lost_counts_before_the_thousandth_update(good, bad):
    assert run("mode_collapse", seen(9, **bad))[0] == []
    assert run("mode_collapse", [*seen(1, **good), *seen(9, 2, **bad)])[0] == [50 * 6]


FAILING = {
    "convergence_failure": {"d_accuracy_real": 1.0, "d_accuracy_fake": 1.0},
    "losses_apart": {"d_loss": 0.01, "g_loss": 60.0},
    "vanishing_gradient": {"g_gradient_norm": 1e-6},
}


@pytest.mark.parametrize("name", FAILING)
def test_observations_without_new_metrics_neither_count_nor_interrupt(name):
    """Between two rows of metrics the rule looks at nothing: its patience is counted in rows."""
    patience = next(rule for rule in all_rules() if rule.name == name).patience
    for count in (patience - 1, patience):
        rows = [*seen(5), *seen(count, 6, metrics={**HEALTHY, **FAILING[name]})]
        looks = [look for row in rows for look in (row, Observation(row.batch + 1, metrics={}))]
        assert run(name, looks)[0] == ([] if count < patience else [50 * (5 + patience)])


def test_the_memory_of_a_rule_is_plain():
    for rule in all_rules():
        for look in seen(8, diversity=math.inf):
            rule.look(look)
        assert all(isinstance(value, (int, float, bool, list, type(None))) for value in rule.state.values())
