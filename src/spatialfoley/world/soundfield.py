"""The sound field of a scene: each source as a plane wave from its moving direction."""

import numpy as np

from spatialfoley.timeline import sample_count
from spatialfoley.world.layout import KNOT_RATE_HZ
from spatialfoley.world.scenes import Scene
from spatialfoley.world.sounds import render_source_signals

DIRECTION_RATE_HZ = 5 * KNOT_RATE_HZ


def render_mono(scene: Scene, rate_hz: int = 16000) -> np.ndarray:
    """Return the sum of all sources without direction, float32 of shape (N,)."""
    return render_source_signals(scene, rate_hz).sum(axis=0)


def render_foa(scene: Scene, rate_hz: int = 16000, signals: np.ndarray | None = None) -> np.ndarray:
    """Render the sound field in the world's frame.

    Args:
        scene: The scene.
        rate_hz: Sample rate, 8000 or more.
        signals: What ``render_source_signals`` gave at this rate, where it is at hand; shape (sources, N).

    Returns:
        AmbiX channels, float32 of shape (4, N) with N = duration × rate.
    """
    times_s = _direction_times_s(scene)
    vectors = [source.path.vectors_at(times_s) for source in scene.sources]
    return _encode_moving(scene, rate_hz, signals, times_s, vectors)


def render_foa_camera(scene: Scene, rate_hz: int = 16000, signals: np.ndarray | None = None) -> np.ndarray:
    """Render the sound field as heard from the camera: the world's field turned by R_camᵀ at every moment.

    Args:
        scene: The scene.
        rate_hz: Sample rate, 8000 or more.
        signals: What ``render_source_signals`` gave at this rate, where it is at hand; shape (sources, N).

    Returns:
        AmbiX channels, float32 of shape (4, N).
    """
    times_s = _direction_times_s(scene)
    matrices = scene.camera.matrices_at(times_s)
    vectors = [np.einsum("tji,tj->ti", matrices, source.path.vectors_at(times_s)) for source in scene.sources]
    return _encode_moving(scene, rate_hz, signals, times_s, vectors)


def _direction_times_s(scene: Scene) -> np.ndarray:
    """Return dense knots over the clip: straight lines between them are exact to 0.01° at 100°/s."""
    return np.arange(int(np.ceil(scene.duration_s * DIRECTION_RATE_HZ)) + 1) / DIRECTION_RATE_HZ


def _encode_moving(
    scene: Scene, rate_hz: int, signals: np.ndarray | None, times_s: np.ndarray, vectors: list[np.ndarray]
) -> np.ndarray:
    if signals is None:
        signals = render_source_signals(scene, rate_hz)
    length = sample_count(scene.duration_s, rate_hz)
    if signals.shape != (len(scene.sources), length):
        raise ValueError(f"signals has shape {signals.shape}; it must be {(len(scene.sources), length)}")
    field = np.zeros((4, length), np.float32)
    sample_times_s = np.arange(length) / rate_hz
    for signal, path in zip(signals, vectors, strict=True):
        field[0] += signal
        # ACN order Y, Z, X; SN3D gains of a plane wave are the direction's own components.
        for channel, axis in ((1, 1), (2, 2), (3, 0)):
            field[channel] += signal * np.interp(sample_times_s, times_s, path[:, axis]).astype(np.float32)
    return field
