"""Plots in HTML and inline SVG that keep the size of their text on every screen.

Labels are text beside an SVG whose coordinates are shares of its width, so nothing is scaled.
"""

import math
from collections.abc import Sequence

import numpy as np

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Histogram, Metric, SystemRow, Table
from spatialfoley.evaluation.report.figure_text import (
    PUBLISHED_MARK,
    best_and_second,
    head_text,
    interval_text,
    number_text,
    value_text,
)
from spatialfoley.evaluation.report.markup import Markup, element, join

_TICKS = 4
_TOWERING = 2.0
"""A histogram taller than this many times the usual one is cut off, with its height written on it."""
_MIDDLE = "50%"
_NEAR_THE_END = 85.0


def headline_metrics(tables: Sequence[Table]) -> list[tuple[Table, Metric]]:
    """What is drawn: the metrics marked as headlines, otherwise the first of each table with a better side.

    Tables of nothing but published figures are not drawn.
    """
    tables = [table for table in tables if table.own_rows]
    marked = [(table, metric) for table in tables for metric in table.metrics if metric.headline]
    if marked:
        return marked
    firsts = ((table, next((m for m in table.metrics if m.better), None)) for table in tables)
    return [(table, metric) for table, metric in firsts if metric is not None]


def dot_plot(table: Table, metric: Metric) -> Markup:
    """Systems along an axis: a dot for the value, a whisker for the 95 % interval, a diamond if published."""
    order = (*table.own_rows, *table.published_rows)
    drawn = [(row, figure) for row in order if (figure := row.figures.get(metric.key)) is not None]
    figures = [figure for _, figure in drawn]
    ticks = nice_ticks(
        min(min(f.low, f.value) for f in figures) if figures else 0.0,
        max(max(f.high, f.value) for f in figures) if figures else 1.0,
    )
    best, _ = best_and_second(table, metric)
    lines = [
        _dot_row(row, figure, metric, ticks, not row.published and row.name in best) for row, figure in drawn
    ]
    title = element("strong", head_text(metric))
    caption = element("figcaption", title, element("span", table.title, class_="muted"))
    axis = _axis([(tick, number_text(tick, _tick_form(metric, ticks))) for tick in ticks], ticks)
    return element("figure", caption, element("div", *lines, axis, class_="strip-plot"), class_="card dots")


