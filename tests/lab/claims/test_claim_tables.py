"""The page of kept results is that of the CSV files beside it."""

from benchmarks.claim_tables import PAGE, ROOT, page
from lab.studies.study_file import read_study


def test_the_page_is_up_to_date(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert PAGE.read_text(encoding="utf-8") == page(), "make it anew with `python -m benchmarks.claim_tables`"


def test_every_kept_file_is_of_a_shipped_study():
    for path in PAGE.parent.rglob("*.csv"):
        name = path.relative_to(PAGE.parent).with_suffix("").as_posix().removesuffix("-quick")
        assert read_study(ROOT / "configs" / "studies" / f"{name}.yaml").claims
