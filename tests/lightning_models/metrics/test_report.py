import pytest

from lightning_models.metrics.report import number, spread, table

REPORT = {
    "network": "mnist",
    "description": "classifier mnist.ckpt",
    "accuracy": 0.9912,
    "sha256": "0123456789abcdef",
    "n_real": 2000,
    "n_fake": 1000,
    "real_images": "test",
    "seed": 3,
    "values": {"fid": 12.5, "kid": 0.25, "kid_std": 0.05, "recall": 0.5},
    "baseline": {"fid": 1.25, "kid": 0.125, "kid_std": 0.01},
    "problems": ["density: too few"],
}


def test_samples_stand_before_their_baseline():
    lines = table(REPORT).splitlines()
    assert "1,000 samples against 2,000 test images, seed 3" in lines[0]
    assert "classifier mnist.ckpt, 99.12% correct on test images (sha256 0123456789ab)" in lines[1]
    rows = {line.split()[0]: line.split("   should be")[0].split() for line in lines[4:]}
    assert rows["measure"][1:3] == ["samples", "baseline"]
    assert rows["fid_mnist"][1:3] == ["12.5", "1.25"]
    assert rows["kid_mnist"][1:7] == ["0.25", "+-", "0.05", "0.125", "+-", "0.01"]
    assert rows["recall"][1:3] == ["0.5", "high:"]  # without a baseline
    assert "precision" not in rows
    assert lines[-1] == "  not measured  density: too few"


@pytest.mark.parametrize(("real", "others"), [("test", "training"), ("training", "held-out")])
def test_the_baseline_is_of_the_other_real_images(real, others):
    text = table({**REPORT, "real_images": real})
    assert f"baseline     as many {others} images in place of the samples" in text
    assert "baseline     none" in table({**REPORT, "baseline": {}})
    assert "correct on test images" not in table({**REPORT, "accuracy": None})


def test_numbers():
    assert [number(value) for value in (2.0, 10.0, 1.0, 1.23456, 0.000123456)] == ["2", "10", "1", "1.235", "0.0001235"]
    assert spread({"a": 1.5, "a_std": 0.123}, "a") == "1.5 +- 0.12"
    assert spread({}, "a") == ""
