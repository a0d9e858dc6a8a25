"""One page that holds everything: opened from disk, it asks nothing of the network.

Styles and script are the files in `resources/report`; a content security policy in the page forbids whatever else.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Metric, Report, SystemRow, Table
from spatialfoley.evaluation.report.exhibits import exhibit_card
from spatialfoley.evaluation.report.figure_text import (
    ARROWS,
    MISSING,
    PUBLISHED_MARK,
    PUBLISHED_NOTE,
    Footnotes,
    best_and_second,
    caption_text,
    clips_differ,
    interval_text,
    value_text,
)
from spatialfoley.evaluation.report.markup import Markup, element, join
from spatialfoley.evaluation.report.plots import dot_plot, headline_metrics, histogram_plot
from spatialfoley.evaluation.report.tables import plain

Ranks = Mapping[str, tuple[frozenset[str], frozenset[str]]]


def report_html(report: Report) -> str:
    """The page."""
    style, script = (_resource(name) for name in ("report.css", "report.js"))
    sections = _sections(report)
    links = [
        element("a", title, href=f"#{anchor}")
        for anchor, title, body in sections
        if body and anchor != "provenance"
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        element("title", report.title),
        element("style", style),
    )
    top = element(
        "header",
        element("h1", report.title),
        *(element("p", paragraph, class_="lead") for paragraph in report.introduction),
        element("nav", *links, aria_label="Sections") if len(links) > 1 else None,
        class_="top",
    )
    noscript = element(
        "noscript",
        element("p", "Without scripts, tables cannot be sorted and maps show one moment.", class_="muted"),
    )
    parts = [_section(anchor, title, body) for anchor, title, body in sections if body]
    body = element("body", element("main", top, noscript, *parts), element("script", script))
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _sections(report: Report) -> list[tuple[str, str, list[Markup]]]:
    """Anchor, title and contents of each section; empty ones are left out by the caller."""
    headlines = [dot_plot(table, metric) for table, metric in headline_metrics(report.tables)]
    exhibits = [exhibit_card(exhibit, number) for number, exhibit in enumerate(report.exhibits, 1)]
    return [
        ("provenance", "Provenance", _provenance(report.provenance)),
        ("glance", "At a glance", [element("div", *headlines, class_="grid-of-cards")] if headlines else []),
        ("tables", "Tables", [_table(table, number) for number, table in enumerate(report.tables, 1)]),
        (
            "spread",
            "How errors are spread",
            [element("div", *map(histogram_plot, report.histograms), class_="grid-of-cards")]
            if report.histograms
            else [],
        ),
        ("clips", "Clips to see and hear", [*_clip_index(report), *exhibits]),
        ("failed", f"Failed, in no figure: {len(report.failures)}", _failures(report.failures)),
    ]


def _section(anchor: str, title: str, body: Sequence[Markup]) -> Markup:
    if anchor == "provenance":
        return join(body)
    return element("section", element("h2", title), *body, id=anchor)


def _provenance(provenance: Mapping[str, Any]) -> list[Markup]:
    if not provenance:
        return []
    summary = element("summary", "Where these figures come from")
    return [element("details", summary, _nested(plain(provenance)), id="provenance", class_="provenance")]


def _nested(value: Any) -> Markup:
    """JSON as lists of terms."""
    if isinstance(value, dict) and value:
        entries = [
            element("div", element("dt", str(key)), element("dd", _nested(entry)))
            for key, entry in value.items()
        ]
        return element("dl", *entries, class_="nested")
    if isinstance(value, list) and value:
        if not any(isinstance(entry, dict | list) for entry in value):
            return element("span", ", ".join(map(str, value)))
        return element("ul", *(element("li", _nested(entry)) for entry in value))
    return element("span", MISSING if value in (None, {}, []) else str(value))


def _table(table: Table, number: int) -> Markup:
    footnotes, wide = Footnotes.of(table), clips_differ(table)
    ranks = {metric.key: best_and_second(table, metric) for metric in table.metrics}
    base = f"table-{number}"
    heads = [_head("System", None, "", base, footnotes)]
    heads += [_head("Clips", None, "", base, footnotes)] if wide else []
    heads += [_head(metric.title, metric, metric.note, base, footnotes) for metric in table.metrics]
    own = [_row(row, table, ranks, footnotes, base) for row in table.own_rows]
    published = [_row(row, table, {}, footnotes, base) for row in table.published_rows]
    bodies = [element("tbody", *own)] if own else []
    if published:
        label = element(
            "th", f"{PUBLISHED_MARK} Published", scope="rowgroup", colspan=len(heads), class_="group"
        )
        bodies.append(element("tbody", element("tr", label, class_="fixed"), *published, class_="published"))
    caption = element(
        "div",
        element("h3", table.title, id=f"{base}-title"),
        element("p", caption_text(table), class_="muted"),
        class_="caption",
    )
    named = f"{base}-title"
    grid = element("table", element("thead", element("tr", *heads)), *bodies, aria_labelledby=named)
    scroller = element("div", grid, class_="scroller", tabindex=0, role="region", aria_labelledby=named)
    return element(
        "div", caption, scroller, _notes(table, footnotes, base), class_="card table-card", id=base
    )


def _head(title: str, metric: Metric | None, note: str, base: str, footnotes: Footnotes) -> Markup:
    """A column's head, which sorts by it."""
    unit = element("span", metric.unit, class_="unit") if metric and metric.unit else None
    arrow = None
    if metric and metric.better:
        arrow = element("span", ARROWS[metric.better], class_="arrow", title=f"{metric.better} is better")
    order = metric.better if metric and metric.better else "higher"
    button = element(
        "button", element("span", title), arrow, unit, type="button",
        data_better="text" if title == "System" and metric is None else order,
    )  # fmt: skip
    inside = element("span", button, _mark(footnotes.mark(note), note, base), class_="head")
    # Long titles take about three lines, not one for every word.
    width = f"min-width:{len(title) / 2.5 + 3:.0f}ch"
    return element("th", inside, scope="col", aria_sort="none", style=width)


