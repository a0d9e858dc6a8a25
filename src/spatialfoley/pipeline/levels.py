"""One gain for all channels, only where a sound would leave full scale."""

import math

import numpy as np

from spatialfoley.conventions import FULL_SCALE, W, X, Y, Z
from spatialfoley.spatial.signal import SpatialAudio

_HEADROOM = 0.9999
"""Keeps rounding to whole numbers inside full scale."""


def within_full_scale(audio: SpatialAudio) -> tuple[SpatialAudio, float]:
    """The sound with every sample in [-1, 1], and the gain that this took, in dB, 0 or below.

    For a sound field the gain looks at the length of (X, Y, Z), not at single channels, so that turning the
    field never changes it.
    """
    samples = audio.samples
    loudest = audio.peak
    if audio.layout == "foa":
        figure = np.sqrt(samples[X] ** 2 + samples[Y] ** 2 + samples[Z] ** 2)
        loudest = max(float(np.max(np.abs(samples[W]), initial=0.0)), float(np.max(figure, initial=0.0)))
    if loudest <= FULL_SCALE:
        return audio, 0.0
    gain = _HEADROOM * FULL_SCALE / loudest
    return SpatialAudio(samples * np.float32(gain), audio.rate_hz, audio.layout), 20 * math.log10(gain)
