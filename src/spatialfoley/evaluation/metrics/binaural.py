"""What two ears hear, against what they should hear: level, time, side and likeness of the ears.

Conventions:
    Ears are (2, N), left first, at the listener. Positive level and time differences mean sound from the left;
    `lateral` is the left component of the unit vector to the source in the listener's axes, -1 to 1. The
    reference comes before the estimate. Cues are read in windows of half a second.

Which windows count:
    A window sounds when it lies within 30 dB of the loudest window of its own clip. Differences to the true ears
    need a window in which both sound; the side of a source needs only the estimate, as a visible source has a
    side at any time. Windows in which the source is less than 0.17 off the middle (10°) have no clear side and
    count for neither; `clear_side` says which do. Time differences are read below 800 Hz: a window counts for
    them only if at least 1/1000 of the true ears' energy lies there (the chirp of a bird has none, and no
    estimator finds its delay). Windows are weighed by the estimate's energy: loud sound must be right.

Silence:
    A window that does not sound has no cues. Where one ear alone is silent, the level difference is taken as
    ±40 dB, the delay as 0 and the coherence as 0: nobody hears a delay with one ear. Ears without any counted
    window have no score (None); clips without a score are counted by whoever pools them.

References:
    Left-right distance: ViSAudio (arXiv 2512.03036), eq. 39 and 40, who keep clips above 0.01. Level and time
    differences and their coherence: Blauert, "Spatial Hearing", MIT Press 1997.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.spatial.interaural import (
    DELAY_BAND_HZ,
    interaural_coherence,
    interaural_delays_s,
    interaural_levels_db,
)
from spatialfoley.spatial.interaural import (
    left_right_distance as left_right_distance,
)
from spatialfoley.spatial.short_time import HOP_S, analyse, frequencies_hz, hop_samples

FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

WINDOWS_PER_S = 2.0
LATERAL_LIMIT = 0.17
SOUNDING_DB = -30.0
LOW_BAND_SHARE = 1e-3
LEVEL_LIMIT_DB = 40.0
COLLAPSE_DB = -30.0
"""Ears whose difference carries less than this share of their energy are one channel given twice."""

_SIDE_DB = 1.0
_LEVEL_TIE_DB = 0.1
_DELAY_TIE_S = 5e-6


@dataclass(frozen=True, eq=False)
class EarCues:
    """What two ears tell apart in each of M windows.

    Attributes:
        level_db: Level of the left ear over that of the right in dB, within ±40; NaN where nothing sounds, (M,).
        delay_s: How far the left ear is ahead in seconds, 0 where one ear is silent, NaN where both are, (M,).
        coherence: 0 to 1, 0 where one ear is silent; NaN where nothing sounds, (M,).
        energy: Of both ears, (M,).
        low_share: Share of the energy in the band in which delays are read, 0 to 1, (M,).
    """

    level_db: FloatArray
    delay_s: FloatArray
    coherence: FloatArray
    energy: FloatArray
    low_share: FloatArray

    @property
    def sounding(self) -> BoolArray:
        """Windows within 30 dB of the loudest one, (M,)."""
        return self.energy > float(np.max(self.energy)) * 10 ** (SOUNDING_DB / 10)


def ear_cues(ears: FloatArray, rate_hz: int) -> EarCues:
    """Cues of two ears in windows of half a second; what remains past the last one joins it.

    Args:
        ears: Left and right ear, (2, N).
        rate_hz: Their rate in Hz.

    Raises:
        ValueError: The ears have another shape or hold values that are not finite.
    """
    _require_ears(ears, "ears")
    levels_db = interaural_levels_db(ears, rate_hz, WINDOWS_PER_S)
    delays_s = interaural_delays_s(ears, rate_hz, WINDOWS_PER_S)
    coherence = interaural_coherence(ears, rate_hz, WINDOWS_PER_S)
    power = np.abs(analyse(ears, hop_samples(rate_hz))) ** 2
    found_hz = frequencies_hz(power.shape[-1] - 1, rate_hz)
    low = power[..., (found_hz >= DELAY_BAND_HZ[0]) & (found_hz <= DELAY_BAND_HZ[1])]
    per_ear = _window_sums(power.sum(axis=-1), len(levels_db))
    energy = per_ear.sum(axis=0)
    heard = energy > 0
    one_sided = np.where(per_ear[0] > per_ear[1], LEVEL_LIMIT_DB, -LEVEL_LIMIT_DB)
    levels_db = np.clip(np.where(np.isnan(levels_db), one_sided, levels_db), -LEVEL_LIMIT_DB, LEVEL_LIMIT_DB)
    low_energy = _window_sums(low.sum(axis=-1), len(levels_db)).sum(axis=0)
    return EarCues(
        level_db=np.where(heard, levels_db, np.nan),
        delay_s=np.where(heard, np.nan_to_num(delays_s), np.nan),
        coherence=np.where(heard, np.nan_to_num(coherence), np.nan),
        energy=energy,
        low_share=np.divide(low_energy, energy, out=np.zeros_like(energy), where=heard),
    )


def clear_side(lateral: FloatArray) -> BoolArray:
    """Windows whose source is clearly off the middle: |lateral| > 0.17; NaN (no source) has no side."""
    return np.abs(np.nan_to_num(lateral)) > LATERAL_LIMIT


def side_of_ears(cues: EarCues) -> FloatArray:
    """A side for sound whose directions nobody knows: +1 or -1 where an ear is louder by 1 dB or more, else 0."""
    levels_db = np.nan_to_num(cues.level_db)
    return np.where(np.abs(levels_db) >= _SIDE_DB, np.sign(levels_db), 0.0)


def level_error_db(reference: EarCues, estimate: EarCues, lateral: FloatArray) -> float | None:
    """Mean absolute error of the level difference in dB over windows with a side in which both sound."""
    counted = _both_sound(reference, estimate, lateral)
    return _weighted_mean(np.abs(estimate.level_db - reference.level_db), estimate.energy, counted)


def delay_error_s(reference: EarCues, estimate: EarCues, lateral: FloatArray) -> float | None:
    """Mean absolute error of the time difference in seconds, same windows, where the truth has low sound."""
    counted = _both_sound(reference, estimate, lateral) & (reference.low_share >= LOW_BAND_SHARE)
    return _weighted_mean(np.abs(estimate.delay_s - reference.delay_s), estimate.energy, counted)


def louder_ear_right(estimate: EarCues, lateral: FloatArray) -> float | None:
    """Share of the estimate's energy during which the ear on the source's side is the louder one.

    Ears that are equally loud (within 0.1 dB) count half: one channel given twice scores 0.5, by chance.

    Args:
        estimate: Cues to score.
        lateral: Left component of the direction of the source in each window, (M,); NaN without a source.

    Returns:
        Share in [0, 1]; None without a window that counts.
    """
    _require_windows(lateral, estimate)
    right = _agreement(estimate.level_db, lateral, _LEVEL_TIE_DB)
    return _weighted_mean(right, estimate.energy, clear_side(lateral) & estimate.sounding)


def delay_side_right(reference: EarCues, estimate: EarCues, lateral: FloatArray) -> float | None:
    """Share of the estimate's energy during which the ear on the source's side is the earlier one.

    Ears without any delay (within 5 µs) count half. Windows in which the truth sounds, but not in the low band,
    do not count; where the truth is silent, the low band of the clip as a whole decides.

    Args:
        reference: Cues of the true ears.
        estimate: Cues to score.
        lateral: As for `louder_ear_right`.
    """
    _require_windows(lateral, estimate)
    total = float(np.sum(reference.energy))
    whole = float(reference.low_share @ reference.energy) / total if total > 0 else 0.0
    low_share = np.where(reference.sounding, reference.low_share, whole)
    counted = clear_side(lateral) & estimate.sounding & (low_share >= LOW_BAND_SHARE)
    return _weighted_mean(_agreement(estimate.delay_s, lateral, _DELAY_TIE_S), estimate.energy, counted)


def mean_coherence(cues: EarCues) -> float | None:
    """Coherence of the ears over sounding windows, weighed by energy; None for silence."""
    return _weighted_mean(cues.coherence, cues.energy, cues.sounding)


def level_moments(reference: EarCues, estimate: EarCues) -> FloatArray:
    """Sums over the windows in which both sound: count, x, y, x², y², xy of true and estimated level differences.

    They can be added over clips; `statistics.correlation` turns them into a correlation. Windows count alike,
    with or without a clear side: a level difference that should be 0 has to be 0.

    Returns:
        Six numbers.
    """
    counted = reference.sounding & estimate.sounding
    x, y = reference.level_db[counted], estimate.level_db[counted]
    return np.array([len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])


def difference_share_db(ears: FloatArray) -> float | None:
    """Energy of left minus right over that of both ears in dB: 0 for independent ears; None for silence.

    One channel given twice has -inf, which is cut at -200.
    """
    _require_ears(ears, "ears")
    left, right = ears.astype(np.float64)
    total = float(left @ left + right @ right)
    if total <= 0:
        return None
    gap = left - right
    return max(-200.0, 10 * float(np.log10(gap @ gap / total + 1e-30)))


def is_mono_collapse(reference: FloatArray, estimate: FloatArray) -> bool | None:
    """Whether the estimate is one channel given twice although the true ears differ.

    Ears count as one channel when their difference carries less than -30 dB of their energy.

    Returns:
        None when the truth itself is (nearly) one channel, or either is silent.
    """
    true_db, found_db = difference_share_db(reference), difference_share_db(estimate)
    if true_db is None or found_db is None or true_db < COLLAPSE_DB:
        return None
    return found_db < COLLAPSE_DB


def _both_sound(reference: EarCues, estimate: EarCues, lateral: FloatArray) -> BoolArray:
    _require_windows(lateral, estimate)
    if len(reference.energy) != len(estimate.energy):
        raise ValueError(
            f"reference has {len(reference.energy)} windows, estimate {len(estimate.energy)}; "
            "bring both sounds to one rate and length"
        )
    return clear_side(lateral) & reference.sounding & estimate.sounding


def _agreement(cue: FloatArray, lateral: FloatArray, tie: float) -> FloatArray:
    """1 where the signs of a cue and of the lateral component agree, 0.5 where the cue has none, else 0."""
    same = np.sign(np.nan_to_num(cue)) * np.sign(np.nan_to_num(lateral)) > 0
    return np.where(np.abs(np.nan_to_num(cue)) < tie, 0.5, same.astype(np.float64))


def _weighted_mean(values: FloatArray, weights: FloatArray, counted: BoolArray) -> float | None:
    total = float(np.sum(weights[counted]))
    return float(values[counted] @ weights[counted] / total) if total > 0 else None


def _window_sums(values: FloatArray, windows: int) -> FloatArray:
    """Sums over the windows of the interaural estimators: (..., frames) to (..., windows)."""
    starts = np.arange(windows) * round(1 / (WINDOWS_PER_S * HOP_S))
    return np.add.reduceat(values.astype(np.float64), starts, axis=-1)


def _require_ears(ears: FloatArray, argument: str) -> None:
    if ears.ndim != 2 or ears.shape[0] != 2 or ears.shape[1] == 0:
        raise ValueError(f"{argument} has shape {ears.shape}; it must be (2, samples), left and right")
    if not np.all(np.isfinite(ears)):
        raise ValueError(f"{argument} holds NaN or infinity; repair the sound or the model that made it")


def _require_windows(lateral: FloatArray, cues: EarCues) -> None:
    if lateral.shape != cues.energy.shape:
        raise ValueError(
            f"lateral has shape {lateral.shape}, the ears have {len(cues.energy)} windows; give one per window"
        )