def histogram_plot(histogram: Histogram) -> Markup:
    """One small histogram per system above a common axis, with the median marked.

    Where bins differ in width, areas say the shares: heights are shares per unit of the value.
    """
    edges = histogram.edges
    widths = np.diff(edges)
    even = bool(np.ptp(widths) < 1e-9 * widths.max())
    shares = {name: histogram.counts(name) / max(1, values.size) for name, values in histogram.values.items()}
    heights = {name: share if even else share / widths for name, share in shares.items()}
    tallest = sorted(float(height.max()) for height in heights.values())
    usual = tallest[(len(tallest) - 1) // 2] if tallest else 1.0
    top = (min(tallest[-1], _TOWERING * usual) if tallest and usual > 0 else 0.0) or 1.0
    rows = [_histogram_row(histogram, name, shares[name], heights[name] / top) for name in shares]
    ticks = [tick for tick in nice_ticks(float(edges[0]), float(edges[-1])) if edges[0] <= tick <= edges[-1]]
    axis = _axis([(tick, f"{tick:g}") for tick in ticks], [float(edges[0]), float(edges[-1])])
    unit = f"in {histogram.unit}" if histogram.unit else None
    per = "" if even else f" per {histogram.unit or 'unit'}"
    scale = f"Full height: {top:.0%} of the values{per}; the line marks the median."
    caption = element("figcaption", element("strong", histogram.title), element("span", unit, class_="muted"))
    body = element("div", *rows, axis, class_="strip-plot histograms")
    return element("figure", caption, body, element("p", scale, class_="muted small"), class_="card")


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers around a range; from 0 where the range begins not far above it."""
    if 0 < low < 0.5 * high:
        low = 0.0
    span = high - low or abs(high) or 1.0
    raw = span / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    if (low, high) in ((0.0, 180.0), (-180.0, 180.0)):
        step = (high - low) / 6  # angles
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, max(last, first + 1) + 1)]


def _dot_row(row: SystemRow, figure: Interval, metric: Metric, ticks: list[float], best: bool) -> Markup:
    at, low, high = (_percent(value, ticks) for value in (figure.value, figure.low, figure.high))
    kind = " anchor-row" if not row.ranked else ""
    marks = [element("line", x1=low, x2=high, y1=_MIDDLE, y2=_MIDDLE, class_=f"whisker{kind}")]
    if row.published:
        diamond = element("path", d="M0-5.5 5.5 0 0 5.5-5.5 0z", class_="diamond")
        marks = [element("svg", diamond, x=at, y=_MIDDLE, class_="anchor")]
    else:
        marks.append(element("circle", cx=at, cy=_MIDDLE, r=5, class_=f"dot{kind}"))
    value = value_text(figure, metric)
    name = row.name + (f"\u00a0{PUBLISHED_MARK}" if row.published else "")
    label = element("span", name, class_="label", title=name)
    shown = element("strong" if best else "span", value, class_="number")
    title = f"{name}: {value} {interval_text(figure, metric)}".strip()
    drawn = element("svg", element("title", title), _grid(ticks), *marks, aria_hidden="true")
    track = element("div", drawn, class_="track")
    return element("div", label, track, shown, class_="strip quoted" if row.published else "strip")


def _histogram_row(histogram: Histogram, name: str, shares: np.ndarray, heights: np.ndarray) -> Markup:
    edges, values = histogram.edges, histogram.values[name]
    ends = [float(edges[0]), float(edges[-1])]
    bars = []
    for left, right, share, full in zip(edges[:-1], edges[1:], shares, heights, strict=True):
        height = 100 * min(float(full), 1.0)
        x = 100 * (float(left) - ends[0]) / (ends[1] - ends[0])
        width = 100 * float(right - left) / (ends[1] - ends[0])
        box = {
            "x": f"{x:.2f}%",
            "width": f"{width:.2f}%",
            "y": f"{100 - height:.1f}%",
            "height": f"{height:.1f}%",
        }
        bars.append(element("rect", element_title(f"{left:g} to {right:g}: {share:.1%}"), **box))
        if full > 1.001:
            # Beside the bar, on the side where there is room.
            side = {"x": f"{x + width:.2f}%", "dx": "0.4em", "class_": "cut"}
            if x > _NEAR_THE_END:
                side = {"x": f"{x:.2f}%", "dx": "-0.4em", "class_": "cut left"}
            bars.append(element("text", f"{share:.0%}", y="0.8em", **side))
    said = "no values"
    if values.size:
        median = float(np.median(values))
        at = _percent(min(max(median, ends[0]), ends[1]), ends)
        bars.append(element("line", x1=at, x2=at, y1="0%", y2="100%", class_="median"))
        said = (
            f"{number_text(median, '.1f')}{histogram.unit if histogram.unit == '°' else ' ' + histogram.unit}"
        )
    label = element("span", name, class_="label", title=name)
    number = element("span", said, element("small", f"n = {values.size}"), class_="number")
    alternative = f"{histogram.title}, {name}: median {said}, {values.size} values"
    drawn = element("svg", *bars, role="img", aria_label=alternative)
    track = element("div", drawn, class_="track tall")
    return element("div", label, track, number, class_="strip")


def element_title(text: str) -> Markup:
    """A tooltip inside SVG."""
    return element("title", text)


def _grid(ticks: list[float]) -> Markup:
    return join(
        element("line", x1=_percent(tick, ticks), x2=_percent(tick, ticks), y1="0", y2="100%", class_="grid")
        for tick in ticks
    )


def _axis(labels: Sequence[tuple[float, str]], ends: Sequence[float]) -> Markup:
    marks = [element("span", text, style=f"left:{_percent(at, ends)}") for at, text in labels]
    empty = element("span", class_="label")
    return element(
        "div", empty, element("div", *marks, class_="x-axis"), element("span"), class_="strip axis"
    )


def _tick_form(metric: Metric, ticks: list[float]) -> str:
    if metric.form.endswith("%"):
        return ".0%" if (ticks[1] - ticks[0]) >= 0.0099 else ".1%"
    return "g"


def _percent(value: float, ends: Sequence[float]) -> str:
    return f"{100 * (value - ends[0]) / (ends[-1] - ends[0]):.2f}%"
