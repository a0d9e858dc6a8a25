"""From the scores of single clips to tables with 95 % intervals."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.evaluation.statistics import Interval, bootstrap_interval, wilson_interval
from spatialfoley.media.atomic import atomic_path

SYSTEMS = ("generated", "truth", "codec", "ambi_encode", "noise")
SINGLE = "single in view"
"""The group that the headline figures are about: clips of the kinds centred and in_view together."""

TURN_TOLERANCE_DEG = 15.0
WRONG_SIDE_LIMIT = 0.5

Record = dict[str, Any]
Row = dict[str, Interval | None]


@dataclass(frozen=True)
class SuiteResult:
    """Figures of a suite.

    Attributes:
        label: What was scored.
        settings: Settings of the run.
        clips: Clips in the suite.
        failures: Error of each failed clip by its index; failed clips are in no figure.
        groups: Clips scored in each group of scenes.
        tables: Figures by group, system and metric; None where a metric is not defined for any clip.
        differences: CC and AUC of the generator minus those of Ambi Enc., clip by clip, by group and metric.
        turn: Turn of the field when the camera turns by 90°: median degrees, and share within 15°.
        seconds: Seconds to generate a clip.
    """

    label: str
    settings: dict[str, Any]
    clips: int
    failures: dict[int, str]
    groups: dict[str, int]
    tables: dict[str, dict[str, Row]]
    differences: dict[str, Row]
    turn: Row
    seconds: Interval | None


def summarise(records: Sequence[Record], settings: dict[str, Any], label: str) -> SuiteResult:
    """Figures of all clips, by kind of scene.

    Args:
        records: One record per clip, as `world_suite` writes them.
        settings: Settings of the run, kept for the report.
        label: What was scored.
    """
    good = [record for record in records if record["error"] is None]
    groups = {name: members for name, members in _groups(good).items() if members}
    turns = [record["turn_deg"] for record in good if record["turn_tested"]]
    known = [turn for turn in turns if turn is not None]
    hits = sum(abs(turn - 90.0) <= TURN_TOLERANCE_DEG for turn in known)
    return SuiteResult(
        label=label,
        settings=settings,
        clips=len(records),
        failures={record["index"]: record["error"] for record in records if record["error"] is not None},
        groups={name: len(members) for name, members in groups.items()},
        tables={name: _table(members) for name, members in groups.items()},
        differences={name: _differences(members) for name, members in groups.items()},
        turn={"median_deg": bootstrap_interval(known), "within_15_deg": wilson_interval(hits, len(turns))},
        seconds=bootstrap_interval([record["seconds"] for record in good]),
    )


def _groups(records: Sequence[Record]) -> dict[str, list[Record]]:
    kinds = list(dict.fromkeys(record["kind"] for record in records))
    groups = {SINGLE: [record for record in records if record["kind"] in ("centred", "in_view")]}
    return groups | {kind: [record for record in records if record["kind"] == kind] for kind in kinds}


def _table(records: Sequence[Record]) -> dict[str, Row]:
    systems = [name for name in SYSTEMS if name in records[0]["scores"]]
    return {name: _row([record["scores"][name] for record in records]) for name in systems}


def _row(scores: Sequence[dict[str, Any]]) -> Row:
    angles = [score["angle_deg"] for score in scores]
    sides = _defined(score["wrong_side"] for score in scores)
    classes = _defined(score["class_correct"] for score in scores)
    row: Row = {
        "angle_median_deg": bootstrap_interval(angles),
        "angle_p90_deg": bootstrap_interval(angles, _percentile_90),
        "clip_angle_median_deg": bootstrap_interval([score["clip_angle_deg"] for score in scores]),
        "left_right_confusion": wilson_interval(sum(side > WRONG_SIDE_LIMIT for side in sides), len(sides)),
        "onset_error_median_s": bootstrap_interval(_defined(score["onset_error_s"] for score in scores)),
        "onsets_missed": _ratio(scores, "missed_onsets", "true_onsets"),
        "onsets_false": _ratio(scores, "false_onsets", "found_onsets"),
        "class_accuracy": wilson_interval(sum(classes), len(classes)),
        "coherence_median": bootstrap_interval(_defined(score["coherence"] for score in scores)),
        "psi_median": bootstrap_interval(_defined(score["psi"] for score in scores)),
        "level_difference_median_db": bootstrap_interval(_defined(s["level_difference_db"] for s in scores)),
    }
    for metric in ("cc", "auc"):
        for name in scores[0][metric]:
            values = _defined(score[metric][name] for score in scores)
            row[f"{metric}/{name}"] = bootstrap_interval(values, np.mean)
    return row


def _differences(records: Sequence[Record]) -> Row:
    row: Row = {}
    for metric in ("cc", "auc"):
        for name in records[0]["scores"]["generated"][metric]:
            pairs = [
                (record["scores"]["generated"][metric][name], record["scores"]["ambi_encode"][metric][name])
                for record in records
            ]
            gaps = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
            row[f"{metric}/{name}"] = bootstrap_interval(gaps, np.mean)
    return row


def _ratio(scores: Sequence[dict[str, Any]], part: str, whole: str) -> Interval | None:
    return wilson_interval(sum(score[part] for score in scores), sum(score[whole] for score in scores))


def _defined(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _percentile_90(values: np.ndarray, axis: int) -> np.ndarray:
    return np.percentile(values, 90, axis=axis)


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
    for group, table in result.tables.items():
        lines += ["", f"## {group} ({result.groups[group]} clips)", "", *_scene_table(table)]
        lines += ["", *_overlap_table(table, result.differences[group])]
    return "\n".join(lines) + "\n"


_COLUMNS: tuple[tuple[str, str, str], ...] = (
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


def _scene_table(table: dict[str, Row]) -> list[str]:
    rows = [[title, *(_cell(row[key], form) for row in table.values())] for title, key, form in _COLUMNS]
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
