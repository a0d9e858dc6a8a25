"""What can be wrong with a field, one thing at a time: mistakes of place, level, channels, time and sound.

A distortion takes a scene and a generator of its own and returns the field that a system would have made. Some need
to know the sources; `needs_sources` says which, and recordings go without them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.study.sensitivity_scenes import (
    StudyKind,
    StudyScene,
    diffuse_noise,
    source_sound,
    to_rms,
)
from spatialfoley.spatial.direction import pose_matrices
from spatialfoley.spatial.foa import encode, from_fuma, from_n3d, rotate_field, to_fuma, to_n3d
from spatialfoley.world.layout import turn_about
from spatialfoley.world.rooms import convolve

FloatArray = NDArray[np.floating]
Make = Callable[[StudyScene, float, np.random.Generator], FloatArray]

_UP = np.array([0.0, 0.0, 1.0])
_ALL: tuple[StudyKind, ...] = ("one", "two", "three", "moving", "bed", "room")


@dataclass(frozen=True)
class Distortion:
    """One mistake, at one level or along several.

    Attributes:
        name: What is wrong.
        make: Of scene, level and generator, the wrong field (4, N).
        levels: How wrong; a single 0 where there is nothing to choose.
        unit: Of the levels.
        kinds: Kinds of scene on which it is studied.
        needs_sources: Whether it has to know the sources.
    """

    name: str
    make: Make
    levels: tuple[float, ...] = (0.0,)
    unit: str = ""
    kinds: tuple[StudyKind, ...] = _ALL
    needs_sources: bool = False

    def apply(self, scene: StudyScene, level: float, seed: int) -> FloatArray:
        """The wrong field; the same arguments give the same field."""
        rng = np.random.default_rng((seed, scene.index, crc32(self.name.encode())))
        return np.asarray(self.make(scene, level, rng), np.float32)


def turned(field: FloatArray, yaw_deg: float) -> FloatArray:
    """A field turned about the up axis, counter-clockwise."""
    return rotate_field(field, pose_matrices(yaw_deg, 0.0, 0.0))


def turned_any_way(field: FloatArray, angle_deg: float, rng: np.random.Generator) -> FloatArray:
    """A field turned by an angle about a random axis."""
    axis = random_vector(rng)
    R = np.stack([turn_about(axis, np.radians([angle_deg]), column)[0] for column in np.eye(3)], axis=1)
    return rotate_field(field, R)


def random_vector(rng: np.random.Generator) -> FloatArray:
    """A direction, all equally likely."""
    vector = rng.standard_normal(3)
    return vector / np.linalg.norm(vector)


def noisy(field: FloatArray, snr_db: float, rng: np.random.Generator) -> FloatArray:
    """A field with diffuse noise so much weaker, in W."""
    rms = float(np.sqrt(np.mean(field[W].astype(np.float64) ** 2)))
    return field + diffuse_noise(rng, field.shape[1], rms * 10 ** (-snr_db / 20))


def _lifted(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    """Turned about the axis that lifts the first source straight up."""
    start = np.atleast_2d(scene.vectors[0])[0]
    axis = np.cross(start, _UP)
    axis /= np.linalg.norm(axis)
    R = np.stack([turn_about(axis, np.radians([level]), column)[0] for column in np.eye(3)], axis=1)
    return rotate_field(scene.field, R)


def _one_moved(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    last = turn_about(_UP, np.radians([level]), scene.vectors[-1])[0]
    return scene.encoded(scene.signals, (*scene.vectors[:-1], last))


def _shifted(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    late = round(level * SCORE_RATE_HZ)
    return np.pad(scene.field, ((0, 0), (late, 0)))[:, : scene.field.shape[1]]


def _offset(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    """A constant in all four channels, in multiples of the RMS of W."""
    return scene.field + np.float32(level * np.sqrt(np.mean(scene.field[W].astype(np.float64) ** 2)))


def _without(channel: int) -> Make:
    def silent(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
        field = scene.field.copy()
        field[channel] = 0.0
        return field

    return silent


def _mirrored(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    field = scene.field.copy()
    field[Y] = -field[Y]
    return field


def _independent(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    """Y, Z and X are other sounds of the same level: nothing in common with W."""
    field = scene.field.copy()
    for number, channel in enumerate((Y, Z, X), start=3):
        rms = float(np.sqrt(np.mean(field[channel].astype(np.float64) ** 2)))
        other, _ = source_sound(scene.index, 7, number, field.shape[1] / SCORE_RATE_HZ)
        field[channel] = to_rms(other, rms)
    return field


def _only_w(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    field = np.zeros_like(scene.field)
    field[W] = scene.field[W]
    return field


def _diffused(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    """The true sound from everywhere: each channel through its own 50 ms of decaying noise."""
    taps = rng.standard_normal((4, SCORE_RATE_HZ // 20)) * np.exp(-np.arange(SCORE_RATE_HZ // 20) / 160)
    field = convolve(scene.field[W], taps)
    rms = float(np.sqrt(np.mean(scene.field[W].astype(np.float64) ** 2)))
    return np.stack([to_rms(row, rms if k == W else rms / np.sqrt(3)) for k, row in enumerate(field)])


def _other_sound(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    """Sounds of other scenes from the right directions."""
    duration_s = scene.field.shape[1] / SCORE_RATE_HZ
    others = [
        source_sound(scene.index, 7, number, duration_s)[0] for number in range(1, len(scene.signals) + 1)
    ]
    return scene.encoded(np.stack(others), scene.vectors)


def _steady_noise(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    """Steady noise from the right directions."""
    noises = [
        to_rms(rng.standard_normal(len(signal)), float(np.sqrt(np.mean(signal**2))))
        for signal in scene.signals
    ]
    return scene.encoded(np.stack(noises), scene.vectors)


def _reversed_path(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    return scene.encoded(scene.signals, (scene.vectors[0][::-1],))


def _standing(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    """A moving source that stays in the middle of its path."""
    return scene.encoded(scene.signals, (scene.vectors[0][len(scene.vectors[0]) // 2],))


def _at_random(scene: StudyScene, level: float, rng: np.random.Generator) -> FloatArray:
    return encode(scene.mono, random_vector(rng))


CURVES: tuple[Distortion, ...] = (
    Distortion(
        "azimuth error",
        lambda scene, level, rng: turned(scene.field, level),
        (0, 5, 10, 20, 30, 45, 60, 75, 90, 120, 150, 180),
        "°",
    ),
    Distortion("elevation error", _lifted, (0, 5, 10, 20, 30, 45, 60, 90), "°", ("one",), True),
    Distortion(
        "gain",
        lambda scene, level, rng: scene.field * np.float32(10 ** (level / 20)),
        (-20, -10, -6, -3, 0, 3, 6, 10, 20),
        " dB",
        ("one",),
    ),
    Distortion(
        "diffuse noise",
        lambda scene, level, rng: noisy(scene.field, level, rng),
        (40, 30, 20, 15, 10, 5, 0, -5, -10, -20),
        " dB SNR",
        ("one", "two", "room"),
    ),
    Distortion("offset (DC)", _offset, (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), " of RMS", ("one",)),
    Distortion("time shift", _shifted, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), " s", ("one", "moving")),
    Distortion(
        "one of several moved", _one_moved, (0, 20, 45, 60, 90, 135, 180), "°", ("two", "three"), True
    ),
)
"""Mistakes along which metrics are followed."""

STATES: tuple[Distortion, ...] = (
    Distortion("none", lambda scene, level, rng: scene.field),
    Distortion("left and right mirrored", _mirrored),
    Distortion("WXYZ read as WYZX", lambda scene, level, rng: scene.field[[W, X, Y, Z]]),
    Distortion("FuMa read as AmbiX", lambda scene, level, rng: to_fuma(scene.field)),
    Distortion("AmbiX read as FuMa", lambda scene, level, rng: from_fuma(scene.field)),
    Distortion("N3D read as SN3D", lambda scene, level, rng: to_n3d(scene.field)),
    Distortion("SN3D read as N3D", lambda scene, level, rng: from_n3d(scene.field)),
    Distortion("W silent", _without(W)),
    Distortion("Y silent", _without(Y)),
    Distortion("Z silent", _without(Z)),
    Distortion("X silent", _without(X)),
    Distortion("W alone", _only_w),
    Distortion(
        "W in all four channels", lambda scene, level, rng: np.repeat(scene.field[W][None], 4, axis=0)
    ),
    Distortion("Y, Z, X of other sounds", _independent),
    Distortion("true sound, diffuse", _diffused),
    Distortion(
        "true sound, front", lambda scene, level, rng: encode(scene.mono, [1.0, 0, 0]), needs_sources=True
    ),
    Distortion("true sound, random direction", _at_random, needs_sources=True),
    Distortion("other sound, right direction", _other_sound, needs_sources=True),
    Distortion("steady noise, right direction", _steady_noise, needs_sources=True),
    Distortion("path backwards", _reversed_path, kinds=("moving",), needs_sources=True),
    Distortion("stands still instead of moving", _standing, kinds=("moving",), needs_sources=True),
    Distortion("silence", lambda scene, level, rng: np.zeros_like(scene.field)),
)
"""Mistakes that are made or not."""
