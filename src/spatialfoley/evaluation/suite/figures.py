"""From the scores of single clips to figures with 95 % intervals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.frechet import frechet_interval, small_sample_note
from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS, VARIANTS
from spatialfoley.evaluation.metrics.statistics import (
    Interval,
    bootstrap_interval,
    correlation_interval,
    wilson_interval,
)

OVERLAPS = tuple(f"{name}/{variant}" for name in OVERLAP_WINDOWS for variant in VARIANTS)
SYSTEMS = ("generated", "truth", "codec", "ambi_encode", "noise")
SINGLE = "single in view"
"""The group that the headline figures are about: clips of the kinds centred and in_view together."""

TURNING = "camera turns, single in view"
"""Of these, the clips whose camera moves."""

TURN_TOLERANCE_DEG = 15.0
HALF = 0.5

Record = dict[str, Any]
Row = dict[str, Interval | None]
Embeddings = dict[str, NDArray[np.floating]]
"""By system: left ear, right ear and their mean, (3, dimensions)."""


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
        frechet: Distance of each system from the true ears over all clips: mean of both ears, and of their mean.
        frechet_note: What to mind where clips are few; None where they are enough.
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
    frechet: dict[str, Row]
    frechet_note: str | None
    turn: Row
    seconds: Interval | None


def summarise(
    records: Sequence[Record], embeddings: Sequence[Embeddings], settings: dict[str, Any], label: str
) -> SuiteResult:
    """Figures of all clips, by kind of scene.

    Args:
        records: One record per clip, as `world_suite` writes them.
        embeddings: Of every clip without an error, in the same order.
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
        frechet=_distances(embeddings),
        frechet_note=small_sample_note(len(good), embeddings[0]["truth"].shape[1]) if good else None,
        turn={"median_deg": bootstrap_interval(known), "within_15_deg": wilson_interval(hits, len(turns))},
        seconds=bootstrap_interval([record["seconds"] for record in good]),
    )


def _groups(records: Sequence[Record]) -> dict[str, list[Record]]:
    kinds = list(dict.fromkeys(record["kind"] for record in records))
    single = [record for record in records if record["kind"] in ("centred", "in_view")]
    groups = {SINGLE: single, TURNING: [record for record in single if record["camera"] == "turning"]}
    return groups | {kind: [record for record in records if record["kind"] == kind] for kind in kinds}


def _table(records: Sequence[Record]) -> dict[str, Row]:
    systems = [name for name in SYSTEMS if name in records[0]["scores"]]
    return {name: system_row([record["scores"][name] for record in records]) for name in systems}


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
    }
    return row | _field_row(scores) | _ear_row([score["ears"] for score in scores])


def _field_row(scores: Sequence[dict[str, Any]]) -> Row:
    angles, sides = _values(scores, "angle_deg"), _values(scores, "wrong_side")
    row: Row = {
        "angle_median_deg": bootstrap_interval(angles),
        "angle_p90_deg": bootstrap_interval(angles, _percentile_90),
        "clip_angle_median_deg": bootstrap_interval(_values(scores, "clip_angle_deg")),
        "left_right_confusion": wilson_interval(sum(side > HALF for side in sides), len(sides)),
        "coherence_median": bootstrap_interval(_values(scores, "coherence")),
        "psi_median": bootstrap_interval(_values(scores, "psi")),
    }
    for metric in ("cc", "auc"):
        for name in OVERLAPS:
            maps = [score[metric][name] for score in scores if metric in score]
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
        "silent": wilson_interval(sum(score["silent"] for score in ears), len(ears)),
    }


def _clips_right(shares: Sequence[float]) -> Interval | None:
    """Share of clips that are right for most of their energy; a clip that is right for half of it counts half."""
    return wilson_interval(sum(float(share > HALF) + HALF * (share == HALF) for share in shares), len(shares))


def _distances(embeddings: Sequence[Embeddings]) -> dict[str, Row]:
    if len(embeddings) < 2:
        return {}
    truth = np.stack([clip["truth"] for clip in embeddings])
    rows: dict[str, Row] = {}
    for name in (name for name in SYSTEMS if name in embeddings[0] and name != "truth"):
        found = np.stack([clip[name] for clip in embeddings])
        rows[name] = {
            "frechet_ears": frechet_interval(truth[:, :2], found[:, :2]),
            "frechet_mix": frechet_interval(truth[:, 2], found[:, 2]),
        }
    return rows


def _differences(records: Sequence[Record]) -> Row:
    row: Row = {}
    pairs = [(record["scores"]["generated"], record["scores"]["ambi_encode"]) for record in records]
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


def _percentile_90(values: np.ndarray, axis: int) -> np.ndarray:
    return np.percentile(values, 90, axis=axis)
