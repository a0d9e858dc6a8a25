"""All metrics at once: what each says of one wrong field beside the true one.

Directions are compared with those that the same reading finds in the true field, window by window; where the true
field is silent, with those of the nearest window in which it sounds. Ears look to the front. Kind by kind the
same sounds are scored, so a response is an effect of the mistake alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W
from spatialfoley.evaluation.metrics.binaural import (
    EarCues,
    delay_error_s,
    ear_cues,
    left_right_distance,
    level_error_db,
    louder_ear_right,
    mean_coherence,
)
from spatialfoley.evaluation.metrics.direction import (
    WindowDirections,
    intensity_ratio,
    intensity_window_directions,
    spatial_coherence,
    weighted_angle_deg,
    window_directions,
)
from spatialfoley.evaluation.metrics.divergence import kl_divergence
from spatialfoley.evaluation.metrics.energy_distance import points_distance
from spatialfoley.evaluation.metrics.energy_overlap import points_overlap
from spatialfoley.evaluation.metrics.energy_points import FieldPoints, Variant, covariances_over_time
from spatialfoley.evaluation.metrics.envelope import envelope_l1
from spatialfoley.evaluation.metrics.onset import detect_onsets, match_onsets
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ, all_points
from spatialfoley.evaluation.networks.listener import Heard, Listener
from spatialfoley.evaluation.report.document import Metric
from spatialfoley.evaluation.suite.scores import level_difference_db
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.signal import SpatialAudio

FloatArray = NDArray[np.floating]
Response = dict[str, float | None]

DIRECTION_WINDOWS_PER_S = 2.0

_OVERLAPS = tuple(
    Metric(f"{key}/{window}/{variant}", f"{name} {title}{mark}", ".3f", "", "higher")
    for key, name in (("cc", "CC"), ("auc", "AUC"))
    for window, title in (("all", "All"), ("1fps", "1 fps"), ("5fps", "5 fps"))
    for variant, mark in (("correct", ""), ("reference", ", as published"))
)

METRICS: tuple[Metric, ...] = (
    *_OVERLAPS,
    Metric("l1/all", "map L1 All", ".3f", "", "lower"),
    Metric("l1/5fps", "map L1 5 fps", ".3f", "", "lower"),
    Metric("peak_deg", "angle, peak", ".1f", "°", "lower"),
    Metric("intensity_deg", "angle, intensity", ".1f", "°", "lower"),
    Metric("coherence", "coherence", ".3f"),
    Metric("psi", "psi", ".3f"),
    Metric("ear_level_db", "ear level error", ".1f", "dB", "lower"),
    Metric("ear_delay_us", "ear delay error", ".0f", "µs", "lower"),
    Metric("ear_coherence", "ear coherence error", ".3f", "", "lower"),
    Metric("louder_ear", "louder ear right", ".3f", "", "higher"),
    Metric("distance", "D", ".3f"),
    Metric("level_db", "level", "+.1f", "dB"),
    Metric("envelope_l1", "E-L1", ".3f", "", "lower"),
    Metric("onset_s", "onset error", ".3f", "s", "lower"),
    Metric("kl/av-bench", "KL", ".3f", "", "lower"),
    Metric("kl/audioldm", "KL, audioldm", ".3f", "", "lower"),
)
"""Metrics of one clip; those of sets of clips are in `SET_METRICS`."""

SET_METRICS: tuple[Metric, ...] = (
    Metric("fd/w", "FD of W", ".1f", "", "lower"),
    Metric("fd/channels", "FD, mean of channels", ".1f", "", "lower"),
)


@dataclass(frozen=True, eq=False)
class View:
    """What metrics read of one field, computed once.

    Attributes:
        field: (4, N) at the scoring rate.
        points: At which maps are compared, by window length and variant.
        covariances: Of windows of half a second, (M, 4, 4).
        peaks: Directions by the map's peak.
        intensities: Directions by the intensity.
        ears: (2, N).
        cues: Of the ears.
        heard: What the listener hears in W, Y, Z, X.
    """

    field: FloatArray
    points: Mapping[tuple[str, Variant], FieldPoints]
    covariances: FloatArray
    peaks: WindowDirections
    intensities: WindowDirections
    ears: FloatArray
    cues: EarCues
    heard: Heard

    @property
    def embeddings(self) -> FloatArray:
        """One embedding per channel, (4, dimensions)."""
        return self.heard.embeddings.mean(axis=1)


def view(field: FloatArray, listener: Listener) -> View:
    """Read a field (4, N) at the scoring rate once for all metrics."""
    covariances = covariances_over_time(field, SCORE_RATE_HZ, DIRECTION_WINDOWS_PER_S)
    ears = render_binaural(SpatialAudio(np.asarray(field, np.float32), SCORE_RATE_HZ, "foa")).samples
    return View(
        field=field,
        points=all_points(field),
        covariances=covariances,
        peaks=window_directions(covariances),
        intensities=intensity_window_directions(covariances),
        ears=ears,
        cues=ear_cues(ears, SCORE_RATE_HZ),
        heard=listener.hear(field, SCORE_RATE_HZ),
    )


def respond(reference: View, estimate: View) -> Response:
    """Every metric of one estimate against its reference; None where a metric is not defined."""
    found: Response = {}
    for (window, variant), points in estimate.points.items():
        overlap = points_overlap(reference.points[window, variant], points)
        found[f"cc/{window}/{variant}"], found[f"auc/{window}/{variant}"] = overlap.cc, overlap.auc
    for window in ("all", "5fps"):
        key: tuple[str, Variant] = (window, "correct")
        found[f"l1/{window}"] = points_distance(reference.points[key], estimate.points[key]).l1
    found["peak_deg"] = weighted_angle_deg(_known(reference.peaks), estimate.peaks)
    found["intensity_deg"] = weighted_angle_deg(_known(reference.intensities), estimate.intensities)
    found["coherence"] = spatial_coherence(estimate.covariances)
    found["psi"] = intensity_ratio(estimate.covariances)
    return found | _ear_responses(reference, estimate) | _sound_responses(reference, estimate)


def _ear_responses(reference: View, estimate: View) -> Response:
    lateral = _laterals(reference)
    delay_s = delay_error_s(reference.cues, estimate.cues, lateral)
    coherences = [mean_coherence(cues) for cues in (reference.cues, estimate.cues)]
    known = [value for value in coherences if value is not None]
    return {
        "ear_level_db": level_error_db(reference.cues, estimate.cues, lateral),
        "ear_delay_us": None if delay_s is None else 1e6 * delay_s,
        "ear_coherence": abs(known[1] - known[0]) if len(known) == 2 else None,
        "louder_ear": louder_ear_right(estimate.cues, lateral),
        "distance": left_right_distance(estimate.ears),
    }


def _sound_responses(reference: View, estimate: View) -> Response:
    true, found = reference.field[W], estimate.field[W]
    onsets = match_onsets(detect_onsets(true, SCORE_RATE_HZ), detect_onsets(found, SCORE_RATE_HZ))
    logits = reference.heard.logits, estimate.heard.logits
    responses: Response = {
        "level_db": level_difference_db(true, found),
        "envelope_l1": envelope_l1(true[None], found[None], SCORE_RATE_HZ),
        "onset_s": onsets.median_abs_error_s,
    }
    for formula in ("av-bench", "audioldm"):
        responses[f"kl/{formula}"] = (
            None
            if logits[0] is None or logits[1] is None
            else float(kl_divergence(logits[0][:1], logits[1][:1], formula)[0])
        )
    return responses


def _known(directions: WindowDirections) -> FloatArray:
    """Directions (M, 3) of a field, those of windows without one taken from the nearest that has one."""
    has = np.flatnonzero(np.isfinite(directions.peak).all(axis=1) & (directions.energy > 0))
    if has.size == 0:
        return np.tile([1.0, 0.0, 0.0], (len(directions.peak), 1))
    nearest = np.abs(np.arange(len(directions.peak))[:, None] - has).argmin(axis=1)
    return directions.peak[has[nearest]]


def _laterals(reference: View) -> FloatArray:
    """Left component of the true field's intensity in the windows of the ear cues, (M,)."""
    lateral = _known(reference.intensities)[:, 1]
    return lateral[np.minimum(np.arange(len(reference.cues.energy)), len(lateral) - 1)]
