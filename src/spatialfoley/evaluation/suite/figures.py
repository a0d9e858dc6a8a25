"""From the scores of single clips to figures with 95 % intervals."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS, VARIANTS
from spatialfoley.evaluation.metrics.statistics import (
    Interval,
    bootstrap_interval,
    correlation_interval,
    wilson_interval,
)
from spatialfoley.evaluation.suite.distances import KL_FORMULAS, SystemScores, divergences, frechet_rows
from spatialfoley.evaluation.suite.records import Record
from spatialfoley.evaluation.suite.systems import AMBI_ENCODED_TRUTH, TRUTH, SystemInfo

OVERLAPS = tuple(f"{name}/{variant}" for name in OVERLAP_WINDOWS for variant in VARIANTS)
SINGLE = "single in view"
"""The group that the headline figures are about: clips of the kinds centred and in_view together."""

TURNING = "camera turns, single in view"
"""Of these, the clips whose camera moves."""

TURN_TOLERANCE_DEG = 15.0
HALF = 0.5

Row = dict[str, Interval | None]
"""Figures of a system by their names; None where no clip defines one."""
Tables = dict[str, dict[str, Row]]
"""By group of scenes, then by system."""


@dataclass(frozen=True)
class SuiteResult:
    """Figures of a suite.

    Attributes:
        settings: Settings of the run.
        clips: Clips in the suite.
        systems: Every system by its name, in the order of the tables.
        failures: Error by "system, clip 3"; a failed clip is in no figure of its system.
        groups: Clips in each group of scenes.
        scored: By group and system, clips behind its figures.
        tables: Figures by group and system.
        differences: By group and model, CC and AUC minus those of the true mono sound placed by Ambi Enc., clip
            by clip.
        frechet: Distance of each system from the truth over all its clips.
        frechet_note: What to mind where clips are few; None where they are enough.
        turns: Of each model that makes fields, turn of the field when the camera turns by 90°: median degrees, and
            share within 15°.
        seconds: To make a clip, the system's source included, by system: on the clock ("seconds") and of the
            processor ("processor_s"), which other work on the machine does not change.
    """

    settings: dict[str, Any]
    clips: int
    systems: dict[str, SystemInfo]
    failures: dict[str, str]
    groups: dict[str, int]
    scored: dict[str, dict[str, int]]
    tables: Tables
    differences: Tables
    frechet: dict[str, Row]
    frechet_note: str | None
    turns: dict[str, Row]
    seconds: dict[str, Row]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the systems that are models under test."""
        return tuple(name for name, system in self.systems.items() if system.is_model)


def summarise(systems: Sequence[SystemScores], settings: dict[str, Any]) -> SuiteResult:
    """Figures of all systems, by kind of scene.

    Args:
        systems: Scores of every system on the same clips, the truth among them.
        settings: Settings of the run, kept for the report.
    """
    truth = next(system for system in systems if system.name == TRUTH)
    kinds = list(dict.fromkeys(record["kind"] for record in truth.records))
    grouped = {system.name: _groups(system.good, kinds) for system in systems}
    groups = {name: len(members) for name, members in _groups(truth.records, kinds).items() if members}
    heard = {system.name: divergences(truth, system) for system in systems}
    frechet, note = frechet_rows(truth, systems)
    return SuiteResult(
        settings=settings,
        clips=len(truth.records),
        systems={system.name: system.info for system in systems},
        failures={
            f"{system.name}, clip {record['index']}": record["error"]
            for system in systems
            for record in system.records
            if record["error"] is not None
        },
        groups=groups,
        scored={group: {name: len(found[group]) for name, found in grouped.items()} for group in groups},
        tables={
            group: {
                name: system_row([record["scores"] for record in found[group]])
                | _divergence_row(found[group], heard[name])
                for name, found in grouped.items()
            }
            for group in groups
        },
        differences={group: _differences(systems, grouped, group) for group in groups},
        frechet=frechet,
        frechet_note=note,
        turns={system.name: _turn_row(system.good) for system in systems if system.info.is_model},
        seconds={
            system.name: {
                key: bootstrap_interval([record[key] for record in system.good])
                for key in ("seconds", "processor_s")
            }
            for system in systems
        },
    )


def _groups(records: Sequence[Record], kinds: Sequence[str]) -> dict[str, list[Record]]:
    single = [record for record in records if record["kind"] in ("centred", "in_view")]
    groups = {SINGLE: single, TURNING: [record for record in single if record["camera"] == "turning"]}
    return groups | {kind: [record for record in records if record["kind"] == kind] for kind in kinds}


def system_row(scores: Sequence[dict[str, Any]]) -> Row:
    """All figures of one system over clips; a figure is None where no clip defines it.

    Args:
        scores: One document per clip, as `ClipScores.document` makes them.
    """
    classes = _values(scores, "class_correct")
    row: Row = {
        "onset_error_median_s": bootstrap_interval(_values(scores, "onset_error_s")),
        "onsets_missed": _ratio(scores, "missed_onsets", "true_onsets"),
        "onsets_false": _ratio(scores, "false_onsets", "found_onsets"),
        "class_accuracy": wilson_interval(sum(classes), len(classes)),
        "level_difference_median_db": bootstrap_interval(_values(scores, "level_difference_db")),
        "envelope_l1": bootstrap_interval(_values(scores, "envelope_l1"), np.mean),
    }
    return row | _field_row(scores) | _ear_row([score["ears"] for score in scores])


