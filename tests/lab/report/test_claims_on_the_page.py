"""The section of a study's claims, and their pictures."""

import re
from xml.etree import ElementTree

import pytest

from lab.claims.claim import Claim
from lab.claims.definition import Definition
from lab.claims.judge import judge
from lab.claims.outcomes import Outcome
from lab.report.claim_pictures import LABELS, MARGIN, WIDTH, claim_rows, picture
from lab.report.page import write_page
from tests.lab.study_folders import write_study

CLAIM = Claim("wide", "Wide is <better>.", "better", (1, 0), metric="val/fid", higher_is_better=False)
LIMIT = Claim("limit", "Below 20.", "at_most", (1,), metric="val/fid", limit=20.0)
NAMES = ("a name that is far too long for its place", "wide")
FAR = {0: [50.0, 51.0, 52.0], 1: [10.0, 11.0, 12.0]}


def drawn(claim, values):
    """The picture of a claim as XML."""
    rows = [
        Outcome(0, setting, seed, "complete", {claim.quantity: value})
        for setting, row in values.items()
        for seed, value in enumerate(row)
    ]
    (found,) = judge([claim], rows)
    return ElementTree.fromstring(picture(found, Definition(({}, {}), NAMES, (0, 1, 2), (claim,))))


def places(svg, kind):
    return [float(point.get("cx")) for point in svg.iter("circle") if point.get("class") == kind]


def test_each_seed_is_a_point_on_one_scale():
    svg = drawn(CLAIM, FAR)
    points = places(svg, "seed")
    assert len(points) == 6
    assert (min(points), max(points)) == (LABELS + MARGIN, WIDTH - MARGIN)
    titles = [point.find("title").text for point in svg.iter("circle") if point.get("class") == "seed"]
    assert titles[0] == "seed 0: 10"
    assert {text.text for text in svg.iter("text") if text.get("class") == "tick"} == {"10", "52"}


def test_the_effect_is_right_of_the_line_if_it_is_as_claimed():
    middle = (LABELS + WIDTH) / 2
    assert places(drawn(CLAIM, FAR), "effect reproduced")[0] > middle
    assert places(drawn(CLAIM, {0: FAR[1], 1: FAR[0]}), "effect contradicted")[0] < middle


def test_a_limit_is_drawn_and_widens_the_scale():
    svg = drawn(LIMIT, {1: FAR[1]})
    (line,) = [path for path in svg.iter("path") if path.get("class") == "limit"]
    assert line.get("d").startswith(f"M{WIDTH - MARGIN:.1f} ")


def test_long_names_are_cut_and_nothing_is_markup():
    svg = drawn(CLAIM, FAR)
    labels = [text.text for text in svg.iter("text")]
    assert "a name that is far too …" in labels
    assert svg.get("aria-label").startswith("Wide is <better>. reproduced, effect 40")


def test_one_seed_has_no_interval_and_no_seed_no_picture():
    assert "no interval" in [text.text for text in drawn(CLAIM, {0: [1.0], 1: [1.0]}).iter("text")]
    (found,) = judge([CLAIM], [])
    assert not picture(found, Definition(({}, {}), NAMES, (0,), (CLAIM,)))


@pytest.fixture
def folder(tmp_path):
    claims = [
        {
            "id": "small",
            "statement": "Ten are better than fifty.",
            "better": {"model.latent_dim": 10},
            "than": {"model.latent_dim": 50},
            "because": "looks are measured",
        }
    ]
    write_study(tmp_path, (10, 20, 50), (0, 1, 2), failing=False, claims=claims)
    return tmp_path


def test_the_page_has_the_claims_of_the_study(folder):
    html = write_page(folder).read_text(encoding="utf-8")
    section = re.search(r'<section id="claims">(.*?)</section>', html, re.DOTALL)[1]
    assert "Ten are better than fifty." in section
    assert "Measured by val/fid: looks are measured." in section
    assert '<svg class="claim"' in section
    assert re.search(r'<span class="badge (\w+)">\1</span>', section)


def test_a_study_without_claims_has_no_such_section(tmp_path):
    write_study(tmp_path)
    assert 'id="claims"' not in write_page(tmp_path).read_text(encoding="utf-8")
    assert claim_rows(tmp_path) == []
