"""The report page in a headless Chromium: what a reader sees and can do."""

import json
import shutil

import pytest

from lab.report.page import write_page
from tests.lab.study_folders import write_run, write_study

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

NOTHING = "\N{EN DASH}"  # in a cell


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each kind: a study with lost trials and long names, a folder of runs, one run."""
    folder = tmp_path_factory.mktemp("pages")
    long = "a_very_long_word_without_any_place_to_break_it_" * 4
    study = write_study(folder / "study", latent_dims=(10, 20, 50, 100), widths=(16, 32, 64), side=16, caption=long)
    for latent_dim in (8, 16):
        write_run(folder / "runs" / f"gan-{latent_dim}-{long}", latent_dim=latent_dim)
    run = write_run(folder / "run", alarm="mode_collapse")
    return {kind: write_page(path) for kind, path in (("study", study), ("runs", folder / "runs"), ("run", run))}


@pytest.fixture
def opened(browser, pages):
    """Opens a page and, in the end, checks that it was silent: no errors, no requests."""
    contexts, complaints = [], []

    def open_page(kind, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if is_elsewhere(request.url) else None)
        page.goto(pages[kind].as_uri())
        page.wait_for_selector(".plot .main-svg")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def is_elsewhere(url):
    return not url.startswith(("file:", "data:", "blob:"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", ["study", "runs", "run"])
def test_nothing_overflows(opened, kind, width, scheme):
    page = opened(kind, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    too_wide = """() => [...document.querySelectorAll('body *')]
        .filter((element) => !element.closest('.scroll, pre, dialog, svg'))
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
        .map((element) => element.outerHTML.slice(0, 80))"""
    assert page.evaluate(too_wide) == []


def test_every_chart_is_drawn_and_every_picture_shown(opened):
    page = opened("study")
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    page.wait_for_function("[...document.querySelectorAll('.plot')].every((plot) => plot.querySelector('.main-svg'))")
    sizes = page.evaluate("[...document.querySelectorAll('main img')].map((image) => image.naturalWidth)")
    assert len(sizes) == 12 * (5 + 2)  # a grid at five times, an interpolation and a confusion matrix of each setting
    assert min(sizes) > 10


def column(page, number):
    return page.locator("#results table").first.locator(f"tbody td:nth-child({number})").all_inner_texts()


def test_tables_sort_by_click_and_by_keyboard(opened):
    page = opened("study")
    before = [float(text.partition(" ")[0]) for text in column(page, 3)]
    heading = page.locator("#results th").nth(2)
    assert heading.get_attribute("aria-sort") == "none"
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(text.partition(" ")[0]) for text in column(page, 3)] == sorted(before) != before
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text.partition(" ")[0]) for text in column(page, 3)] == sorted(before, reverse=True)
    page.locator("#results th").nth(0).get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "none"
    assert [int(text) for text in column(page, 1)] == sorted([10, 20, 50, 100] * 3)  # as numbers: 100 is last


def test_empty_cells_stay_last(opened):
    page = opened("study")
    page.locator("#results details summary").click()
    table = page.locator("#results details table")
    fid = table.locator("th").nth(3).get_by_role("button")
    for _ in range(2):
        fid.click()
        cells = table.locator("tbody td:nth-child(4)").all_inner_texts()
        assert cells.index(NOTHING) == len(cells) - cells.count(NOTHING) == 18


def test_the_legend_hides_and_shows_curves_in_all_charts(opened):
    page = opened("study")
    charts = page.locator("#curves > .charts .plot")
    lines = [chart.locator(".scatterlayer .trace").count() for chart in charts.all()]
    item = page.get_by_role("button", name="latent_dim 20, width 32", exact=True)
    item.click()
    assert item.get_attribute("aria-pressed") == "false"
    page.wait_for_timeout(200)
    assert [chart.locator(".scatterlayer .trace").count() for chart in charts.all()] == [n - 3 for n in lines]
    item.press("Space")
    page.wait_for_timeout(200)
    assert [chart.locator(".scatterlayer .trace").count() for chart in charts.all()] == lines
    page.get_by_role("button", name="none").click()
    page.wait_for_timeout(200)
    assert charts.first.locator(".scatterlayer .trace").count() == 0


def test_charts_in_a_chart_with_a_legend_of_its_own_toggle(opened):
    page = opened("study")
    chart = page.locator("#effects .plot").first
    lines = chart.locator(".scatterlayer .trace").count()
    chart.locator(".legendtoggle").first.click()
    page.wait_for_timeout(600)  # plotly waits for a second click
    assert chart.locator(".scatterlayer .trace").count() == lines - 2  # the points go with their line


def test_dark_follows_the_system_and_the_button(opened):
    page = opened("study", scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    ticks = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    dark = page.evaluate(paper), page.evaluate(ticks)
    assert dark == ("rgb(21, 23, 26)", "rgb(228, 228, 224)")
    page.locator("#theme").click()
    page.wait_for_timeout(200)
    light = page.evaluate(paper), page.evaluate(ticks)
    assert light == ("rgb(253, 253, 251)", "rgb(28, 30, 34)")
    page.reload()  # the choice is kept
    assert page.evaluate(paper) == light[0]
    page.emulate_media(color_scheme="light")
    page.locator("#theme").click()
    assert page.evaluate(paper) == dark[0]


def test_a_picture_is_enlarged_by_a_click(opened):
    page = opened("study", width=390)
    small = page.locator(".matrix button.zoom").first
    small.click()
    large = page.locator("dialog img")
    assert large.get_attribute("alt").startswith("grid: latent_dim")
    assert large.bounding_box()["width"] > small.bounding_box()["width"]
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_print_is_light_and_as_wide_as_the_paper(opened, tmp_path):
    page = opened("study", scheme="dark")
    seen = """() => { const plot = document.querySelector('.plot');
        return [getComputedStyle(plot.querySelector('.xtick text')).fill, plot.querySelector('svg').clientWidth]; }"""
    before = page.evaluate(seen)
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = ({seen})(); }})")
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert page.evaluate("printed") == ["rgb(28, 30, 34)", 330]
    page.wait_for_function(
        f"JSON.stringify(({seen})()) == {json.dumps(json.dumps(before, separators=(',', ':')))}"
    )  # as it was, on the screen
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.set_viewport_size({"width": 688, "height": 900})  # A4 without its margins
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") == 688


def test_the_charts_of_a_page_are_plain_json(pages):
    text = pages["study"].read_text(encoding="utf-8")
    specs = text.split('<script type="application/json">')[1:]
    assert len(specs) == 2 + 4
    assert all("data" in json.loads(spec.partition("</script>")[0]) for spec in specs)