def _field_row(scores: Sequence[dict[str, Any]]) -> Row:
    angles, sides = _values(scores, "angle_deg"), _values(scores, "wrong_side")
    intensity_angles = _values(scores, "intensity_angle_deg")
    row: Row = {
        "angle_median_deg": bootstrap_interval(angles),
        "angle_p90_deg": bootstrap_interval(angles, _percentile_90),
        "intensity_angle_median_deg": bootstrap_interval(intensity_angles),
        "intensity_angle_p90_deg": bootstrap_interval(intensity_angles, _percentile_90),
        "clip_angle_median_deg": bootstrap_interval(_values(scores, "clip_angle_deg")),
        "left_right_confusion": wilson_interval(sum(side > HALF for side in sides), len(sides)),
        "coherence_median": bootstrap_interval(_values(scores, "coherence")),
        "psi_median": bootstrap_interval(_values(scores, "psi")),
    }
    for metric in ("cc", "auc", "energy_l1"):
        for name in OVERLAPS:
            maps = [score[metric][name] for score in scores if name in score.get(metric, ())]
            row[f"{metric}/{name}"] = bootstrap_interval(_defined(maps), np.mean)
    return row


def _ear_row(ears: Sequence[dict[str, Any]]) -> Row:
    collapsed = _values(ears, "mono_collapse")
    moments = [score["level_moments"] for score in ears]
    return {
        "ear_level_error_median_db": bootstrap_interval(_values(ears, "level_error_db")),
        "ear_level_correlation": correlation_interval(moments),
        "ear_level_following": correlation_interval(moments, within=True),
        "louder_ear_right": _clips_right(_values(ears, "louder_ear_right")),
        "ear_delay_error_median_us": bootstrap_interval(_values(ears, "delay_error_us")),
        "ear_delay_error_mean_us": bootstrap_interval(_values(ears, "delay_error_us"), np.mean),
        "delay_side_right": _clips_right(_values(ears, "delay_side_right")),
        "ear_coherence_median": bootstrap_interval(_values(ears, "coherence")),
        "ear_coherence_difference_median": bootstrap_interval(_values(ears, "coherence_difference")),
        "mono_collapse": wilson_interval(sum(collapsed), len(collapsed)),
        "left_right_distance_median": bootstrap_interval(_values(ears, "distance")),
        "ear_envelope_l1": bootstrap_interval(_values(ears, "envelope_l1"), np.mean),
        "silent": wilson_interval(sum(score["silent"] for score in ears), len(ears)),
    }


def _divergence_row(records: Sequence[Record], divergence: Mapping[str, Mapping[int, float]]) -> Row:
    return {
        f"kl/{formula}": bootstrap_interval(
            [divergence[formula][record["index"]] for record in records], np.mean
        )
        for formula in KL_FORMULAS
    }


def _turn_row(records: Sequence[Record]) -> Row:
    turns = [record["turn_deg"] for record in records if record["turn_tested"]]
    known = [turn for turn in turns if turn is not None]
    hits = sum(abs(turn - 90.0) <= TURN_TOLERANCE_DEG for turn in known)
    return {"median_deg": bootstrap_interval(known), "within_15_deg": wilson_interval(hits, len(turns))}


def _clips_right(shares: Sequence[float]) -> Interval | None:
    """Share of clips that are right for most of their energy; a clip that is right for half of it counts half."""
    return wilson_interval(sum(float(share > HALF) + HALF * (share == HALF) for share in shares), len(shares))


def _differences(
    systems: Sequence[SystemScores], grouped: Mapping[str, Mapping[str, Sequence[Record]]], group: str
) -> dict[str, Row]:
    baseline = grouped.get(AMBI_ENCODED_TRUTH)
    if baseline is None:
        return {}
    theirs = {record["index"]: record["scores"] for record in baseline[group]}
    rows: dict[str, Row] = {}
    for system in systems:
        ours = {record["index"]: record["scores"] for record in grouped[system.name][group]}
        pairs = [(ours[index], theirs[index]) for index in ours if index in theirs]
        if system.info.is_model and any("cc" in score for score in ours.values()):
            rows[system.name] = _difference_row(pairs)
    return rows


def _difference_row(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Row:
    row: Row = {}
    for metric in ("cc", "auc"):
        for name in OVERLAPS:
            both = [(ours[metric][name], theirs[metric][name]) for ours, theirs in pairs if metric in ours]
            gaps = [ours - theirs for ours, theirs in both if ours is not None and theirs is not None]
            row[f"{metric}/{name}"] = bootstrap_interval(gaps, np.mean)
    return row


def _ratio(scores: Sequence[dict[str, Any]], part: str, whole: str) -> Interval | None:
    return wilson_interval(sum(score[part] for score in scores), sum(score[whole] for score in scores))


def _values(scores: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """Defined values of a score; ears and mono sound have none of a field."""
    return _defined(score.get(key) for score in scores)


def _defined(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _percentile_90(values: NDArray[np.floating], axis: int) -> NDArray[np.floating]:
    return np.percentile(values, 90, axis=axis)
