import json
import math

import pytest

from lightning_models.callbacks.alarm_rules import Observation, all_rules

HEALTHY = {"d_loss": 1.1, "g_loss": 1.2, "d_accuracy_real": 0.7, "d_accuracy_fake": 0.8, "g_gradient_norm": 3.0}

WELL = {
    **{"diversity": 0.95, "nearest": 0.8, "classes": (10, 10), "pinned": 0.3},
    **{"distance": (10.0, "network n"), "membership": 0.6, "posterior": (8, 20, 12.0), "updates": 5000},
}


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
    assert not any(rule.look(look) for look in seen(60, **WELL))


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


def distances(*values, how="network n"):
    return [Observation(100 * k, distance=(value, how)) for k, value in enumerate(values, start=1)]


def test_a_quality_relapse_is_three_measurements_running_above_one_and_a_half_times_the_best():
    rang, message = run("quality_relapse", distances(40, 20, 30.1, 30.1, 35))
    assert rang == [500]
    assert message.startswith("the Frechet distance is 35, its best was 20, since batch 300. ")
    assert run("quality_relapse", distances(40, 20, 30.0, 30.0, 30.0))[0] == []  # 1.5 times is not above it
    assert run("quality_relapse", distances(40, 20, 31, 31, 29, 31, 31))[0] == []  # not running
    assert run("quality_relapse", distances(40, 20, 31, 31, 31, 31, 29, 31, 31, 31))[0] == [500, 1000]


def test_only_distances_that_were_measured_alike_are_compared():
    assert run("quality_relapse", [*distances(1, 1), *distances(9, 9, 9, 9, how="another network")])[0] == []


def test_a_relapse_is_not_interrupted_by_looks_without_a_measurement():
    looks = [look for pair in zip(distances(20, 31, 31, 31), seen(4), strict=True) for look in pair]
    assert run("quality_relapse", looks)[0] == [400]


def test_a_measurement_is_no_look_for_the_other_rules():
    apart = seen(5, diversity=0.2, updates=2000)
    looks = [look for pair in zip(apart, distances(1, 1, 1, 1, 1), strict=True) for look in pair]
    assert run("mode_collapse", looks)[0] == [250]


def test_a_relapse_goes_on_after_a_resume():
    first, second = (next(rule for rule in all_rules() if rule.name == "quality_relapse") for _ in range(2))
    *before, last = distances(20, 31, 31, 31)
    assert not any(first.look(look) for look in before)
    second.state.update(json.loads(json.dumps(first.state)))
    assert second.look(last)


def test_a_discriminator_that_knows_its_images_by_heart():
    rang, message = run("memorizing_discriminator", seen(6, membership=0.8))
    assert rang == [250]
    assert message.startswith("D rates a training image above a held-out one in 80% of the pairs, since batch 50. The")
    assert run("memorizing_discriminator", seen(20, membership=0.799))[0] == []
    assert run("memorizing_discriminator", seen(20))[0] == []


def test_a_posterior_that_says_nothing():
    late = {"updates": 1000}
    rang, message = run("posterior_collapse", seen(6, posterior=(0, 20, 5.0), **late))
    assert rang == [250]
    assert message.startswith("0 of 20 latent variables are active, and the KL is 5 nats per image, since batch 50. ")
    assert run("posterior_collapse", seen(6, posterior=(20, 20, 0.69), **late))[0] == [250]  # ln 2 = 0.693
    assert run("posterior_collapse", seen(20, posterior=(1, 20, 0.70), **late))[0] == []
    assert run("posterior_collapse", seen(20, posterior=(0, 20, 0.0), updates=999))[0] == []


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
        for look in [*seen(8, diversity=math.inf), *distances(1, 2)]:
            rule.look(look)
        assert all(isinstance(value, (int, float, bool, str, list, type(None))) for value in rule.state.values())
