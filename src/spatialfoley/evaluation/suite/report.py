"""Figures of a suite as a report: tables of systems by figures, spread of direction errors, clips to hear."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.evaluation.metrics.overlap_windows import VARIANTS
from spatialfoley.evaluation.report.document import (
    Exhibit,
    Histogram,
    Metric,
    Report,
    SystemRow,
    Table,
)
from spatialfoley.evaluation.suite.columns import (
    DISTANCES,
    EAR_LIKENESS,
    EAR_SIDES,
    FIELD,
    HEADLINE,
    LIKENESS,
    PROCESSOR_SECONDS,
    SECONDS,
    SOUND,
    TURN,
    overlap_columns,
)
from spatialfoley.evaluation.suite.figures import SINGLE, Row, SuiteResult
from spatialfoley.evaluation.suite.records import Record
from spatialfoley.evaluation.suite.systems import AMBI_ENCODED_TRUTH
from spatialfoley.media.atomic import atomic_path

FIGURES_FILE = "figures.json"

DIRECTION_EDGES_DEG = np.concatenate([np.arange(0, 20, 2), np.arange(20, 181, 10)]).astype(float)

_FAMILIES: tuple[tuple[str, str, tuple[Metric, ...]], ...] = (
    ("where, field", "Sound fields, world axes.", FIELD),
    ("where, energy maps", "SN3D maps, cells weighed by solid angle.", overlap_columns("correct")),
    ("where, energy maps as published", "The published script's maps and AUC.", overlap_columns("reference")),
    ("where, ears", "Two ears at the camera; a field is heard through head filters.", EAR_SIDES),
    ("where, likeness of the ears", "The same ears, sides aside.", EAR_LIKENESS),
    ("when and what", "W of a field, else the mean of two ears.", SOUND),
    ("how alike", "To the classifier, and in how the sound swells and fades.", LIKENESS),
)


def write_figures(result: SuiteResult, folder: Path) -> None:
    """Write `figures.json`: every figure of every group and system, those that no table shows included."""
    with atomic_path(folder / FIGURES_FILE) as path:
        path.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")


def suite_report(
    result: SuiteResult,
    records: Mapping[str, Sequence[Record]],
    exhibits: Sequence[Exhibit] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Report:
    """The report of a suite.

    Args:
        result: The figures.
        records: Of all clips by system, for how direction errors are spread.
        exhibits: Clips to hear and see.
        provenance: What else is to be told of where the figures come from: versions, command, machine.
    """
    systems = {name: asdict(info) for name, info in result.systems.items()}
    return Report(
        title=f"World suite: {', '.join(result.models) or 'baselines'}",
        introduction=_introduction(result),
        tables=tuple(_tables(result)),
        histograms=tuple(_histograms(records)),
        exhibits=tuple(exhibits),
        provenance={"settings": result.settings, "systems": systems, **(provenance or {})},
        failures=result.failures,
    )


def _introduction(result: SuiteResult) -> tuple[str, ...]:
    settings = result.settings
    return (
        f"{result.clips} held-out clips of {settings['duration_s']:g} s of the synthetic world, suite seed "
        f"{settings['seed']}; {len(result.systems)} systems make sound for the same clips and are scored alike. "
        f"{len(result.failures)} failed. Brackets: 95 % intervals by clip.",
        "Models see nothing but the picture, and so do two-stage systems, MODEL+SPATIALIZER: the mono sound of a "
        "model, given a place. The best values are marked among them. The others mark the ends of the scale: the "
        "truth, its way through the codec of a model and back, the true mono sound given a place (it knows what "
        "and when), and noise of the truth's level.",
    )


def _tables(result: SuiteResult) -> list[Table]:
    tables = [_headline(result)] if SINGLE in result.groups else []
    tables += _overall(result)
    for group in result.groups:
        for family, caption, columns in _FAMILIES:
            tables += _table(
                f"{group_title(group)}: {family}", caption, columns, result.tables[group], result, group
            )
    return tables


def _headline(result: SuiteResult) -> Table:
    rows = {
        name: {**row, "frechet_ears": result.frechet.get(name, {}).get("frechet_ears")}
        for name, row in result.tables[SINGLE].items()
    }
    caption = "One source, in view. The Fréchet distance is of all clips."
    tables = _table(f"Headline: {SINGLE}", caption, HEADLINE, rows, result, SINGLE)
    if not tables:
        raise ValueError("no system has a figure: every clip failed; see failures in figures.json")
    return tables[0]


def _overall(result: SuiteResult) -> list[Table]:
    """Figures of all clips together: distances between sets, and the camera's turn."""
    note = (result.frechet_note,) if result.frechet_note else ()
    return [
        *_table(
            "All clips: distance from the truth",
            "Fréchet distances in the ears of the world's classifier.",
            DISTANCES,
            result.frechet,
            result,
            notes=note,
        ),
        *_differences(result),
        *_table(
            "The camera is turned",
            "The picture stays, the camera is said to have turned 90° to the left.",
            TURN,
            result.turns,
            result,
            clips={
                name: tested.count for name, row in result.turns.items() if (tested := row["within_15_deg"])
            },
        ),
        *_table(
            "Seconds per clip",
            "Making a sound, not scoring it; of two-stage systems both stages.",
            (SECONDS, PROCESSOR_SECONDS),
            result.seconds,
            result,
        ),
    ]


