"""The page as a browser shows it, without any network."""

import shutil

import pytest

from spatialfoley.evaluation.report.writing import write_report
from tests.evaluation.report.conftest import HOSTILE

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

if BROWSER is None:
    pytest.skip(
        "no Chromium on this machine (chromium, chromium-browser, google-chrome)", allow_module_level=True
    )
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed; the dev extra has it"
)

_SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture
def opened(full_report, tmp_path):
    """The page, and what it complained of and asked for while open."""
    path = write_report(full_report, tmp_path)["report.html"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=_SWITCHES)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        complaints, requests = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        yield page, path, complaints, requests
        browser.close()


def wait_until(page, condition):
    """The page's own policy forbids what `wait_for_function` does."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not within 8 s: {condition}")


def first_column(page):
    return page.locator("table thead + tbody tr th").all_text_contents()


def check_tables(page):
    assert page.locator("#tables table").count() == 1
    assert page.locator("#tables tbody tr").count() == 4 + 1 + 1  # own, the word "published", published
    order = first_column(page)
    assert order[2] == HOSTILE + "b"
    overlap = page.get_by_role("button", name="CC")
    column = page.locator("thead th").nth(2)
    overlap.click()
    assert column.get_attribute("aria-sort") == "descending"
    assert first_column(page) == ["truth", "theirs", "oursb", HOSTILE + "b"]
    overlap.click()
    assert column.get_attribute("aria-sort") == "ascending"
    assert first_column(page) == [HOSTILE + "b", "oursb", "theirs", "truth"]
    assert "Published" in page.locator("tbody.published tr").first.text_content()
    overlap.click()
    assert column.get_attribute("aria-sort") == "none"
    assert first_column(page) == order
    # Of the shares one is missing in most rows: what is missing stands last.
    page.get_by_role("button", name="left for right").click()
    assert first_column(page)[0] == "oursb"


def check_pictures(page):
    sizes = page.evaluate("[...document.images].map(i => [i.naturalWidth, i.naturalHeight, i.clientWidth])")
    assert len(sizes) == 15
    assert all(min(size) > 0 for size in sizes)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200


def check_slider(page):
    card = page.locator(".exhibit").first
    place = "e => [e.style.left, e.style.top]"
    sheet, ring = card.locator(".sound.truth .sheet"), card.locator(".sound.truth .peak.truth")
    slider, view = card.locator("input[type=range]"), card.locator(".sound.truth .view")
    seen = []
    for seconds in ("0", "1.5"):
        slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')) }", seconds)
        seen.append((sheet.evaluate(place), ring.get_attribute("transform"), view.get_attribute("d")))
        assert float(slider.get_attribute("aria-valuetext").split()[0]) == float(seconds)
    assert all(before != after for before, after in zip(*seen, strict=True))
    # The truth moves from 60° on the left to 60° on the right in 2 s, and bursts at 1.5 s.
    assert float(ring.get_attribute("transform").split("(")[1].split()[0]) == pytest.approx(180 + 31, abs=2)
    assert "truth from −31°" in card.locator(".readout").text_content()
    assert card.locator(".playhead").first.evaluate("e => e.style.left") == "75%"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert float(slider.input_value()) == pytest.approx(1.6)


def check_players(page):
    wait_until(page, "[...document.querySelectorAll('audio')].every(a => a.readyState >= 2)")
    states = page.evaluate("[...document.querySelectorAll('audio')].map(a => [a.duration, a.error])")
    assert len(states) == 4
    for duration_s, error in states:
        assert error is None
        assert duration_s == pytest.approx(2.0, abs=0.06)
    start = "i => document.querySelectorAll('.exhibit')[0].querySelectorAll('audio')[i].play()"
    # Slowly, so that a busy machine does not miss the end.
    prepare = "a => { a.muted = true; a.playbackRate = 0.3; a.currentTime = 0.5; }"
    page.evaluate(f"document.querySelectorAll('audio').forEach({prepare})")
    page.evaluate(start, 0)
    wait_until(page, "document.querySelectorAll('audio')[0].currentTime > 0.62")
    wait_until(page, "Number(document.querySelector('.exhibit input').value) > 0.55")
    page.evaluate(start, 1)
    wait_until(page, "document.querySelectorAll('audio')[0].paused")
    # The other sound goes on from the same moment.
    assert page.evaluate("document.querySelectorAll('audio')[1].currentTime") > 0.6
    page.evaluate("document.querySelectorAll('audio')[1].pause()")


def test_the_page_works_offline_in_a_browser(opened):
    page, path, complaints, requests = opened
    check_tables(page)
    check_pictures(page)
    check_slider(page)
    check_players(page)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
