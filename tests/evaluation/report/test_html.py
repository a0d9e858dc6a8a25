import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from spatialfoley.evaluation.report.document import Exhibit, Histogram, Report
from spatialfoley.evaluation.report.html import report_html
from spatialfoley.evaluation.report.markup import Markup, element, join
from spatialfoley.evaluation.report.plots import headline_metrics, histogram_plot, nice_ticks
from spatialfoley.evaluation.report.writing import write_report
from spatialfoley.spatial.signal import SpatialAudio
from tests.evaluation.report.conftest import HOSTILE

_VOID = {"meta", "img", "input", "br"}


class Outline(HTMLParser):
    """Elements of a page with their attributes; refuses tags that do not close in order."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.text = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not (self.open and self.open[-1] in ("style", "script")):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def module_pages():
    return {}


@pytest.fixture
def page(full_report, module_pages):
    # Made once: sounds are encoded and pictures packed for every page.
    if not module_pages:
        module_pages["page"] = report_html(full_report)
    return module_pages["page"]


def test_elements_escape_everything_that_is_not_markup():
    inner = element("b", "x < y & z")
    assert element("p", 'say "hi"', inner, None, class_="a\"b'", hidden=True, title=None) == (
        '<p class="a&quot;b&#x27;" hidden>say &quot;hi&quot;<b>x &lt; y &amp; z</b></p>'
    )
    assert isinstance(join([inner, "<"]), Markup)
    assert element("line", x1=0.5, data_end=False) == '<line x1="0.5"/>'


def test_the_page_is_well_formed_and_shows_hostile_names_as_text(page):
    outline = Outline(page)
    assert len(outline.all("script")) == 1
    assert not [name for name, attributes in outline.elements for key in attributes if key.startswith("on")]
    text = "".join(outline.text)
    assert text.count(HOSTILE) >= 3  # table, plots, clip
    assert "<script>" not in re.sub(r"<script>'use strict'", "", page)


def test_the_page_asks_for_nothing_from_outside(page):
    outline = Outline(page)
    assert "http:" not in page
    assert "https:" not in page
    addresses = [a.get(key) for _, a in outline.elements for key in ("src", "href") if a.get(key)]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\(|@import|srcset", page)
    policy = next(a["content"] for a in outline.all("meta") if "http-equiv" in a)
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}'" in policy


def test_every_link_within_the_page_has_its_target_and_ids_are_unique(page):
    outline = Outline(page)
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in outline.all("a")} <= set(ids)
    assert {a["aria-labelledby"] for _, a in outline.elements if "aria-labelledby" in a} <= set(ids)


def test_pictures_and_controls_have_names(page):
    outline = Outline(page)
    assert all(attributes.get("alt") for attributes in outline.all("img"))
    assert all(attributes.get("aria-label") for tag in ("audio", "input") for attributes in outline.all(tag))
    assert len(outline.all("audio")) == 4
    # Thumbnail, two maps and eight channels of the field; four channels of the ears.
    assert len(outline.all("img")) == 1 + 2 + 8 + 4


def test_tables_mark_the_best_the_published_and_the_caveats(page):
    assert (
        '<strong class="value" title="best">12.2</strong><span class="interval">[11.2, 13.2]</span>' in page
    )
    assert '<u class="value" title="second best">12.3</u>' in page
    assert "† Published" in page
    assert 'title="measured with mirrored left &amp; right">c</a>' in page
    assert "measured with mirrored left &amp; right</li>" in page
    assert '<td data-value="0.95"><span class="value">0.950</span></td>' in page


def test_an_empty_report_is_a_page_too():
    outline = Outline(report_html(Report("Nothing <yet>")))
    assert "Nothing <yet>" in "".join(outline.text)
    assert outline.all("section") == []


def test_silence_one_channel_and_a_single_sound_can_be_shown(tmp_path):
    silent = SpatialAudio(np.zeros((4, 3000)), 16000, "foa")
    mono = SpatialAudio(np.full((1, 100), 0.5), 8000, "mono")
    exhibits = (
        Exhibit("a", "s", "", {"estimate": silent}),
        Exhibit("b", "s", "", {"truth": mono, "estimate": silent}),
    )
    page = write_report(Report("Odd", exhibits=exhibits), tmp_path)["report.html"].read_text(encoding="utf-8")
    outline = Outline(page)
    assert len(outline.all("audio")) == 3
    assert "silent" in page
    assert "NaN" not in page
    assert "Infinity" not in page


def test_headlines_are_the_marked_metrics_or_the_first_of_each_table(table):
    assert [metric.key for _, metric in headline_metrics((table,))] == ["angle"]
    bare = type(table)(table.title, tuple(m for m in table.metrics if not m.headline), table.rows)
    assert [metric.key for _, metric in headline_metrics((bare, bare))] == ["overlap", "overlap"]
    assert headline_metrics((type(table)("only published", table.metrics[1:2], table.published_rows),)) == []


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 180.0, [0, 30, 60, 90, 120, 150, 180]),
        (2.0, 83.0, [0, 25, 50, 75, 100]),
        (0.8, 0.97, [0.8, 0.85, 0.9, 0.95, 1.0]),
        (-0.4, 1.0, [-0.5, 0, 0.5, 1.0]),
        (5.0, 5.0, [4.0, 6.0]),
        (0.0, 0.0, [0, 0.25]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low, high, ticks):
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_a_towering_bar_is_cut_off_and_says_its_height():
    edges = np.arange(0, 181, 15.0)
    even = np.arange(0.5, 180)
    values = {"exact": np.zeros(180), "a": even, "b": even}
    plot = histogram_plot(Histogram("h", "°", values, edges))
    assert ">100%</text>" in plot
    assert "Full height: 17% of the values" in plot
    bars = [float(height) for height in re.findall(r'height="([\d.]+)%"', plot)]
    assert max(bars) == 100
    assert bars[-12:] == [50.0] * 12
    assert "median 90.0°, 180 values" in plot


def test_bins_of_unequal_width_are_drawn_by_area():
    values = {"a": np.arange(0.05, 10, 0.1)}
    plot = histogram_plot(Histogram("h", "ms", values, np.array([0.0, 1.0, 10.0])))
    assert [float(height) for height in re.findall(r'height="([\d.]+)%"', plot)] == [100.0, 100.0]
    assert "Full height: 10% of the values per ms" in plot


def test_tables_beyond_the_first_ones_are_folded(table):
    page = report_html(Report("many", tables=(table,) * 8))
    outline = Outline(page)
    assert [a["id"] for a in outline.all("details")] == ["table-7", "table-8"]
    assert len(outline.all("table")) == 8
