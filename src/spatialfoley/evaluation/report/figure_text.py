"""Figures as text, which of them are the best, and the footnotes of a table: the same in every kind of file."""

from collections.abc import Iterable
from dataclasses import dataclass

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Metric, SystemRow, Table

MISSING = "–"
PUBLISHED_MARK = "†"
PUBLISHED_NOTE = "Copied from the publication, not measured here."
ARROWS = {"higher": "↑", "lower": "↓"}
_MINUS = "\u2212"


def number_text(value: float, form: str) -> str:
    """A number with a minus sign as long as the digits are wide; never "-0.0"."""
    text = format(value, form)
    if text.startswith("-") and not any(digit in text for digit in "123456789"):
        text = format(0.0, form)
    return text.replace("-", _MINUS)


def value_text(figure: Interval | None, metric: Metric) -> str:
    """The value of a figure, "–" for none."""
    return MISSING if figure is None else number_text(figure.value, metric.form)


def interval_text(figure: Interval | None, metric: Metric) -> str:
    """The 95 % interval, "[low, high]"; empty where there is none, as with published figures."""
    if figure is None or figure.count == 0:
        return ""
    return f"[{number_text(figure.low, metric.form)}, {number_text(figure.high, metric.form)}]"


def head_text(metric: Metric) -> str:
    """Title, arrow to the better side, unit."""
    arrow = f" {ARROWS[metric.better]}" if metric.better else ""
    return f"{metric.title}{arrow}" + (f" ({metric.unit})" if metric.unit else "")


def best_and_second(table: Table, metric: Metric) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the systems with the best and with the second best value of a column.

    Values that read the same share a place. Nothing is best in a column without a better side, nor where fewer
    than two ranked systems have a value.
    """
    shown = {
        row.name: (figure.value, value_text(figure, metric))
        for row in table.own_rows
        if row.ranked and (figure := row.figures.get(metric.key)) is not None
    }
    if metric.better is None or len(shown) < 2:
        return frozenset(), frozenset()
    order = sorted(shown.values(), reverse=metric.better == "higher")
    texts = list(dict.fromkeys(text for _, text in order))
    places = [frozenset(name for name, (_, text) in shown.items() if text == wanted) for wanted in texts[:2]]
    if len(places) == 1:  # all read the same: nobody is better than anybody
        return frozenset(), frozenset()
    return places[0], places[1]


@dataclass(frozen=True)
class Footnotes:
    """Footnotes of a table: letters in the order of reading, equal texts once.

    Attributes:
        texts: Text by letter.
    """

    texts: dict[str, str]

    @classmethod
    def of(cls, table: Table) -> "Footnotes":
        """Notes of the columns from left to right, then those of the rows from top to bottom."""
        notes: Iterable[str] = [metric.note for metric in table.metrics]
        caveats = [row.caveat for row in (*table.own_rows, *table.published_rows)]
        different = dict.fromkeys(text for text in (*notes, *caveats) if text)
        return cls({_letters(index): text for index, text in enumerate(different)})

    def mark(self, text: str) -> str:
        """Letter of a note; empty for an empty text."""
        return next((letter for letter, note in self.texts.items() if note == text), "")


def row_mark(row: SystemRow, footnotes: Footnotes) -> str:
    """What stands raised behind the name of a row: a dagger for published ones, the letter of its caveat."""
    return (PUBLISHED_MARK if row.published else "") + footnotes.mark(row.caveat)


def clips_differ(table: Table) -> bool:
    """Whether the clips behind the rows need a column of their own."""
    return len({row.clips for row in table.own_rows}) > 1


def caption_text(table: Table) -> str:
    """The caption, with the number of clips where it is the same for all rows."""
    counts = {row.clips for row in table.own_rows}
    clips = counts.pop() if len(counts) == 1 else None
    said = "" if clips is None else f"{clips} clip{'' if clips == 1 else 's'}."
    return " ".join(part for part in (table.caption, said) if part)


def _letters(index: int) -> str:
    """a, b, … z, aa, ab, …"""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
