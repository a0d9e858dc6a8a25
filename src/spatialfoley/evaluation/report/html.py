"""One page that holds everything: opened from disk, it asks nothing of the network.

Styles and script are the files in `resources/report`; a content security policy in the page forbids whatever else.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from spatialfoley.evaluation.report.document import Report
from spatialfoley.evaluation.report.exhibits import exhibit_card
from spatialfoley.evaluation.report.figure_text import MISSING
from spatialfoley.evaluation.report.html_tables import table_card
from spatialfoley.evaluation.report.markup import Markup, element, join
from spatialfoley.evaluation.report.plots import dot_plot, headline_metrics, histogram_plot
from spatialfoley.evaluation.report.tables import plain

_OPEN_TABLES = 6
"""Further tables are folded: a reader sees their titles at a glance."""


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
    tables = [
        table_card(table, f"table-{number}", folded=number > _OPEN_TABLES)
        for number, table in enumerate(report.tables, 1)
    ]
    exhibits = [exhibit_card(exhibit, number) for number, exhibit in enumerate(report.exhibits, 1)]
    return [
        ("provenance", "Provenance", _provenance(report.provenance)),
        ("glance", "At a glance", [element("div", *headlines, class_="grid-of-cards")] if headlines else []),
        ("tables", "Tables", tables),
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
