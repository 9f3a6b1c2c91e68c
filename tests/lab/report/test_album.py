"""Which pictures and texts of which run stand where."""

from pathlib import Path

import pytest
from PIL import Image

from lab.report.album import LONGEST_TEXT, Album, read_generated, texts
from lab.report.collection import Collection, Metric
from lab.report.runs import Artifact, Run
from lab.report.table import group


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Makes a grey picture of a size once, or a text."""
    folder = tmp_path_factory.mktemp("files")

    def make(width=4, height=4, text=None):
        path = folder / (f"{width}x{height}.png" if text is None else f"{abs(hash(text))}.txt")
        if not path.exists():
            Image.new("L", (width, height), 9).save(path) if text is None else path.write_text(text)
        return path

    return make


def artifact(path, name, batch=None):
    return Artifact(path, name, batch)


def album(kind, *runs, metric=None):
    found = Collection(kind, "title", list(runs), ["model.width"], [metric] if metric else [])
    return Album(found, group(found))


def series(file, width, *batches, name="grid"):
    pictures = [artifact(file(), name, batch) for batch in batches]
    return Run(f"run {width}", None, "complete", settings={"model.width": width}, pictures=pictures)


def shape(matrix):
    return matrix.columns, [
        (label, [cell and (cell.alt, cell.caption) for cell in cells]) for label, cells in matrix.rows
    ]


def test_series_with_the_same_batches_are_aligned_by_batch(file):
    [(heading, [matrix])] = album("study", series(file, 8, 0, 50), series(file, 16, 0, 50, 1000)).matrices()
    assert heading == "Samples"
    assert shape(matrix) == (
        [["width 8"], ["width 16"]],
        [
            ("batch 0", [("grid: width 8, batch 0", ""), ("grid: width 16, batch 0", "")]),
            ("batch 50", [("grid: width 8, batch 50", ""), ("grid: width 16, batch 50", "")]),
            ("batch 1,000", [None, ("grid: width 16, batch 1,000", "")]),
        ],
    )


def test_series_of_different_lengths_are_aligned_by_the_fraction_of_the_training(file):
    [(_, [matrix])] = album("study", series(file, 8, 0, 10, 20), series(file, 16, 0, 300, 600)).matrices()
    assert shape(matrix) == (
        [["width 8"], ["width 16"]],
        [
            ("0%", [("grid: width 8, batch 0", "batch 0"), ("grid: width 16, batch 0", "batch 0")]),
            ("50%", [("grid: width 8, batch 10", "batch 10"), ("grid: width 16, batch 300", "batch 300")]),
            ("100%", [("grid: width 8, batch 20", "batch 20"), ("grid: width 16, batch 600", "batch 600")]),
        ],
    )


def test_a_single_run_has_its_times_in_columns(file):
    [(_, [matrix])] = album("run", series(file, 8, 0, 1000)).matrices()
    assert matrix.columns == [["batch 0"], ["batch 1,000"]]
    [(label, cells)] = matrix.rows
    assert (label, [cell.caption for cell in cells]) == ("", ["", ""])


def test_six_settings_stand_side_by_side_and_the_others_below(file):
    runs = [series(file, width, 0) for width in range(13)]
    [(_, blocks)] = album("study", *runs).matrices()
    assert [len(block.columns) for block in blocks] == [6, 6, 1]
    assert blocks[2].columns == [["width 12"]]


def test_only_settings_that_have_a_series_are_in_its_matrix(file):
    found = dict(album("study", series(file, 8, 0), series(file, 16, 5, name="alarm-d_wins")).matrices())
    assert {heading: matrix.columns for heading, [matrix] in found.items()} == {
        "Samples": [["width 8"]],
        "At the alarm: d wins": [["width 16"]],
    }
    names = ["alarm-a", "zoo", "grid"]
    runs = [series(file, width, 0, name=name) for width, name in enumerate(names)]
    assert album("study", *runs).series == ["grid", "zoo", "alarm-a"]


def test_the_best_forty_settings_are_shown_in_their_own_order(file):
    runs = [Run(str(n), None, "complete", settings={"model.width": n}, metrics={"loss": float(-n)}) for n in range(45)]
    shown = album("study", *runs, metric=Metric("loss", "minimize")).settings
    assert [setting.number for setting in shown] == list(range(5, 45))


def test_pictures_made_once_have_known_names_first_and_their_settings_below(file):
    pictures = [artifact(file(30, 10), name) for name in ("zoo", "interpolation", "learning_curves", "progress")]
    runs = [Run(str(n), None, "complete", settings={"model.width": n}, pictures=pictures) for n in (8, 16)]
    found = album("study", *runs).galleries()
    assert [gallery.heading for gallery in found] == ["Progress", "Interpolations", "Zoo"]
    assert [(cell.alt, cell.caption) for cell in found[0].cells] == [
        ("progress: width 8", "width 8"),
        ("progress: width 16", "width 16"),
    ]
    assert [cell.caption for cell in album("run", runs[0]).galleries()[0].cells] == [""]


@pytest.mark.parametrize(("width", "height", "wide"), [(21, 10, True), (20, 10, False), (10, 30, False)])
def test_pictures_more_than_twice_as_wide_as_high_get_wide_columns(file, width, height, wide):
    run = Run("a", None, "complete", pictures=[artifact(file(width, height), "progress")])
    [gallery] = album("run", run).galleries()
    assert gallery.wide is wide


def test_pictures_are_the_smaller_the_more_there_are(file):
    one = [artifact(file(), "progress"), *(artifact(file(), "grid", batch) for batch in range(9))]
    runs = [Run(str(n), None, "complete", settings={"model.width": n}, pictures=one) for n in range(14)]
    for count, side in ((1, 720), (4, 720), (5, 480), (13, 480), (14, 320)):  # 6 pictures each
        assert album("study", *runs[:count]).side == side


# -------------------------------------------------------------------------------------------------------------- texts


def test_the_last_text_is_shown_and_earlier_ones_behind_a_click(file):
    written = [artifact(file(text=f"text {batch}"), "text", batch) for batch in (0, 50, 1000)]
    runs = [Run(str(n), None, "complete", settings={"model.width": n}, texts=written) for n in (8, 16)]
    found = texts(album("study", *runs).settings, single=False)
    assert [text.caption for text in found] == ["width 8, batch 1,000", "width 16, batch 1,000"]
    assert (found[0].last, found[0].earlier) == ("text 1000", [("batch 0", "text 0"), ("batch 50", "text 50")])


def test_a_text_is_captioned_with_what_tells_it_from_others(file):
    once, twice = artifact(file(text="a"), "summary"), artifact(file(text="b"), "text", 5)
    run = Run("a", None, "complete", settings={"model.width": 8}, texts=[once])
    assert [text.caption for text in texts(album("run", run).settings, single=True)] == ["summary"]
    assert [text.caption for text in texts(album("study", run).settings, single=False)] == ["width 8"]
    both = Run("a", None, "complete", settings={"model.width": 8}, texts=[once, twice])
    assert [text.caption for text in texts(album("run", both).settings, single=True)] == ["summary", "text, batch 5"]


@pytest.mark.parametrize(
    ("length", "left_out"), [(LONGEST_TEXT, 0), (LONGEST_TEXT + 1, 1), (LONGEST_TEXT + 5000, 5000)]
)
def test_a_long_text_is_cut_at_its_end_and_says_so(tmp_path, length, left_out):
    path = Path(tmp_path / "a.txt")
    path.write_text("a" * (LONGEST_TEXT - 1) + "z" + "b" * (length - LONGEST_TEXT))
    said = f"\n[and {left_out:,} more characters]" if left_out else ""
    assert read_generated(path) == "a" * (LONGEST_TEXT - 1) + "z" + said
