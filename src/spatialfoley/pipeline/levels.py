"""One gain for all channels, only where a sound would leave full scale."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np

from spatialfoley.conventions import FULL_SCALE, W, X, Y, Z
from spatialfoley.media.audio import write_audio
from spatialfoley.media.sound_file import FloatArray, SoundFile, resampled_blocks
from spatialfoley.spatial.signal import LAYOUT_CHANNELS, ComputedSound, Sound

_HEADROOM = 0.9999
"""Keeps rounding to whole numbers inside full scale."""


class ScalableSound(Sound, Protocol):
    """A sound that can be had louder or quieter: `SpatialAudio` and `SoundFile`."""

    def scaled(self, gain: float) -> Self:
        """The same sound times a factor."""
        ...


S = TypeVar("S", bound=ScalableSound)


def within_full_scale(sound: S) -> tuple[S, float]:
    """The sound with every sample in [-1, 1], and the gain that this took, in dB, 0 or below.

    Sound on disk is read once in blocks; its gain is applied where it is read next. For a sound field the gain
    looks at the length of (X, Y, Z), not at single channels, so that turning the field never changes it.
    """
    loudest = max((_loudest(block, sound.layout) for block in sound.blocks()), default=0.0)
    if loudest <= FULL_SCALE:
        return sound, 0.0
    gain = _HEADROOM * FULL_SCALE / loudest
    return sound.scaled(gain), 20 * math.log10(gain)


def brought_to(raw: SoundFile, path: str | Path, rate_hz: int, frames: int) -> SoundFile:
    """Bring a sound on disk to its final rate and length.

    Sound that has both already is not written again.

    Args:
        raw: what a model made.
        path: the file of floats to write, ending in .wav.
        rate_hz: the final rate.
        frames: the final length in samples: cut, or filled up with silence.

    Returns:
        the sound on disk: `raw` itself, or the new file.
    """
    if (raw.rate_hz, raw.frames) == (rate_hz, frames):
        return raw
    channels = LAYOUT_CHANNELS[raw.layout]

    def blocks() -> Iterator[FloatArray]:
        return resampled_blocks(raw.blocks(), channels, raw.rate_hz, rate_hz, frames)

    write_audio(path, ComputedSound(rate_hz, raw.layout, frames, blocks), "FLOAT")
    return SoundFile.open(path, raw.layout)


def _loudest(samples: FloatArray, layout: str) -> float:
    if layout != "foa":
        return float(np.max(np.abs(samples), initial=0.0))
    figure = np.sqrt(samples[X] ** 2 + samples[Y] ** 2 + samples[Z] ** 2)
    return max(float(np.max(np.abs(samples[W]), initial=0.0)), float(np.max(figure, initial=0.0)))