def _differences(result: SuiteResult) -> list[Table]:
    """Models against the true sound in the picture's centre, a row for each model and group."""
    rows = tuple(
        SystemRow(f"{name}, {group_title(group)}", row, result.scored[group][name], ranked=False)
        for name in result.models
        for group, models in result.differences.items()
        if (row := models.get(name)) is not None
    )
    if not rows:
        return []
    caption = "Clip by clip; above 0 the model is better than the true sound placed in the picture's centre."
    titles = {"correct": "Energy maps", "reference": "Energy maps as published"}
    return [
        Table(f"{titles[variant]}: models minus {AMBI_ENCODED_TRUTH}", columns, rows, caption)
        for variant in VARIANTS
        if (
            columns := tuple(
                replace(c, form="+.3f") for c in overlap_columns(variant) if c.key in rows[0].figures
            )
        )
    ]


def group_title(group: str) -> str:
    """A group of scenes as readers see it."""
    return group.replace("_", " ")


def _table(
    title: str,
    caption: str,
    columns: tuple[Metric, ...],
    rows: Mapping[str, Row],
    result: SuiteResult,
    group: str | None = None,
    notes: tuple[str, ...] = (),
    clips: Mapping[str, int] | None = None,
) -> list[Table]:
    """Systems and columns that have any figure; no table where there is none."""
    behind = {name: _clips_behind(result, name, group) for name in rows} if clips is None else clips
    found = [
        SystemRow(
            name=name,
            figures={column.key: row.get(column.key) for column in columns},
            clips=behind[name],
            ranked=result.systems[name].competes,
        )
        for name, row in rows.items()
        if any(row.get(column.key) is not None for column in columns)
    ]
    shown = tuple(column for column in columns if any(row.figures[column.key] is not None for row in found))
    return [Table(title, shown, tuple(found), caption, notes)] if found else []


def _clips_behind(result: SuiteResult, name: str, group: str | None) -> int:
    """Clips of a group, or of all, that a system did not fail at."""
    if group is not None:
        return result.scored[group][name]
    return result.clips - sum(failure.startswith(f"{name}, clip ") for failure in result.failures)


def _histograms(records: Mapping[str, Sequence[Record]]) -> list[Histogram]:
    """Direction errors of clips with one source in view, by peak and by intensity."""
    titles = {"angle_deg": "energy peak", "intensity_angle_deg": "intensity"}
    found = []
    for key, title in titles.items():
        values = {name: _single_in_view(of_system, key) for name, of_system in records.items()}
        values = {name: errors for name, errors in values.items() if len(errors)}
        if values:
            found.append(Histogram(f"Direction error by {title}, {SINGLE}", "°", values, DIRECTION_EDGES_DEG))
    return found


def _single_in_view(records: Sequence[Record], key: str) -> np.ndarray:
    scores = [
        record["scores"]
        for record in records
        if record["error"] is None and record["kind"] in ("centred", "in_view")
    ]
    return np.array([score[key] for score in scores if score.get(key) is not None])
