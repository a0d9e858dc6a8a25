"""Figures of a suite as files: JSON for programs, Markdown tables for readers."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.suite.figures import Row, SuiteResult
from spatialfoley.media.atomic import atomic_path


def write_report(result: SuiteResult, folder: Path) -> None:
    """Write `results.json` and `report.md`."""
    with atomic_path(folder / "results.json") as path:
        path.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    with atomic_path(folder / "report.md") as path:
        path.write_text(report_text(result), encoding="utf-8")


def report_text(result: SuiteResult) -> str:
    """The figures as Markdown tables; intervals are 95 %, by clip."""
    settings = result.settings
    lines = [
        f"# World suite: {result.label}",
        "",
        f"{result.clips} held-out clips of {settings['duration_s']:g} s, suite seed {settings['seed']}, "
        f"{len(result.failures)} failed. Brackets: 95 % intervals by clip.",
        "",
        f"- seconds per clip, median: {_cell(result.seconds, '.2f')}",
        f"- camera turned by 90°, field turns by, median: {_cell(result.turn['median_deg'], '.1f')}°",
        f"- turns within 15° of that: {_cell(result.turn['within_15_deg'], '.0%')}",
    ]
    lines += [f"- clip {index} failed: {error}" for index, error in list(result.failures.items())[:20]]
    if result.frechet:
        lines += [
            "",
            "## Distance from the true ears, all clips",
            "",
            *_table(result.frechet, _FRECHET_COLUMNS),
        ]
        lines += ["", result.frechet_note] if result.frechet_note else []
    for group, table in result.tables.items():
        lines += ["", f"## {group} ({result.groups[group]} clips)", "", *_table(table, _COLUMNS)]
        lines += ["", "Ears at the camera:", "", *_table(table, _EAR_COLUMNS)]
        lines += ["", *_overlap_table(table, result.differences[group])]
    return "\n".join(lines) + "\n"


Columns = tuple[tuple[str, str, str], ...]

_COLUMNS: Columns = (
    ("angle, median °", "angle_median_deg", ".1f"),
    ("p90 °", "angle_p90_deg", ".1f"),
    ("whole clip °", "clip_angle_median_deg", ".1f"),
    ("left for right", "left_right_confusion", ".1%"),
    ("onset error s", "onset_error_median_s", ".3f"),
    ("missed", "onsets_missed", ".0%"),
    ("false", "onsets_false", ".0%"),
    ("class right", "class_accuracy", ".0%"),
    ("coherence", "coherence_median", ".2f"),
    ("psi", "psi_median", ".2f"),
    ("level dB", "level_difference_median_db", "+.1f"),
)


_EAR_COLUMNS: Columns = (
    ("level difference error, median dB", "ear_level_error_median_db", ".1f"),
    ("level difference, correlation", "ear_level_correlation", ".2f"),
    ("the same within clips", "ear_level_following", ".2f"),
    ("louder ear right", "louder_ear_right", ".1%"),
    ("time difference error, median µs", "ear_delay_error_median_us", ".0f"),
    ("the same, mean µs", "ear_delay_error_mean_us", ".0f"),
    ("earlier ear right", "delay_side_right", ".1%"),
    ("coherence of the ears", "ear_coherence_median", ".2f"),
    ("the same minus that of the truth", "ear_coherence_difference_median", "+.2f"),
    ("one channel given twice", "mono_collapse", ".0%"),
    ("left-right distance D", "left_right_distance_median", ".3f"),
    ("silent", "silent", ".0%"),
)

_FRECHET_COLUMNS: Columns = (
    ("Fréchet distance, mean of the ears", "frechet_ears", ".1f"),
    ("Fréchet distance, mean signal", "frechet_mix", ".1f"),
)


def _table(table: dict[str, Row], columns: Columns) -> list[str]:
    rows = [[title, *(_cell(row[key], form) for row in table.values())] for title, key, form in columns]
    return _markdown(["", *table], rows)


def _overlap_table(table: dict[str, Row], differences: Row) -> list[str]:
    rows = [
        [name, *(_cell(row[name], ".3f") for row in table.values()), _cell(gap, "+.3f")]
        for name, gap in differences.items()
    ]
    return _markdown(["", *table, "generated − ambi_encode"], rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _cell(interval: Interval | None, form: str) -> str:
    if interval is None:
        return "–"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"
