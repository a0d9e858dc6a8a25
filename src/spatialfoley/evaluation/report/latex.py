r"""Tables of a report in LaTeX, in the form of the papers: systems as rows, rules of booktabs.

The best value of a column is bold, the second underlined; figures of publications stand below a rule, marked by a
dagger. `\input` the file after ``\usepackage{booktabs}`` (and ``graphicx`` for wide tables).
"""

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Metric, Report, SystemRow, Table
from spatialfoley.evaluation.report.figure_text import (
    MISSING,
    PUBLISHED_NOTE,
    Footnotes,
    best_and_second,
    caption_text,
    clips_differ,
    interval_text,
    value_text,
)

_ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$"}
_DAGGER = r"$\dagger$"
_WIDE_COLUMNS = 7
"""From so many columns on a table is scaled to the width of the text."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "−": r"$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "√": r"$\surd$",
    "²": r"$^2$",
    "³": r"$^3$",
    "†": _DAGGER,
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
}
_LAST_LATIN = 0x17F
"""Letters up to Latin Extended-A are known to LaTeX as they are."""


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is, on one line; what its usual fonts lack becomes its code point."""
    return "".join(map(_sign, " ".join(text.split())))


def report_latex(report: Report, intervals: bool = False) -> str:
    """All tables of a report.

    Args:
        report: Whose tables.
        intervals: Put the 95 % intervals below the values, small; the papers leave them out.
    """
    head = f"% {' '.join(report.title.split())}\n% Needs \\usepackage{{booktabs}} and \\usepackage{{graphicx}}.\n"
    return "\n".join([head, *(table_latex(table, intervals) for table in report.tables)])


def table_latex(table: Table, intervals: bool = False) -> str:
    """One table environment.

    Args:
        table: What to print.
        intervals: Put the 95 % intervals below the values, small.
    """
    footnotes, wide = Footnotes.of(table), clips_differ(table)
    columns = 1 + wide + len(table.metrics)
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}",
        r"\toprule",
        _head(table, footnotes),
        r"\midrule",
    ]
    ranks = {metric.key: best_and_second(table, metric) for metric in table.metrics}
    lines += [_row(row, table, footnotes, ranks, intervals) for row in table.own_rows]
    lines += [r"\midrule"] if table.own_rows and table.published_rows else []
    lines += [_row(row, table, footnotes, {}, intervals) for row in table.published_rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if columns >= _WIDE_COLUMNS:
        lines = [r"\resizebox{\textwidth}{!}{%", *lines, "}"]
    caption = ". ".join(part.rstrip(".") for part in (table.title, caption_text(table)) if part) + "."
    head = [r"\begin{table}[t]", r"\centering", rf"\caption{{{escape_latex(caption)}}}", r"\small"]
    return "\n".join([*head, *lines, *_notes(table, footnotes), r"\end{table}"]) + "\n"


def _head(table: Table, footnotes: Footnotes) -> str:
    cells = ["System"] + (["Clips"] if clips_differ(table) else [])
    for metric in table.metrics:
        arrow = _ARROWS[metric.better] if metric.better else ""
        unit = f" ({escape_latex(metric.unit)})" if metric.unit else ""
        cells.append(f"{escape_latex(metric.title)}{arrow}{unit}{_raised(footnotes.mark(metric.note))}")
    return _line(cells)


def _row(
    row: SystemRow,
    table: Table,
    footnotes: Footnotes,
    ranks: dict[str, tuple[frozenset[str], frozenset[str]]],
    intervals: bool,
) -> str:
    mark = (_DAGGER if row.published else "") + footnotes.mark(row.caveat)
    cells = [escape_latex(row.name) + _raised(mark)]
    if clips_differ(table):
        cells.append(escape_latex(MISSING) if row.clips is None else str(row.clips))
    for metric in table.metrics:
        best, second = ranks.get(metric.key, (frozenset(), frozenset()))
        command = r"\textbf" if row.name in best else r"\underline" if row.name in second else ""
        cells.append(_cell(row.figures.get(metric.key), metric, command, intervals))
    return _line(cells)


def _cell(figure: Interval | None, metric: Metric, command: str, intervals: bool) -> str:
    value = escape_latex(value_text(figure, metric))
    value = f"{command}{{{value}}}" if command else value
    interval = escape_latex(interval_text(figure, metric)) if intervals else ""
    return rf"{value} {{\scriptsize {interval}}}" if interval else value


def _notes(table: Table, footnotes: Footnotes) -> list[str]:
    notes = [rf"{_raised(_DAGGER)}{PUBLISHED_NOTE}"] if table.published_rows else []
    notes += [_raised(letter) + escape_latex(text) for letter, text in footnotes.texts.items()]
    notes += map(escape_latex, table.notes)
    if not notes:
        return []
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\textwidth}\footnotesize",
        " \\\\\n".join(notes),
        r"\end{minipage}",
    ]


def _sign(sign: str) -> str:
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if ord(sign) > _LAST_LATIN or not sign.isprintable():
        return f"[U+{ord(sign):04X}]"
    return sign


def _raised(mark: str) -> str:
    return rf"\textsuperscript{{{mark}}}" if mark else ""


def _line(cells: list[str]) -> str:
    # A cell that begins with a bracket would be read as an argument of the row's end before it.
    return " & ".join(f"{{{cell}}}" if cell.startswith("[") else cell for cell in cells) + r" \\"
