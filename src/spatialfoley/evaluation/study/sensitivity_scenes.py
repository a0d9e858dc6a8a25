"""Controlled sound fields: sounds of the world from known directions, to be made wrong one thing at a time.

Every kind of scene has the same sounds from the same first directions, so kinds can be compared scene by scene.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.media.audio import fit_length, read_audio, resample
from spatialfoley.spatial.foa import encode
from spatialfoley.timeline import sample_count
from spatialfoley.world import held_out_seed, make_scene, render_source_signals
from spatialfoley.world.layout import draw_direction, turn_about
from spatialfoley.world.rooms import convolve, measured_tail, simulated_tail
from spatialfoley.world.sounds import band_noise

FloatArray = NDArray[np.floating]
StudyKind = Literal["one", "two", "three", "moving", "bed", "room", "measured room", "recording"]

KINDS: tuple[StudyKind, ...] = ("one", "two", "three", "moving", "bed", "room")
"""Kinds that need nothing but the package: the others need recordings."""

SOURCE_RMS = 0.05
BED_DB = -10.0
"""Level of the diffuse bed re the source, in W."""
SWEEP_DEG = 120.0
"""How far a moving source goes during the clip, about the up axis."""
LEAST_APART_DEG = 40.0
NOISE_BAND_HZ = (60.0, 7000.0)
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, eq=False)
class StudyScene:
    """One true field and what it is made of.

    Attributes:
        kind: What is in it.
        index: Number within its kind.
        field: AmbiX at the scoring rate, (4, N) float32.
        signals: Every source without direction, (S, N); none for recordings.
        vectors: Direction of every source: (3,) or (N, 3) each.
        added: What is no direct sound (bed, room), (4, N); None without.
        name: Of the recording, or the class of the first source.
    """

    kind: StudyKind
    index: int
    field: FloatArray
    signals: FloatArray
    vectors: tuple[FloatArray, ...]
    added: FloatArray | None
    name: str

    @property
    def mono(self) -> FloatArray:
        """All sources without direction, (N,)."""
        return self.signals.sum(axis=0)

    def encoded(self, signals: FloatArray, vectors: tuple[FloatArray, ...]) -> FloatArray:
        """The same scene with other signals or directions of its sources; what is added stays."""
        field = sum(encode(signal, vector) for signal, vector in zip(signals, vectors, strict=True))
        return np.asarray(field if self.added is None else field + self.added, np.float32)


def make_study_scene(
    kind: StudyKind, index: int, seed: int, duration_s: float = 5.0, responses: Path | None = None
) -> StudyScene:
    """Draw a scene.

    Args:
        kind: One of `KINDS`, or "measured room".
        index: Number of the scene; scenes of all kinds with one index share sounds and the first direction.
        seed: Seed of the study.
        duration_s: Length, 1 s or more.
        responses: Folder of measured AmbiX room responses, for "measured room".

    Raises:
        ValueError: The kind is unknown or needs files, or the clip is shorter than a second.
    """
    if kind not in get_args(StudyKind) or kind == "recording":
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)} or 'measured room'")
    if duration_s < 1.0:
        raise ValueError(f"duration_s is {duration_s}; maps of 1 fps need 1 s or more")
    rng = np.random.default_rng((seed, index, 1))
    count = {"two": 2, "three": 3}.get(kind, 1)
    sounds = [source_sound(index, seed, number, duration_s) for number in range(count)]
    signals = np.stack([signal for signal, _ in sounds])
    vectors = _apart(rng, count)
    if kind == "moving":
        sign = rng.choice((-1.0, 1.0))
        angles_deg = sign * np.linspace(-SWEEP_DEG / 2, SWEEP_DEG / 2, signals.shape[1])
        vectors = [turn_about(_UP, np.radians(angles_deg), vectors[0])]
    added = _added(kind, np.random.default_rng((seed, index, 2)), signals[0], vectors[0], responses)
    bare = StudyScene(kind, index, np.zeros((4, 0)), signals, tuple(vectors), added, sounds[0][1])
    field = bare.encoded(signals, bare.vectors)
    return StudyScene(kind, index, field, signals, bare.vectors, added, bare.name)


def source_sound(index: int, seed: int, number: int, duration_s: float) -> tuple[FloatArray, str]:
    """A held-out sound of the world (N,), brought to one level, and its class."""
    scene = make_scene(held_out_seed(index, seed + 1000 * number), "in_view", "static", duration_s)
    signal = render_source_signals(scene, SCORE_RATE_HZ)[0]
    return to_rms(signal, SOURCE_RMS), scene.sources[0].class_name


def to_rms(signal: FloatArray, rms: float) -> FloatArray:
    """A signal (N,) scaled to a level; silence stays silent."""
    found = float(np.sqrt(np.mean(signal.astype(np.float64) ** 2)))
    return np.asarray(signal * (rms / found) if found > 0 else signal, np.float32)


def diffuse_noise(rng: np.random.Generator, samples: int, rms: float) -> FloatArray:
    """A diffuse bed (4, N) with a given level in W: independent channels, a third of W's power in Y, Z, X."""
    channels = [
        fit_length(band_noise(rng, samples / SCORE_RATE_HZ, SCORE_RATE_HZ, NOISE_BAND_HZ, tilt=0.5), samples)
        for _ in range(4)
    ]
    return np.stack([to_rms(noise, rms if k == W else rms / np.sqrt(3)) for k, noise in enumerate(channels)])


def recorded_scenes(folder: Path, duration_s: float = 5.0) -> list[StudyScene]:
    """Recorded AmbiX fields of a folder, brought to the scoring rate and one level; nobody knows their sources.

    Args:
        folder: Of .flac and .caf files with four channels.
        duration_s: Longest stretch to take, from the start.
    """
    scenes: list[StudyScene] = []
    for path in sorted([*folder.glob("*foa*.flac"), *folder.glob("*.caf")]):
        audio = read_audio(path, layout="foa")
        field = resample(audio.samples, audio.rate_hz, SCORE_RATE_HZ)
        field = field[:, : sample_count(duration_s, SCORE_RATE_HZ)]
        field = field * np.float32(SOURCE_RMS / np.sqrt(np.mean(field[W] ** 2)))
        scenes.append(StudyScene("recording", len(scenes), field, field[:0], (), None, path.stem))
    return scenes


def _apart(rng: np.random.Generator, count: int) -> list[FloatArray]:
    """Directions with at least `LEAST_APART_DEG` between any two."""
    found: list[FloatArray] = []
    while len(found) < count:
        vector = draw_direction(rng)
        if all(float(vector @ other) <= np.cos(np.radians(LEAST_APART_DEG)) for other in found):
            found.append(vector)
    return found


def _added(
    kind: StudyKind,
    rng: np.random.Generator,
    signal: FloatArray,
    vector: FloatArray,
    responses: Path | None,
) -> FloatArray | None:
    if kind == "bed":
        return diffuse_noise(rng, len(signal), SOURCE_RMS * 10 ** (BED_DB / 20))
    if kind == "room":
        return convolve(signal, simulated_tail(rng, vector, 1.5, SCORE_RATE_HZ))
    if kind == "measured room":
        if responses is None:
            raise ValueError("responses is missing; a measured room needs a folder of AmbiX responses")
        return convolve(signal, measured_tail(responses, vector, SCORE_RATE_HZ))
    return None
