"""Small sound files with known answers."""

from pathlib import Path

import numpy as np

from spatialfoley.media.audio import write_audio
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import Layout, SpatialAudio

RATE_HZ = 16000


def noise(duration_s: float = 2.0, rate_hz: int = RATE_HZ, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """White noise of shape (N,)."""
    return np.random.default_rng(seed).normal(0, level, round(duration_s * rate_hz)).astype(np.float32)


def wave(
    azimuth_deg: float,
    elevation_deg: float = 0.0,
    duration_s: float = 2.0,
    rate_hz: int = RATE_HZ,
    seed: int = 0,
) -> SpatialAudio:
    """A field of noise from one direction."""
    field = encode(noise(duration_s, rate_hz, seed), unit_vectors(azimuth_deg, elevation_deg))
    return SpatialAudio(field, rate_hz, "foa")


def ears(azimuth_deg: float, duration_s: float = 2.0) -> SpatialAudio:
    """The same, heard by two ears."""
    return render_binaural(wave(azimuth_deg, duration_s=duration_s))


def mono(duration_s: float = 2.0, rate_hz: int = RATE_HZ, seed: int = 0) -> SpatialAudio:
    """Noise of one channel."""
    return sound(noise(duration_s, rate_hz, seed)[None], "mono", rate_hz)


def sound(samples: np.ndarray, layout: Layout, rate_hz: int = RATE_HZ) -> SpatialAudio:
    """Samples with their meaning."""
    return SpatialAudio(samples, rate_hz, layout)


def write(path: Path, audio: SpatialAudio) -> Path:
    """Write a file, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, audio)
    return path
