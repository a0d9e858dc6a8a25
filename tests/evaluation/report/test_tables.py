import json
import re
from pathlib import PurePosixPath

import numpy as np
import pytest

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Metric, SystemRow, Table
from spatialfoley.evaluation.report.figure_text import (
    Footnotes,
    best_and_second,
    caption_text,
    head_text,
    interval_text,
    number_text,
)
from spatialfoley.evaluation.report.tables import (
    escape_markdown,
    plain,
    report_document,
    report_markdown,
    table_markdown,
)
from spatialfoley.evaluation.report.writing import write_report
from tests.evaluation.report.conftest import HOSTILE


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-1.25, ".1f", "\u22121.2"),
        (-0.04, "+.1f", "+0.0"),
        (-0.0, ".2f", "0.00"),
        (0.1234, ".1%", "12.3%"),
        (-1e-7, ".0e", "\u22121e\u221207"),
    ],
)
def test_numbers_read_well(value, form, text):
    assert number_text(value, form) == text


def test_best_and_second_leave_out_published_and_unranked_rows_and_share_places(table):
    places = {metric.key: best_and_second(table, metric) for metric in table.metrics}
    # 12.25 and 12.3 both read 12.2 or 12.3: with one digit 12.25 rounds to even, so ours is second.
    assert places["angle"] == ({HOSTILE}, {"ours"})
    assert places["overlap"] == ({"theirs"}, {"ours"})
    assert places["share"] == (frozenset(), frozenset())  # one value is no competition
    assert places["level"] == (frozenset(), frozenset())  # no better side


def test_values_that_read_the_same_share_a_place():
    def row(name, value):
        return SystemRow(name, {"m": Interval(value, value, value, 3)})

    metric = Metric("m", "m", ".1f", better="lower")
    rows = (row("a", 1.01), row("b", 1.04), row("c", 2.0), row("d", 3.0))
    assert best_and_second(Table("t", (metric,), rows), metric) == ({"a", "b"}, {"c"})
    assert best_and_second(Table("t", (metric,), rows[:2]), metric) == (frozenset(), frozenset())


def test_heads_intervals_and_captions(table):
    assert head_text(table.metrics[0]) == "angle, median ↓ (°)"
    assert interval_text(Interval(-1.0, -2.0, 0.5, 9), table.metrics[3]) == "[\u22122.0, +0.5]"
    assert interval_text(Interval(1.0, 1.0, 1.0, 0), table.metrics[3]) == ""
    assert caption_text(table) == "Held-out clips. 20 clips."


def test_footnotes_are_lettered_in_reading_order_and_said_once(table):
    notes = Footnotes.of(table)
    assert notes.texts == {
        "a": "of the loudest source",
        "b": "random weights",
        "c": "measured with mirrored left & right",
    }
    many = Table(
        "t", (Metric("m", "m"),), tuple(SystemRow(f"s{i}", {"m": None}, caveat=f"{i}") for i in range(28))
    )
    assert list(Footnotes.of(many).texts)[25:] == ["z", "aa", "ab"]


def test_markdown_table_keeps_its_columns_whatever_the_names_are(table):
    _, body, notes = table_markdown(table)
    lines = body.splitlines()
    assert len(lines) == 2 + len(table.rows)
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert columns == {1 + 1 + len(table.metrics)}
    hostile = lines[4]
    assert "<script>" not in hostile
    assert "&lt;script&gt;" in hostile
    assert r"a\|b\_c &amp; 50%" in hostile
    assert "**12.2** [11.2, 13.2]" in hostile
    assert "| *12.3* [11.3, 13.3]" in lines[3]
    assert lines[-1].startswith("| paper<sup>†c</sup> |")
    assert "0.950 |" in lines[-1]
    assert "0.950 [" not in lines[-1]
    assert "- † Copied from the publication" in notes


def test_markdown_report_names_failures_and_provenance(text_report):
    text = report_markdown(text_report)
    assert text.startswith("# Sounds of &lt;b&gt;rooms&lt;/b&gt;\n")
    assert "## Failed, in no figure: 1" in text
    assert "no sound &lt; 1 s" in text
    assert "- models: \n" not in text
    assert "  - ours\\_1: sha256 00\\|11" in text
    assert "<script>" not in text


def test_escaping_keeps_one_line():
    assert escape_markdown("a\n| b") == r"a \| b"


def test_json_says_every_figure_with_its_interval(text_report, table):
    document = json.loads(json.dumps(report_document(text_report), allow_nan=False))
    rows = document["tables"][0]["rows"]
    assert [row["name"] for row in rows] == [row.name for row in table.rows]
    assert rows[1]["figures"]["angle"] == {"value": 12.3, "low": 11.3, "high": 13.3, "count": 20}
    assert rows[1]["figures"]["level"] is None
    assert rows[4]["published"] is True
    assert document["provenance"]["speed"] == 0.5
    assert document["failures"] == {HOSTILE: "no sound < 1 s"}


def test_plain_takes_paths_arrays_and_numbers_that_are_not_finite():
    said = plain(
        {"p": PurePosixPath("a/b"), "a": np.arange(2), "n": float("nan"), "s": {"b", "a"}, "t": (1,)}
    )
    assert said == {"p": "a/b", "a": [0, 1], "n": "nan", "s": ["a", "b"], "t": [1]}
    with pytest.raises(ValueError, match="is a object; a report holds text, numbers"):
        plain({"x": object()})


def test_all_files_are_written_or_none(text_report, tmp_path):
    paths = write_report(text_report, tmp_path / "out")
    assert all(path.stat().st_size > 0 for path in paths.values())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(paths)
    broken = type(text_report)(title="t", provenance={"x": object()})
    with pytest.raises(ValueError, match="a report holds text"):
        write_report(broken, tmp_path / "none")
    assert not (tmp_path / "none").exists()
