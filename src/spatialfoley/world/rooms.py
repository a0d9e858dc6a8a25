"""What a room adds to the direct sound: early reflections and reverberation, simulated or measured.

The direct sound always comes from the source's exact, moving direction; a room only adds to it. What it adds
is that of the source's place in the middle of the clip.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from spatialfoley.media.audio import read_audio, resample
from spatialfoley.spatial.foa import encode, rotate_field
from spatialfoley.world.scenes import Scene, Source

SPEED_OF_SOUND_M_S: Final = 343.0
METRES_PER_DISTANCE: Final = 1.5
EAR_HEIGHT_M: Final = 1.5
DIRECT_S: Final = 0.005
TAIL_START_S: Final = 0.02
MEASURED_PATTERN: Final = "*ambix*"


def room_tail(scene: Scene, source: Source, rate_hz: int) -> np.ndarray:
    """Return the response of the room without the direct sound, in the world's frame.

    Args:
        scene: Scene whose settings name a room.
        source: The source.
        rate_hz: Sample rate.

    Returns:
        AmbiX response relative to a direct sound of 1, float32 of shape (4, L).

    Raises:
        ValueError: If measured responses are wanted and the folder holds none.
    """
    place = source.path.vectors_at(np.array([scene.duration_s / 2]))[0]
    if scene.settings.room == "measured":
        assert scene.settings.room_responses is not None
        return measured_tail(scene.settings.room_responses, place, rate_hz)
    return simulated_tail(np.random.default_rng((scene.seed, 6)), place, source.distance, rate_hz)


def simulated_tail(rng: np.random.Generator, place: np.ndarray, distance: float, rate_hz: int) -> np.ndarray:
    """Simulate a shoebox: six first-order image sources (Allen and Berkley, 1979) and a diffuse decaying tail.

    Args:
        rng: Generator of the room; the same state gives the same room for every source.
        place: Direction of the source, unit vector, shape (3,).
        distance: Relative distance; 1 is 1.5 m.
        rate_hz: Sample rate.

    Returns:
        AmbiX response relative to a direct sound of 1, float32 of shape (4, L).
    """
    size_m = np.array([rng.uniform(7.5, 11), rng.uniform(7.5, 11), rng.uniform(6.5, 8)])
    reflection = rng.uniform(0.35, 0.75)
    decay_s = rng.uniform(0.2, 0.6)
    ear_m = np.array([size_m[0] / 2, size_m[1] / 2, max(EAR_HEIGHT_M, size_m[2] / 2)])
    direct_m = distance * METRES_PER_DISTANCE
    source_m = ear_m + place * direct_m
    length = round((TAIL_START_S + decay_s) * rate_hz)
    tail = np.zeros((4, length), np.float32)
    for axis in range(3):
        for wall_m in (0.0, size_m[axis]):
            image_m = source_m.copy()
            image_m[axis] = 2 * wall_m - source_m[axis]
            offset = image_m - ear_m
            path_m = float(np.linalg.norm(offset))
            delay = round((path_m - direct_m) / SPEED_OF_SOUND_M_S * rate_hz)
            if 0 < delay < length:
                tail[:, delay] += reflection * direct_m / path_m * encode(np.ones(1), offset / path_m)[:, 0]
    start = round(TAIL_START_S * rate_hz)
    envelope = 10 ** (-3 * np.arange(length - start) / rate_hz / decay_s)
    noise = rng.standard_normal((4, length - start)) * envelope
    # A diffuse SN3D field has a third of W's power in each of Y, Z, X.
    noise[1:] /= np.sqrt(3)
    share = 0.5 * reflection * distance**2 / 4
    tail[:, start:] += (np.sqrt(share / np.sum(noise[0] ** 2)) * noise).astype(np.float32)
    return tail


def measured_tail(folder: Path, place: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the measured response whose direction is nearest, turned the rest of the way to the source.

    Args:
        folder: Folder of AmbiX responses whose names contain "ambix".
        place: Direction of the source, unit vector, shape (3,).
        rate_hz: Sample rate.

    Returns:
        AmbiX response relative to a direct sound of 1, float32 of shape (4, L).

    Raises:
        ValueError: If the folder holds no such response.
    """
    responses = _measured_responses(folder, rate_hz)
    vectors = np.stack([vector for vector, _ in responses])
    vector, tail = responses[int(np.argmax(vectors @ place))]
    return rotate_field(tail, _shortest_turn(vector, place))


@lru_cache(maxsize=4)
def _measured_responses(folder: Path, rate_hz: int) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Read (direction of the direct sound, response after it) of every file."""
    paths = sorted(folder.glob(MEASURED_PATTERN)) if folder.is_dir() else []
    responses = []
    for path in paths:
        audio = read_audio(path, layout="foa")
        samples = resample(audio.samples, audio.rate_hz, rate_hz)
        peak = int(np.argmax(np.abs(samples[0])))
        half = round(DIRECT_S * rate_hz / 2)
        direct = samples[:, max(peak - half, 0) : peak + half]
        intensity = (direct[0] * direct[[3, 1, 2]]).sum(axis=1)
        # Loudness of the direct sound as a plane wave: the root of its energy, not the peak of one sample.
        tail = samples[:, peak:] / np.sqrt(np.sum(direct[0] ** 2))
        tail[:, :half] = 0
        responses.append((intensity / np.linalg.norm(intensity), tail.astype(np.float32)))
    if not responses:
        raise ValueError(
            f"room_responses is {folder}; it must be a folder with AmbiX files named {MEASURED_PATTERN}"
        )
    return tuple(responses)


def _shortest_turn(start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return the rotation by the smallest angle that brings one unit vector to another, shape (3, 3)."""
    axis, cosine = np.cross(start, goal), float(start @ goal)
    if cosine < -1 + 1e-9:
        # Opposite: half a turn about the up axis keeps the floor below.
        return np.diag([-1.0, -1.0, 1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def convolve(signal: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Convolve a signal of shape (N,) with a response of shape (C, L), cut to shape (C, N)."""
    size = len(signal) + response.shape[1]
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[:, : len(signal)].astype(np.float32)
