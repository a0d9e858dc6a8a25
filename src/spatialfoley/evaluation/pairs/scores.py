"""Scores of one pair of sounds: where it is, what the ears hear, when it begins, how it swells.

Everything takes arrays at one rate and length, truth before estimate, and gives numbers by name; None where a
score is not defined for the pair. The names are those of `figures.MEASURES`.

Silence:
    A silent truth has nothing to compare with: that is an error of the file (`require_sound`). A silent
    estimate is scored, as what it is: CC 0, AUC 0.5, 90°, no level, no side; who pools the scores counts it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W
from spatialfoley.evaluation.metrics.binaural import (
    delay_error_s,
    delay_side_right,
    ear_cues,
    is_mono_collapse,
    left_right_distance,
    level_error_db,
    louder_ear_right,
    mean_coherence,
    side_of_ears,
)
from spatialfoley.evaluation.metrics.direction import (
    CHANCE_DEG,
    intensity_ratio,
    intensity_window_directions,
    spatial_coherence,
    window_directions,
)
from spatialfoley.evaluation.metrics.energy_distance import points_distance
from spatialfoley.evaluation.metrics.energy_overlap import points_overlap
from spatialfoley.evaluation.metrics.energy_points import covariance_points, covariances_over_time
from spatialfoley.evaluation.metrics.envelope import envelope_l1
from spatialfoley.evaluation.metrics.onset import detect_onsets, match_onsets
from spatialfoley.evaluation.metrics.overlap_windows import (
    OVERLAP_WINDOWS,
    SCORE_RATE_HZ,
    VARIANTS,
    all_covariances,
)
from spatialfoley.spatial.direction import angle_between_deg
from spatialfoley.spatial.signal import SpatialAudio

FloatArray = NDArray[np.floating]
Scores = dict[str, float | None]

SILENT_PEAK = 1e-6
"""Sound that never exceeds this (-120 dB) is silent."""

_DIRECTION_WINDOWS_PER_S = 2.0


def is_silent(sound: SpatialAudio) -> bool:
    """Whether a sound never exceeds -120 dB of full scale."""
    return sound.peak <= SILENT_PEAK


def require_sound(truth: SpatialAudio, path: Path) -> None:
    """Check that there is something to compare with.

    Raises:
        ValueError: The truth is silent.
    """
    if is_silent(truth):
        raise ValueError(
            f"{path} is silent (peak {truth.peak:g}); nothing can be compared with silence: leave this clip "
            "out of the truth, or make the file again"
        )


def field_scores(reference: FloatArray, estimate: FloatArray, as_published: bool = False) -> Scores:
    """Agreement of two fields (4, N) at the scoring rate.

    Args:
        reference: True field.
        estimate: Field to score.
        as_published: Leave windows with an undefined CC out of the `reference` variant, as the published
            script does.
    """
    true_covariances, found_covariances = all_covariances(reference), all_covariances(estimate)
    scores: Scores = {}
    for window in OVERLAP_WINDOWS:
        for variant in VARIANTS:
            truth, found = (
                covariance_points(covariances[window], variant)
                for covariances in (true_covariances, found_covariances)
            )
            overlap = points_overlap(truth, found, as_published and variant == "reference")
            scores[f"cc/{window}/{variant}"], scores[f"auc/{window}/{variant}"] = overlap.cc, overlap.auc
            if variant == "correct":
                scores[f"energy_l1/{window}"] = points_distance(truth, found).l1
    true_whole, found_whole = true_covariances["all"], found_covariances["all"]
    for name, direct in (("peak", window_directions), ("intensity", intensity_window_directions)):
        scores[f"{name}_angle_deg"] = _angle_deg(direct(true_whole).peak[0], direct(found_whole).peak[0])
    windows_per_s = _windows_per_s(reference)
    for side, field in (("", estimate), ("true_", reference)):
        short = covariances_over_time(field, SCORE_RATE_HZ, windows_per_s)
        scores[f"{side}field_coherence"] = spatial_coherence(short)
        scores[f"{side}psi"] = intensity_ratio(short)
    return scores


def ear_scores(reference: FloatArray, estimate: FloatArray) -> Scores:
    """Scores of two ears (2, N); recordings tell no direction, so the side is that of the louder true ear."""
    true, found = ear_cues(reference, SCORE_RATE_HZ), ear_cues(estimate, SCORE_RATE_HZ)
    side = side_of_ears(true)
    delay_s = delay_error_s(true, found, side)
    collapsed = is_mono_collapse(reference, estimate)
    return {
        "level_error_db": level_error_db(true, found, side),
        "delay_error_us": None if delay_s is None else 1e6 * delay_s,
        "louder_ear_right": louder_ear_right(found, side),
        "earlier_ear_right": delay_side_right(true, found, side),
        "ear_coherence": mean_coherence(found),
        "true_ear_coherence": mean_coherence(true),
        "one_channel_twice": None if collapsed is None else float(collapsed),
        "left_right_distance": left_right_distance(estimate),
        "true_left_right_distance": left_right_distance(reference),
    }


def sound_scores(reference: FloatArray, estimate: FloatArray) -> Scores:
    """Scores of one channel (1, N): when it begins, how it swells, how loud it is."""
    true_onsets, found_onsets = (detect_onsets(mono[0], SCORE_RATE_HZ) for mono in (reference, estimate))
    true_rms, found_rms = (
        float(np.sqrt(np.mean(mono.astype(np.float64) ** 2))) for mono in (reference, estimate)
    )
    return {
        "onset_error_s": match_onsets(true_onsets, found_onsets).median_abs_error_s,
        "envelope_l1": envelope_l1(reference, estimate, SCORE_RATE_HZ),
        "level_db": 20 * float(np.log10(found_rms / true_rms)) if found_rms > 0 and true_rms > 0 else None,
    }


def sound_of_field(field: FloatArray) -> FloatArray:
    """The one channel by which a field is timed and measured: W, (1, N)."""
    return field[W : W + 1]


def _angle_deg(reference: FloatArray, estimate: FloatArray) -> float | None:
    """Angle of two directions (3,); None where the truth has none, 90° (chance) where only the estimate has "
    "none."""
    if not np.all(np.isfinite(reference)):
        return None
    return float(angle_between_deg(reference, estimate)) if np.all(np.isfinite(estimate)) else CHANCE_DEG


def _windows_per_s(samples: FloatArray) -> float | None:
    """Windows for the direction over time; a clip shorter than one is taken as a whole."""
    return _DIRECTION_WINDOWS_PER_S if samples.shape[1] * _DIRECTION_WINDOWS_PER_S >= SCORE_RATE_HZ else None
