"""Whether the joins of a long sound are heard: its steps at given moments, in level and in spectrum.

Conventions:
    A step is measured between the frame of 50 ms before a moment and the one after it, over all channels
    together. Sound changes by itself all the time, so steps at joins mean something only beside the steps of the
    same sound elsewhere: `middles_s` gives moments as far from joins as there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spatialfoley.media.sound_file import SoundFile

FRAME_S = 0.05
SILENT_DB = -60.0
"""A moment counts where a frame beside it is louder than this, re full scale."""

_FLOOR = 1e-8
"""Power, re full scale, added to what is compared: below -80 dB differences are not heard."""
_MIDDLE_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Steps:
    """Steps at the moments that are not silent.

    Attributes:
        moments: how many moments were looked at.
        level_db: magnitude of the change of level, shape (M,).
        spectral_db: log-spectral distance, shape (M,): RMS over frequency of the change in dB.
    """

    moments: int
    level_db: NDArray[np.float64]
    spectral_db: NDArray[np.float64]

    def summary(self) -> dict[str, float | None]:
        """Number of moments and of those in sound; median and 95th percentile of both steps."""
        found: dict[str, float | None] = {"moments": self.moments, "in_sound": len(self.level_db)}
        for name, values in (("level_step_db", self.level_db), ("spectral_step_db", self.spectral_db)):
            for label, percent in (("median", 50), ("p95", 95)):
                found[f"{name}_{label}"] = float(np.percentile(values, percent)) if len(values) else None
        return found


def steps_at(sound: SoundFile, times_s: Sequence[float]) -> Steps:
    """Steps of a sound at moments of it; those nearer than a frame to its ends are left out."""
    count = round(FRAME_S * sound.rate_hz)
    middles = [round(time_s * sound.rate_hz) for time_s in times_s]
    inside = [middle for middle in middles if count <= middle <= sound.frames - count]
    pairs = [sound.read(middle - count, 2 * count).reshape(-1, 2, count) for middle in inside]
    found = [step_between(pair[:, 0], pair[:, 1]) for pair in pairs]
    heard = [step for step in found if step is not None]
    level_db, spectral_db = np.array(heard, np.float64).reshape(-1, 2).T
    return Steps(len(inside), level_db, spectral_db)


def step_between(before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[float, float] | None:
    """Change of level and log-spectral distance, in dB, between two frames (C, n); None if both are silent."""
    powers = [float(np.mean(frame.astype(np.float64) ** 2, axis=1).sum()) for frame in (before, after)]
    if max(powers) <= 10 ** (SILENT_DB / 10):
        return None
    level_db = 10 * np.log10((powers[1] + _FLOOR) / (powers[0] + _FLOOR))
    first, second = (_spectrum(frame) for frame in (before, after))
    difference_db = 10 * np.log10((second + _FLOOR) / (first + _FLOOR))
    return abs(float(level_db)), float(np.sqrt(np.mean(difference_db**2)))


def middles_s(joins_s: Sequence[float], duration_s: float) -> list[float]:
    """Moments around the middle between neighbouring joins, five of each stretch."""
    edges = [0.0, *sorted(joins_s), duration_s]
    return [a + share * (b - a) for a, b in pairwise(edges) for share in _MIDDLE_SHARES]


def _spectrum(frame: NDArray[np.float32]) -> NDArray[np.float64]:
    """Power of each frequency, a full-scale sine having 1/2 or less, summed over channels."""
    window = np.hanning(frame.shape[1])
    amplitudes = np.abs(np.fft.rfft(frame * window)) * (np.sqrt(2) / window.sum())
    return np.sum(amplitudes**2, axis=0)
