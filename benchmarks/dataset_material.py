"""Made 360° recordings for measurements: a picture as hard to code as a real one, a field with a loudest direction.

The picture has the spectrum of photographs (amplitude falls with frequency), a textured disc that moves and the
grain of a camera; the sound is a source at the disc's place over a diffuse field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spatialfoley.media.audio import write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.projection import panorama_directions
from spatialfoley.spatial.signal import SpatialAudio

FRAME_RATE_HZ = 30.0
RATE_HZ = 48000
_FALL = 1.4
_GRAINS = 8
_GRAIN_LEVELS = 2.5
_DISC_DEG = 20.0
_DISC_DEG_PER_S = 12.0


@dataclass(frozen=True)
class Material:
    """A recording: `path` is its video, `sound` its field beside it."""

    path: Path
    sound: Path
    duration_s: float
    height_px: int

    @property
    def bits_per_s(self) -> float:
        """Of the video."""
        return 8.0 * self.path.stat().st_size / self.duration_s


def panorama(height_px: int, *seeds: int) -> np.ndarray:
    """A still picture, uint8 (H, 2H, 3), without a seam."""
    rng = np.random.default_rng(seeds)
    shape = (height_px, 2 * height_px)
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    falls = np.maximum(np.hypot(rows, columns), 1.0 / height_px) ** -_FALL
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * falls, shape) for _ in range(3)]
    return np.clip(127 + 50 * np.stack([plane / plane.std() for plane in planes], -1), 0, 255).astype(
        np.uint8
    )


def frames(height_px: int, count: int, seed: int) -> Iterator[np.ndarray]:
    """Pictures of a film, uint8 (H, 2H, 3)."""
    rng = np.random.default_rng((seed, 1))
    still = panorama(height_px, seed).astype(np.int16)
    grains = np.rint(rng.normal(0.0, _GRAIN_LEVELS, (_GRAINS, *still.shape))).astype(np.int16)
    directions = panorama_directions(height_px)
    inside = angle_between_deg(directions, Direction(_azimuth_deg(seed)).vector()) < _DISC_DEG
    texture = np.where(inside[..., None], panorama(height_px, seed, 2), 0).astype(np.int16)
    for number in range(count):
        shift = round(-_DISC_DEG_PER_S * number / FRAME_RATE_HZ * 2 * height_px / 360.0)
        disc = np.roll(texture, shift, axis=1)
        picture = np.where(disc > 0, disc, still) + np.roll(grains[number % _GRAINS], 17 * number, axis=1)
        yield np.clip(picture, 0, 255).astype(np.uint8)


def field(duration_s: float, seed: int) -> SpatialAudio:
    """The sound of the film."""
    rng = np.random.default_rng((seed, 3))
    count = round(duration_s * RATE_HZ)
    times_s = np.arange(count) / RATE_HZ
    beats = 0.3 + 0.7 * (np.sin(2 * np.pi * 1.5 * times_s) > 0)
    source = (0.1 * beats * rng.standard_normal(count)).astype(np.float32)
    azimuths_deg = _azimuth_deg(seed) + _DISC_DEG_PER_S * times_s
    radians = np.radians(azimuths_deg)
    vectors = np.stack([np.cos(radians), np.sin(radians), np.zeros(count)], -1)
    diffuse = 0.01 * rng.standard_normal((4, count)).astype(np.float32)
    return SpatialAudio((encode(source, vectors) + diffuse).astype(np.float32), RATE_HZ, "foa")


def make_recording(folder: Path, seed: int, duration_s: float, height_px: int, crf: int = 18) -> Material:
    """Write a film and its field as files of a folder source."""
    folder.mkdir(parents=True, exist_ok=True)
    video, sound = folder / f"made-{seed:03d}.mp4", folder / f"made-{seed:03d}.foa.wav"
    pictures = frames(height_px, round(duration_s * FRAME_RATE_HZ), seed)
    write_frames(video, pictures, FRAME_RATE_HZ, crf=crf)
    write_audio(sound, field(duration_s, seed))
    return Material(video, sound, duration_s, height_px)


def _azimuth_deg(seed: int) -> float:
    return 37.0 * seed % 360.0 - 180.0
