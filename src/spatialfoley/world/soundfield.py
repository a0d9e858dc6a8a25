"""The sound field of a scene: each source as a plane wave from its moving direction, and what the room adds."""

import numpy as np

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.foa import rotate_field
from spatialfoley.timeline import sample_count
from spatialfoley.world.layout import KNOT_RATE_HZ
from spatialfoley.world.rooms import convolve, room_tail
from spatialfoley.world.scenes import Scene
from spatialfoley.world.sounds import band_noise, render_source_signals

DIRECTION_RATE_HZ = 5 * KNOT_RATE_HZ
FIELD_PEAK_LIMIT = 0.98
AMBIENCE_BAND_HZ = (60.0, 7000.0)


def render_mono(scene: Scene, rate_hz: int = 16000) -> np.ndarray:
    """Return the sum of all sources without direction or room, float32 of shape (N,)."""
    return render_source_signals(scene, rate_hz).sum(axis=0)


def render_foa(scene: Scene, rate_hz: int = 16000, signals: np.ndarray | None = None) -> np.ndarray:
    """Render the sound field in the world's frame.

    Args:
        scene: The scene.
        rate_hz: Sample rate, 8000 or more.
        signals: What ``render_source_signals`` gave at this rate, where it is at hand; shape (sources, N).

    Returns:
        AmbiX channels, float32 of shape (4, N) with N = duration × rate.

    Raises:
        ValueError: If the rate is too low or the signals do not fit.
    """
    signals = _checked_signals(scene, rate_hz, signals)
    times_s = _direction_times_s(scene)
    vectors = [source.path.vectors_at(times_s) for source in scene.sources]
    direct = _encode_moving(signals, rate_hz, times_s, vectors)
    added = render_surroundings(scene, rate_hz, signals)
    return direct if added is None else _limited(direct + added)


def render_foa_camera(scene: Scene, rate_hz: int = 16000, signals: np.ndarray | None = None) -> np.ndarray:
    """Render the sound field as heard from the camera: the world's field turned by R_camᵀ at every moment.

    Args:
        scene: The scene.
        rate_hz: Sample rate, 8000 or more.
        signals: What ``render_source_signals`` gave at this rate, where it is at hand; shape (sources, N).

    Returns:
        AmbiX channels, float32 of shape (4, N).

    Raises:
        ValueError: If the rate is too low or the signals do not fit.
    """
    signals = _checked_signals(scene, rate_hz, signals)
    times_s = _direction_times_s(scene)
    matrices = scene.camera.matrices_at(times_s)
    vectors = [np.einsum("tji,tj->ti", matrices, source.path.vectors_at(times_s)) for source in scene.sources]
    direct = _encode_moving(signals, rate_hz, times_s, vectors)
    added = render_surroundings(scene, rate_hz, signals)
    if added is None:
        return direct
    sample_matrices = scene.camera.matrices_at(np.arange(added.shape[1]) / rate_hz, dtype=np.float32)
    return _limited(direct + rotate_field(added, np.swapaxes(sample_matrices, 1, 2)))


def render_surroundings(scene: Scene, rate_hz: int, signals: np.ndarray) -> np.ndarray | None:
    """Render what is not direct sound, in the world's frame: reverberation and ambience.

    Args:
        scene: The scene.
        rate_hz: Sample rate.
        signals: Source signals at this rate, shape (sources, N).

    Returns:
        AmbiX channels, float32 of shape (4, N), or None where the settings ask for neither.
    """
    settings = scene.settings
    if settings.room is None and settings.ambience_db is None:
        return None
    field = np.zeros((4, signals.shape[1]), np.float32)
    if settings.room is not None:
        for signal, source in zip(signals, scene.sources, strict=True):
            field += convolve(signal, room_tail(scene, source, rate_hz))
    if settings.ambience_db is not None:
        rng = np.random.default_rng((scene.seed, 7))
        level = 10 ** (settings.ambience_db / 20)
        for channel in range(4):
            noise = band_noise(rng, scene.duration_s, rate_hz, AMBIENCE_BAND_HZ, tilt=0.5)[: field.shape[1]]
            # A diffuse SN3D field has a third of W's power in each of Y, Z, X.
            field[channel] += (level if channel == W else level / np.sqrt(3)) * noise
    return field


def _limited(field: np.ndarray) -> np.ndarray:
    """Scale a field down where it would clip; the measure is the same in every frame of reference."""
    loudest = max(float(np.abs(field[W]).max()), float(np.linalg.norm(field[1:], axis=0).max()))
    return field * np.float32(FIELD_PEAK_LIMIT / loudest) if loudest > FIELD_PEAK_LIMIT else field


def _direction_times_s(scene: Scene) -> np.ndarray:
    """Return dense knots over the clip: straight lines between them are exact to 0.01° at 100°/s."""
    return np.arange(int(np.ceil(scene.duration_s * DIRECTION_RATE_HZ)) + 1) / DIRECTION_RATE_HZ


def _checked_signals(scene: Scene, rate_hz: int, signals: np.ndarray | None) -> np.ndarray:
    if signals is None:
        return render_source_signals(scene, rate_hz)
    wanted = (len(scene.sources), sample_count(scene.duration_s, rate_hz))
    if signals.shape != wanted:
        raise ValueError(f"signals has shape {signals.shape}; it must be {wanted} for {rate_hz} Hz")
    return signals


def _encode_moving(
    signals: np.ndarray, rate_hz: int, times_s: np.ndarray, vectors: list[np.ndarray]
) -> np.ndarray:
    field = np.zeros((4, signals.shape[1]), np.float32)
    sample_times_s = np.arange(signals.shape[1]) / rate_hz
    for signal, path in zip(signals, vectors, strict=True):
        field[W] += signal
        # SN3D gains of a plane wave are the direction's own components.
        for channel, axis in ((X, 0), (Y, 1), (Z, 2)):
            field[channel] += signal * np.interp(sample_times_s, times_s, path[:, axis]).astype(np.float32)
    return field
