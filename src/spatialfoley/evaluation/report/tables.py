"""A report as Markdown for readers and as JSON for programs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from spatialfoley.evaluation.report.document import Exhibit, Histogram, Report, SystemRow, Table
from spatialfoley.evaluation.report.figure_text import (
    MISSING,
    PUBLISHED_MARK,
    PUBLISHED_NOTE,
    Footnotes,
    best_and_second,
    caption_text,
    clips_differ,
    head_text,
    interval_text,
    number_text,
    row_mark,
    value_text,
)

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$^])")


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line; also inside a table."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN_SPECIAL.sub(r"\\\1", plain)


def report_markdown(report: Report) -> str:
    """The whole report as Markdown."""
    parts = [f"# {escape_markdown(report.title)}", *map(escape_markdown, report.introduction)]
    for table in report.tables:
        parts += [f"## {escape_markdown(table.title)}", *table_markdown(table)]
    for histogram in report.histograms:
        parts += [f"## {escape_markdown(histogram.title)}", _histogram_markdown(histogram)]
    if report.exhibits:
        parts += ["## Clips", "\n".join(map(_exhibit_markdown, report.exhibits))]
    if report.failures:
        lines = (
            f"- {escape_markdown(clip)}: {escape_markdown(why)}" for clip, why in report.failures.items()
        )
        parts += [f"## Failed, in no figure: {len(report.failures)}", "\n".join(lines)]
    if report.provenance:
        parts += ["## Provenance", "\n".join(_nested(plain(report.provenance)))]
    return "\n\n".join(parts) + "\n"


def table_markdown(table: Table) -> list[str]:
    """Paragraphs of one table: caption, table with the best values bold, footnotes.

    The second best value of a column is in italics, as Markdown does not underline.
    """
    footnotes = Footnotes.of(table)
    wide = clips_differ(table)
    heads = [
        escape_markdown(head_text(metric)) + _raised(footnotes.mark(metric.note)) for metric in table.metrics
    ]
    head = ["system", *(["clips"] if wide else []), *heads]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    ranks = {metric.key: best_and_second(table, metric) for metric in table.metrics}
    for row in (*table.own_rows, *table.published_rows):
        cells = [escape_markdown(row.name) + _raised(row_mark(row, footnotes))]
        cells += [MISSING if row.clips is None else str(row.clips)] if wide else []
        for metric in table.metrics:
            best, second = ranks[metric.key]
            figure = row.figures.get(metric.key)
            value, interval = value_text(figure, metric), interval_text(figure, metric)
            around = "**" if not row.published and row.name in best else ""
            around = "*" if not row.published and row.name in second else around
            cells.append(f"{around}{value}{around} {interval}".strip())
        lines.append(_line(cells))
    caption = escape_markdown(caption_text(table))
    notes = [f"{_raised(letter)} {escape_markdown(text)}" for letter, text in footnotes.texts.items()]
    notes = ([f"{PUBLISHED_MARK} {PUBLISHED_NOTE}"] if table.published_rows else []) + notes
    notes += map(escape_markdown, table.notes)
    body = ["\n".join(lines), "\n".join(f"- {note}" for note in notes)]
    return [part for part in (caption, *body) if part]


def report_document(report: Report) -> dict[str, Any]:
    """The whole report as JSON can say it; sounds and pictures are left out."""
    return {
        "title": report.title,
        "introduction": list(report.introduction),
        "tables": [_table_document(table) for table in report.tables],
        "histograms": [
            {
                "title": histogram.title,
                "unit": histogram.unit,
                "edges": histogram.edges.tolist(),
                "counts": {name: histogram.counts(name).tolist() for name in histogram.values},
            }
            for histogram in report.histograms
        ],
        "exhibits": [
            {
                "clip": exhibit.clip,
                "system": exhibit.system,
                "caption": exhibit.caption,
                "figures": plain(exhibit.figures),
            }
            for exhibit in report.exhibits
        ],
        "failures": dict(report.failures),
        "provenance": plain(report.provenance),
    }


def plain(value: Any) -> Any:
    """The same in what JSON knows: paths as text, arrays as lists, dataclasses as objects.

    Numbers that are not finite become text, as JSON has no word for them.

    Raises:
        ValueError: Of another type.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, PurePath):
        return str(value)
    raise ValueError(
        f"{value!r} is a {type(value).__name__}; a report holds text, numbers, lists and mappings"
    )


def _table_document(table: Table) -> dict[str, Any]:
    metrics = [
        {
            "key": metric.key,
            "title": metric.title,
            "unit": metric.unit,
            "better": metric.better,
            "note": metric.note,
        }
        for metric in table.metrics
    ]
    rows = [_row_document(row, table) for row in table.rows]
    return {
        "title": table.title,
        "caption": table.caption,
        "notes": list(table.notes),
        "metrics": metrics,
        "rows": rows,
    }


def _row_document(row: SystemRow, table: Table) -> dict[str, Any]:
    figures = {metric.key: row.figures.get(metric.key) for metric in table.metrics}
    return {
        "name": row.name,
        "clips": row.clips,
        "published": row.published,
        "ranked": row.ranked,
        "caveat": row.caveat,
        "figures": {key: None if figure is None else plain(figure) for key, figure in figures.items()},
    }


def _histogram_markdown(histogram: Histogram) -> str:
    """Quantiles of every system: what a picture of the bins would show."""
    head = ["system", "values", "10 %", "median", "90 %"]
    lines = [_line(head), _line(["---", *["---:"] * 4])]
    unit = escape_markdown(histogram.unit)
    for name, values in histogram.values.items():
        marks = np.percentile(values, [10, 50, 90]) if values.size else []
        texts = [f"{number_text(float(mark), '.1f')} {unit}".strip() for mark in marks] or [MISSING] * 3
        lines.append(_line([escape_markdown(name), str(values.size), *texts]))
    return "\n".join(lines)


def _exhibit_markdown(exhibit: Exhibit) -> str:
    figures = "; ".join(
        f"{name} {MISSING if value is None else number_text(value, '.3g')}"
        for name, value in exhibit.figures.items()
    )
    text = f"{exhibit.caption}: {exhibit.clip}, {exhibit.system}" + (f" ({figures})" if figures else "")
    return f"- {escape_markdown(text)}"


def _nested(value: Any, depth: int = 0) -> list[str]:
    """Mappings and lists as bullets."""
    lines: list[str] = []
    entries: Sequence[tuple[str, Any]]
    if isinstance(value, dict):
        entries = [(f"{escape_markdown(str(key))}: ", entry) for key, entry in value.items()]
    else:
        entries = [("", entry) for entry in value]
    for label, entry in entries:
        if isinstance(entry, dict | list) and entry:
            lines += [f"{'  ' * depth}- {label}".rstrip(), *_nested(entry, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}- {label}{escape_markdown(_leaf(entry))}")
    return lines


def _leaf(value: Any) -> str:
    return MISSING if value in (None, {}, []) else str(value)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _raised(mark: str) -> str:
    return f"<sup>{mark}</sup>" if mark else ""
