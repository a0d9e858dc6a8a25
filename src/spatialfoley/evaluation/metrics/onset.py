"""When sounds begin, and how far that is from when they should.

Conventions:
    Times are seconds from the start of the clip. The reference comes before the estimate.

Method:
    The level of 20 ms frames every 5 ms is followed in dB; an onset is a rise of at least 9 dB within 40 ms
    up to a level within 40 dB of the clip's loudest frame; the onset's time is where the level comes within
    3 dB of the end of the rise (half of a centred frame, for a sharp attack). True and found onsets are
    matched one to one, nearest pairs first, within 0.25 s.

References:
    Böck, Krebs and Schedl, "Evaluating the Online Capabilities of Onset Detection Methods", ISMIR 2012
    (peak picking on a rise function); matching in a window as in MIREX onset evaluation, with a wider
    window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

MATCH_WINDOW_S = 0.25
_ARRIVAL_DB = 3.0


@dataclass(frozen=True)
class OnsetSettings:
    """How onsets are found in a waveform.

    Attributes:
        frame_s: Length of a level frame in seconds.
        step_s: Distance of level frames in seconds.
        rise_s: Time over which the level has to rise, in seconds.
        rise_db: Least rise in dB.
        range_db: Frames this far below the loudest one count as this far below: no onsets in faint tails.
        gap_s: Least distance of two onsets in seconds: a double chirp is one event.
    """

    frame_s: float = 0.02
    step_s: float = 0.005
    rise_s: float = 0.04
    rise_db: float = 9.0
    range_db: float = 40.0
    gap_s: float = 0.15


@dataclass(frozen=True)
class OnsetScore:
    """Agreement of onsets.

    Attributes:
        errors_s: Estimate minus reference of each matched pair in seconds, shape (pairs,).
        misses: True onsets without a partner.
        false_alarms: Found onsets without a partner.
    """

    errors_s: FloatArray
    misses: int
    false_alarms: int

    @property
    def median_abs_error_s(self) -> float | None:
        """Median absolute error in seconds over pairs, misses and false alarms; None without any onset.

        An onset without a partner counts as the match window, on either side: who strikes all the time hits
        every true onset, and must not look punctual.
        """
        alone = self.misses + self.false_alarms
        if len(self.errors_s) + alone == 0:
            return None
        return float(np.median(np.concatenate([np.abs(self.errors_s), np.full(alone, MATCH_WINDOW_S)])))

    @property
    def overlap(self) -> float | None:
        """Pairs over pairs, misses and false alarms, 0 to 1; None without any onset."""
        onsets = len(self.errors_s) + self.misses + self.false_alarms
        return len(self.errors_s) / onsets if onsets else None


def level_db(mono: FloatArray, rate_hz: int, settings: OnsetSettings | None = None) -> FloatArray:
    """Level of centred frames in dB re full scale, floored at -200 dB; shape (steps,)."""
    chosen = settings or OnsetSettings()
    step = max(1, round(chosen.step_s * rate_hz))
    frame = max(step, round(chosen.frame_s * rate_hz))
    count = -(-len(mono) // step)
    padded = np.pad(mono.astype(np.float64), (frame // 2, frame + step))
    total = np.concatenate([[0.0], np.cumsum(padded**2)])
    starts = np.arange(count) * step
    power = np.maximum(total[starts + frame] - total[starts], 0.0) / frame
    return 10 * np.log10(power + 1e-20)


def detect_onsets(mono: FloatArray, rate_hz: int, settings: OnsetSettings | None = None) -> FloatArray:
    """Times at which the level jumps up.

    Args:
        mono: Waveform of shape (N,); take W of a field.
        rate_hz: Sampling rate in Hz.
        settings: How to look; the defaults suit clear sound events.

    Returns:
        Times in seconds, ascending, shape (onsets,). Sound that is there from the first sample begins at 0.

    Raises:
        ValueError: `mono` is not one-dimensional, or a sample is not finite.
    """
    if mono.ndim != 1:
        raise ValueError(
            f"mono has shape {mono.shape}; give one waveform of shape (N,), W of a field for instance"
        )
    if not np.all(np.isfinite(mono)):
        raise ValueError("mono holds NaN or infinite samples; repair the file or leave it out and count it")
    chosen = settings or OnsetSettings()
    if len(mono) == 0 or not np.any(mono):
        return np.zeros(0)
    levels = level_db(mono, rate_hz, chosen)
    levels = np.maximum(levels, np.max(levels) - chosen.range_db)
    lag = round(chosen.rise_s / chosen.step_s)
    padded = np.concatenate([np.full(lag, np.max(levels) - chosen.range_db), levels])
    rise = levels - padded[: len(levels)]
    gap = round(chosen.gap_s / chosen.step_s)
    steps = [_arrival(padded, index, lag) for index in _peaks(rise, chosen.rise_db, lag, gap)]
    return np.maximum(np.array(steps, dtype=np.float64) * chosen.step_s, 0.0)


def match_onsets(
    reference_s: FloatArray, estimate_s: FloatArray, window_s: float = MATCH_WINDOW_S
) -> OnsetScore:
    """Match found onsets to true ones, nearest pairs first, each used once.

    Args:
        reference_s: True onset times in seconds.
        estimate_s: Found onset times in seconds.
        window_s: Pairs further apart do not match.
    """
    distance = np.abs(np.subtract.outer(np.asarray(reference_s, float), np.asarray(estimate_s, float)))
    errors: list[float] = []
    free_reference, free_estimate = set(range(len(reference_s))), set(range(len(estimate_s)))
    for flat in np.argsort(distance, axis=None, kind="stable"):
        row, column = divmod(int(flat), len(estimate_s))
        if distance[row, column] > window_s:
            break
        if row in free_reference and column in free_estimate:
            free_reference.remove(row)
            free_estimate.remove(column)
            errors.append(float(estimate_s[column] - reference_s[row]))
    return OnsetScore(np.array(errors), len(free_reference), len(free_estimate))


def _peaks(rise: FloatArray, least: float, reach: int, gap: int) -> list[int]:
    """Steps with the largest rise within `reach` on both sides, each at least `gap` after the one before."""
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(rise, reach, constant_values=-np.inf), 2 * reach + 1
    )
    # Of equal rises the first counts: a plateau is one onset.
    first_best = np.argmax(around, axis=1) == reach
    taken: list[int] = []
    for index in np.flatnonzero(first_best & (rise >= least)):
        if not taken or index - taken[-1] >= gap:
            taken.append(int(index))
    return taken


def _arrival(padded: FloatArray, index: int, lag: int) -> int:
    """Step at which the rise ending at `index` comes near its end; `padded` has `lag` steps in front."""
    stretch = padded[index : index + lag + 1]
    return index - lag + int(np.argmax(stretch >= stretch[-1] - _ARRIVAL_DB))
