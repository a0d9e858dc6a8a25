"""What is true of a scene: which class, where, how loud, and when it begins to sound."""

from dataclasses import dataclass

import numpy as np

from spatialfoley.spatial.direction import angles_deg
from spatialfoley.world.layout import VIEW_FOV_DEG
from spatialfoley.world.scenes import Scene
from spatialfoley.world.sounds import render_source_signals

SILENCE_DB = -120.0
LEVEL_WINDOW_S = 0.05
LEVEL_RATE_HZ = 16000


@dataclass(frozen=True, eq=False)
class SceneTruth:
    """Truth at T moments about S sources.

    Attributes:
        times_s: The moments, shape (T,).
        class_names: Class of each source.
        vectors: Unit vectors in the world, shape (S, T, 3).
        camera_vectors: Unit vectors in the camera's frame, shape (S, T, 3).
        in_view: Whether the source's centre is inside a square view of 90°, bool, shape (S, T).
        level_db: RMS level of the source within 50 ms around the moment, re full scale; -120 for silence,
            shape (S, T).
        onset_times_s: Event onsets of each source, seconds.
        camera_matrices: v_world = R v_cam, shape (T, 3, 3).
    """

    times_s: np.ndarray
    class_names: tuple[str, ...]
    vectors: np.ndarray
    camera_vectors: np.ndarray
    in_view: np.ndarray
    level_db: np.ndarray
    onset_times_s: tuple[tuple[float, ...], ...]
    camera_matrices: np.ndarray

    def document(self) -> dict:
        """Return the same as plain numbers and lists, ready for JSON; directions as azimuth and elevation."""
        sources = []
        for index, name in enumerate(self.class_names):
            azimuth, elevation = angles_deg(self.vectors[index])
            camera_azimuth, camera_elevation = angles_deg(self.camera_vectors[index])
            sources.append(
                {
                    "class": name,
                    "azimuth_deg": np.round(azimuth, 3).tolist(),
                    "elevation_deg": np.round(elevation, 3).tolist(),
                    "camera_azimuth_deg": np.round(camera_azimuth, 3).tolist(),
                    "camera_elevation_deg": np.round(camera_elevation, 3).tolist(),
                    "in_view": self.in_view[index].tolist(),
                    "level_db": np.round(self.level_db[index], 2).tolist(),
                    "onset_times_s": [round(time_s, 6) for time_s in self.onset_times_s[index]],
                }
            )
        return {"times_s": np.round(self.times_s, 6).tolist(), "sources": sources}


def truth_at(scene: Scene, times_s: np.ndarray, signals: np.ndarray | None = None) -> SceneTruth:
    """Tell the truth about a scene at given moments.

    Args:
        scene: The scene.
        times_s: Moments, shape (T,), seconds from the start of the clip.
        signals: What ``render_source_signals`` gave at 16 kHz, where it is at hand; shape (S, N).

    Returns:
        Classes, directions, visibility, levels and onsets.
    """
    times_s = np.asarray(times_s, dtype=np.float64)
    if signals is None:
        signals = render_source_signals(scene, LEVEL_RATE_HZ)
    matrices = scene.camera.matrices_at(times_s)
    vectors = np.stack([source.path.vectors_at(times_s) for source in scene.sources])
    camera_vectors = np.einsum("tji,stj->sti", matrices, vectors)
    reach = np.tan(np.deg2rad(VIEW_FOV_DEG / 2)) * camera_vectors[..., 0]
    in_view = (np.abs(camera_vectors[..., 1]) < reach) & (np.abs(camera_vectors[..., 2]) < reach)
    return SceneTruth(
        times_s=times_s,
        class_names=tuple(source.class_name for source in scene.sources),
        vectors=vectors,
        camera_vectors=camera_vectors,
        in_view=in_view,
        level_db=short_time_level_db(signals, times_s, LEVEL_RATE_HZ),
        onset_times_s=tuple(tuple(event.time_s for event in source.events) for source in scene.sources),
        camera_matrices=matrices,
    )


def short_time_level_db(signals: np.ndarray, times_s: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return RMS levels within ``LEVEL_WINDOW_S`` around moments.

    Args:
        signals: Shape (S, N).
        times_s: Moments, shape (T,).
        rate_hz: Sample rate of the signals.

    Returns:
        dB re full scale, shape (S, T); ``SILENCE_DB`` at least.
    """
    length = signals.shape[1]
    energy = np.concatenate(
        [np.zeros((len(signals), 1)), np.cumsum(signals.astype(np.float64) ** 2, axis=1)], axis=1
    )
    first = np.clip(np.round((times_s - LEVEL_WINDOW_S / 2) * rate_hz), 0, length).astype(int)
    last = np.clip(np.round((times_s + LEVEL_WINDOW_S / 2) * rate_hz), 0, length).astype(int)
    power = (energy[:, last] - energy[:, first]) / np.maximum(last - first, 1)
    return 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))
