"""DeSync: how many seconds picture and sound are apart, as a network that was trained to tell says.

Conventions:
    Offsets are those of Synchformer's classes: -2 to 2 s in steps of 0.2 s. Positive: the sound comes too early
    (heard is what will be shown that much later); negative: too late. DeSync is in seconds; lower is better.

Method:
    The class with the largest logit is taken for the first and for the last 14 segments (4.8 s each; of a clip of
    8 s, that is nearly everything, with the middle twice), and DeSync is the mean of the absolute offsets.

What goes wrong elsewhere:
    The mean must be that of absolute values. T2AV-Compass averaged signed offsets, in which early and late
    cancel, and its summary looked for the figure under a name that was never written (pull request 14 gives, for
    500 clips, a signed mean of -0.38 s beside a DeSync of 0.69 s). Public copies of av-bench read the next file
    where one is unreadable or too short; here such a clip is an error.

References:
    Iashin et al., "Synchformer: Efficient Synchronization from Sparse Cues", ICASSP 2024.
    Cheng et al., "MMAudio", CVPR 2025, and its av-benchmark, for DeSync.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

OFFSETS_S: FloatArray = np.round(np.linspace(-2.0, 2.0, 21), 1)
"""Offset of each class in seconds."""
WINDOW_SEGMENTS = 14
"""Segments that the network compares at once."""
_CLASS_STEP_S = 0.2


@dataclass(frozen=True)
class DesyncScore:
    """How far picture and sound of one clip are apart.

    Attributes:
        first_s: Offset over the first 14 segments in seconds; positive: the sound comes too early.
        last_s: Offset over the last 14 segments in seconds; the same where the clip has just these.
    """

    first_s: float
    last_s: float

    @property
    def mean_abs_s(self) -> float:
        """DeSync of the clip in seconds."""
        return (abs(self.first_s) + abs(self.last_s)) / 2


def offsets_s(logits: FloatArray) -> FloatArray:
    """Most likely offsets.

    Args:
        logits: (clips, 21) over the classes of `OFFSETS_S`.

    Returns:
        (clips,) in seconds; of equal logits the earliest class counts.

    Raises:
        ValueError: If the logits have another shape or are not finite.
    """
    if logits.ndim != 2 or logits.shape[1] != len(OFFSETS_S):
        raise ValueError(
            f"logits has shape {logits.shape}; give (clips, {len(OFFSETS_S)}), one for each offset from -2 to 2 s"
        )
    bad = int(logits.size - np.count_nonzero(np.isfinite(logits)))
    if bad:
        raise ValueError(f"logits holds {bad} NaN or infinite values; no offset can be read from them")
    return OFFSETS_S[np.argmax(logits, axis=1)]


def desync_s(first_logits: FloatArray, last_logits: FloatArray) -> float:
    """DeSync of a set of clips: mean absolute offset over the first and the last 14 segments of each.

    Args:
        first_logits: (clips, 21) for the first 14 segments.
        last_logits: (clips, 21) for the last 14 segments of the same clips.

    Raises:
        ValueError: If the shapes differ, there is no clip, or values are not finite.
    """
    if first_logits.shape != last_logits.shape or len(first_logits) == 0:
        raise ValueError(
            f"first_logits has shape {first_logits.shape} and last_logits {last_logits.shape}; give both "
            f"(clips, {len(OFFSETS_S)}) for the same clips, at least one"
        )
    return float(np.mean(np.abs([offsets_s(first_logits), offsets_s(last_logits)])))


def window_starts(segments: int) -> tuple[int, int]:
    """First segment of the first and of the last window of 14.

    Raises:
        ValueError: If there are fewer segments than one window.
    """
    if segments < WINDOW_SEGMENTS:
        raise ValueError(
            f"the clip has {segments} Synchformer segments in picture and sound; DeSync needs {WINDOW_SEGMENTS}, "
            "that is 4.8 s of both; give a longer clip"
        )
    return 0, segments - WINDOW_SEGMENTS


@dataclass(frozen=True, eq=False)
class ShiftResponse:
    """What an estimator of offsets says of sounds that were shifted on purpose.

    Attributes:
        delays_s: By how much the sound was delayed in seconds; negative: brought forward.
        offsets_s: What was said of each.
    """

    delays_s: FloatArray
    offsets_s: FloatArray

    @property
    def right_share(self) -> float:
        """Share that is right to one class (0.2 s), as Synchformer's accuracy counts; 1 is best."""
        return float(np.mean(np.abs(self.offsets_s + self.delays_s) <= _CLASS_STEP_S + 1e-6))

    @property
    def slope(self) -> float:
        """Change of the offset per second of delay: -1 if it measures, +1 if its sign is turned, 0 if deaf."""
        return float(np.polyfit(self.delays_s, self.offsets_s, 1)[0])


def shift_response(
    offset_of: Callable[[FloatArray], float], mono: FloatArray, rate_hz: int, delays_s: Sequence[float]
) -> ShiftResponse:
    """Test an estimator of offsets on a clip in which picture and sound belong together.

    Args:
        offset_of: Gives the offset in seconds of a sound (N,), for example the first offset of a scorer.
        mono: (N,), the true sound of the clip.
        rate_hz: Its rate.
        delays_s: At least two different delays from -2 to 2 s; what is moved in is silence.

    Raises:
        ValueError: If the delays or the sound do not fit.
    """
    delays = np.asarray(delays_s, dtype=np.float64)
    if len(np.unique(delays)) < 2 or not np.all(np.abs(delays) <= OFFSETS_S[-1]):
        raise ValueError(f"delays_s is {list(delays_s)}; give at least two different ones from -2 to 2 s")
    if mono.ndim != 1 or len(mono) <= OFFSETS_S[-1] * rate_hz:
        raise ValueError(f"mono has shape {mono.shape}; give one waveform (N,) of more than 2 s")
    said = [offset_of(_delayed(mono, round(delay * rate_hz))) for delay in delays]
    return ShiftResponse(delays, np.array(said, dtype=np.float64))


def _delayed(mono: FloatArray, samples: int) -> FloatArray:
    if samples >= 0:
        return np.concatenate([np.zeros(samples, mono.dtype), mono[: len(mono) - samples]])
    return np.concatenate([mono[-samples:], np.zeros(-samples, mono.dtype)])
