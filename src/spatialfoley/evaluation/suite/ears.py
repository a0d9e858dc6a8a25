"""Scores of what two ears hear against the truth of a world clip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.binaural import (
    WINDOWS_PER_S,
    delay_error_s,
    delay_side_right,
    ear_cues,
    is_mono_collapse,
    left_right_distance,
    level_error_db,
    level_moments,
    louder_ear_right,
    mean_coherence,
)
from spatialfoley.evaluation.metrics.envelope import envelope_l1
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.suite.clips import ClipTruth, EarTruth
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.short_time import HOP_S, analyse, hop_samples
from spatialfoley.spatial.signal import SpatialAudio

FloatArray = NDArray[np.floating]

EAR_LAYOUTS = ("binaural", "mono", "foa")

_LEADING_RATIO = 10.0
"""Of several sources one has to be this much stronger than the others together for a window to have a side."""


@dataclass(frozen=True)
class EarScores:
    """Scores of two ears; None where a score is not defined, for the reason that `binaural` states.

    Attributes:
        level_error_db: Mean absolute error of the level difference.
        delay_error_us: Mean absolute error of the time difference in microseconds.
        louder_ear_right: Share of the energy during which the right ear is the louder one.
        delay_side_right: Share of the energy during which the right ear is the earlier one.
        coherence: Of the ears.
        coherence_difference: That minus the coherence of the true ears.
        mono_collapse: Whether both ears are one channel although the true ears are not.
        distance: Left-right distance D.
        true_distance: The same of the true ears.
        envelope_l1: E-L1 of both ears.
        level_moments: Sums of true and estimated level differences, for correlations over clips.
        silent: Whether there is no sound at all.
    """

    level_error_db: float | None
    delay_error_us: float | None
    louder_ear_right: float | None
    delay_side_right: float | None
    coherence: float | None
    coherence_difference: float | None
    mono_collapse: bool | None
    distance: float
    true_distance: float
    envelope_l1: float
    level_moments: tuple[float, ...]
    silent: bool


def ears_of(audio: SpatialAudio, truth: ClipTruth) -> FloatArray:
    """Ears (2, N) at the scoring rate, cut or padded with silence to the length of the clip.

    A field is heard from the clip's camera through the head filters of the package, as the truth is; one channel
    is given to both ears.

    Raises:
        ValueError: The sound is neither binaural nor mono nor a field.
    """
    if audio.layout not in EAR_LAYOUTS:
        raise ValueError(f"audio has layout {audio.layout!r}; ears can be had of {', '.join(EAR_LAYOUTS)}")
    samples = resample(audio.samples, audio.rate_hz, SCORE_RATE_HZ)
    samples = fit_length(samples, truth.field.samples.shape[1])
    if audio.layout == "foa":
        field = SpatialAudio(samples, SCORE_RATE_HZ, "foa")
        return render_binaural(field, head=truth.scene.camera).samples
    return np.concatenate([samples, samples]) if audio.layout == "mono" else samples


def score_ears(truth: EarTruth, ears: FloatArray) -> EarScores:
    """Score two ears.

    Args:
        truth: What the ears should hear.
        ears: Left and right ear, (2, N) at the scoring rate, as long as the truth.
    """
    true, found = truth.cues, ear_cues(ears, SCORE_RATE_HZ)
    lateral = lateral_of_windows(truth, ears)
    delay_s = delay_error_s(true, found, lateral)
    coherence, true_coherence = mean_coherence(found), mean_coherence(true)
    gap = None if coherence is None or true_coherence is None else coherence - true_coherence
    return EarScores(
        level_error_db=level_error_db(true, found, lateral),
        delay_error_us=None if delay_s is None else 1e6 * delay_s,
        louder_ear_right=louder_ear_right(found, lateral),
        delay_side_right=delay_side_right(true, found, lateral),
        coherence=coherence,
        coherence_difference=gap,
        mono_collapse=is_mono_collapse(truth.ears, ears),
        distance=left_right_distance(ears),
        true_distance=left_right_distance(truth.ears),
        envelope_l1=envelope_l1(truth.ears, ears, SCORE_RATE_HZ),
        level_moments=tuple(float(value) for value in level_moments(true, found)),
        silent=not bool(np.any(ears)),
    )


def lateral_of_windows(truth: EarTruth, ears: FloatArray) -> FloatArray:
    """Left component of where the sound of each window should come from, weighed by when the ears sound.

    The source that leads counts: the only one, sounding or not, or one that is ten times as strong as the others
    together; windows without such a one are NaN.

    Args:
        truth: Sources of the clip.
        ears: Ears to score, (2, N) at the scoring rate.

    Returns:
        Shape (M,), in [-1, 1] or NaN.
    """
    energy = np.sum(np.abs(analyse(ears, hop_samples(SCORE_RATE_HZ))) ** 2, axis=(0, 2))
    starts = np.arange(len(truth.cues.energy)) * round(1 / (WINDOWS_PER_S * HOP_S))
    weights = energy + 1e-6 * energy.mean() + 1e-20
    lateral = np.add.reduceat(truth.lateral * weights, starts, axis=1) / np.add.reduceat(weights, starts)
    level = np.add.reduceat(truth.energy, starts, axis=1)
    first = np.argmax(level, axis=0)
    strongest = level[first, np.arange(len(first))]
    others = level.sum(axis=0) - strongest
    leads = (strongest > 0) & (strongest >= _LEADING_RATIO * others) | (len(level) == 1)
    return np.where(leads, lateral[first, np.arange(len(first))], np.nan)