def _row(row: SystemRow, table: Table, ranks: Ranks, footnotes: Footnotes, base: str) -> Markup:
    dagger = element("sup", PUBLISHED_MARK, title=PUBLISHED_NOTE) if row.published else None
    name = element("th", row.name, dagger, _mark(footnotes.mark(row.caveat), row.caveat, base), scope="row")
    cells = [name]
    if clips_differ(table):
        text = MISSING if row.clips is None else str(row.clips)
        cells.append(element("td", text, data_value=row.clips))
    for metric in table.metrics:
        best, second = ranks.get(metric.key, (frozenset(), frozenset()))
        tag = "strong" if row.name in best else "u" if row.name in second else "span"
        cells.append(_cell(row.figures.get(metric.key), metric, tag))
    return element("tr", *cells, class_=None if row.ranked or row.published else "anchor")


def _cell(figure: Interval | None, metric: Metric, tag: str) -> Markup:
    said = {"strong": "best", "u": "second best"}.get(tag)
    value = element(tag, value_text(figure, metric), class_="value", title=said)
    interval = interval_text(figure, metric)
    small = element("span", interval, class_="interval") if interval else None
    return element("td", value, small, data_value=None if figure is None else repr(figure.value))


def _mark(letter: str, text: str, base: str) -> Markup | None:
    if not letter:
        return None
    return element("sup", element("a", letter, href=f"#{base}-{letter}", title=text))


def _notes(table: Table, footnotes: Footnotes, base: str) -> Markup | None:
    notes = [element("li", PUBLISHED_MARK, " ", PUBLISHED_NOTE)] if table.published_rows else []
    notes += [
        element("li", element("sup", letter), " ", text, id=f"{base}-{letter}")
        for letter, text in footnotes.texts.items()
    ]
    notes += [element("li", note) for note in table.notes]
    return element("ul", *notes, class_="notes small muted") if notes else None


def _clip_index(report: Report) -> list[Markup]:
    """Links to the clips."""
    entries = []
    for number, exhibit in enumerate(report.exhibits, 1):
        badge = element("strong", exhibit.caption) if exhibit.caption else None
        words = element("span", exhibit.clip, " ", element("small", exhibit.system, class_="muted"))
        entries.append(element("li", element("a", badge, words, href=f"#clip-{number}")))
    return [element("ol", *entries, class_="clip-index")] if entries else []


def _failures(failures: Mapping[str, str]) -> list[Markup]:
    rows = [
        element("tr", element("th", clip, scope="row"), element("td", why)) for clip, why in failures.items()
    ]
    grid = element("table", element("tbody", *rows), class_="failures")
    return [element("div", grid, class_="card scroller")] if rows else []


def _policy(script: str) -> str:
    """Only this script, styles and data within the page: nothing can be fetched, even by mistake."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _resource(name: str) -> Markup:
    return Markup((files("spatialfoley") / "resources" / "report" / name).read_text(encoding="utf-8"))
