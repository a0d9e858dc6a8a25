"""Tables in HTML: sorted by a click, best values marked, caveats as tooltips and as footnotes that print."""

from collections.abc import Mapping

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Metric, SystemRow, Table
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
from spatialfoley.evaluation.report.markup import Markup, element

Ranks = Mapping[str, tuple[frozenset[str], frozenset[str]]]


def table_card(table: Table, base: str, folded: bool = False) -> Markup:
    """One table with its footnotes; a click on a head sorts.

    Args:
        table: What to show.
        base: Its id in the page, from which those of its footnotes are made.
        folded: Show the title only, until it is opened.
    """
    footnotes, wide = Footnotes.of(table), clips_differ(table)
    ranks = {metric.key: best_and_second(table, metric) for metric in table.metrics}
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
    caption = element("p", caption_text(table), class_="muted")
    named = f"{base}-title"
    title = element("h3", table.title, id=named)
    grid = element("table", element("thead", element("tr", *heads)), *bodies, aria_labelledby=named)
    scroller = element("div", grid, class_="scroller", tabindex=0, role="region", aria_labelledby=named)
    notes = _notes(table, footnotes, base)
    if folded:
        caption = element("div", caption, class_="caption")
        summary = element("summary", title)
        return element("details", summary, caption, scroller, notes, class_="card table-card", id=base)
    caption = element("div", title, caption, class_="caption")
    return element("div", caption, scroller, notes, class_="card table-card", id=base)


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
