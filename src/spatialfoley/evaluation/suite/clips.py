"""Held-out clips of the synthetic world: what a generator is shown, and the truth it is scored against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.binaural import EarCues, ear_cues
from spatialfoley.evaluation.metrics.energy_overlap import FieldPoints, Variant
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ, all_points
from spatialfoley.media.video import Video
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.short_time import HOP_S, analyse, hop_samples
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.timeline import frame_times_s
from spatialfoley.world import (
    Scene,
    held_out_seed,
    make_scene,
    render_foa,
    render_source_signals,
    render_view,
)
from spatialfoley.world.scenes import CameraKind, SceneKind

FloatArray = NDArray[np.floating]

STEP_S = 0.02
WINDOW_STEPS = 25
"""Directions are followed in steps of 20 ms and compared in windows of 25 steps, half a second."""


@dataclass(frozen=True, eq=False)
class WorldClip:
    """One held-out clip.

    A generator may look at `video`, `camera` and `seed` only; the rest is truth.

    Attributes:
        index: Number of the clip in its suite.
        seed: Seed of the scene; use it for sampling too, so that a run can be repeated.
        video: What the camera sees.
        camera: Where the camera looks, over time.
        scene: The scene.
    """

    index: int
    seed: int
    video: Video
    camera: CameraTrajectory
    scene: Scene

    def turned(self, yaw_deg: float) -> "WorldClip":
        """The same picture, said to be taken by a camera turned further left: the truth turns with it."""
        camera = self.camera
        turned = CameraTrajectory(camera.times_s, camera.yaw_deg + yaw_deg, camera.pitch_deg, camera.roll_deg)
        return replace(self, camera=turned)


@dataclass(frozen=True, eq=False)
class EarTruth:
    """What the ears of a listener at the camera hear of one clip, over T frames of 20 ms.

    Attributes:
        ears: True left and right ear at the scoring rate, (2, N).
        cues: Their differences in windows.
        lateral: Left component of every source's direction in the camera's axes, (S, T).
        energy: Energy of every source without direction, (S, T).
    """

    ears: FloatArray
    cues: EarCues
    lateral: FloatArray
    energy: FloatArray


@dataclass(frozen=True, eq=False)
class ClipTruth:
    """What a field of one clip is compared with.

    Attributes:
        scene: The scene.
        field: True field at the scoring rate, world-locked.
        signals: Every source without direction, shape (S, N).
        vectors: Direction of every source at every step, shape (S, T, 3), world axes.
        level: Energy of every source in every window, shape (S, M).
        camera_matrices: R_cam in the middle of every window, shape (M, 3, 3).
        onset_times_s: Onsets of all sources, ascending.
    """

    scene: Scene
    field: SpatialAudio
    signals: FloatArray
    vectors: FloatArray
    level: FloatArray
    camera_matrices: FloatArray
    onset_times_s: FloatArray

    @cached_property
    def points(self) -> dict[tuple[str, Variant], FieldPoints]:
        """Energy points of the true field for every window length and variant."""
        return all_points(self.field.samples)

    @cached_property
    def ears(self) -> EarTruth:
        """What the ears hear, rendered from the true field as heard from the camera."""
        ears = render_binaural(self.field, head=self.scene.camera).samples
        energy = np.sum(np.abs(analyse(self.signals, hop_samples(SCORE_RATE_HZ))) ** 2, axis=-1)
        times_s = np.arange(energy.shape[1]) * HOP_S
        left = self.scene.camera.matrices_at(times_s)[:, :, 1]
        vectors = np.stack([source.path.vectors_at(times_s) for source in self.scene.sources])
        return EarTruth(ears, ear_cues(ears, SCORE_RATE_HZ), np.einsum("tj,stj->st", left, vectors), energy)

    @property
    def mono(self) -> FloatArray:
        """All sources without direction, shape (N,)."""
        return self.signals.sum(axis=0)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class of every source."""
        return tuple(source.class_name for source in self.scene.sources)


def make_world_clip(
    index: int,
    seed: int,
    kinds: Sequence[SceneKind],
    size_px: int,
    rate_hz: float,
    duration_s: float,
    camera: CameraKind | None = None,
) -> WorldClip:
    """Draw and render one held-out clip.

    Args:
        index: Number of the clip; kinds take turns.
        seed: Seed of the suite.
        kinds: Kinds of scene in the suite.
        size_px: Width and height of the picture.
        rate_hz: Frames per second.
        duration_s: Length.
        camera: Whether the camera turns; None draws.
    """
    scene_seed = held_out_seed(index, seed)
    scene = make_scene(scene_seed, kind=kinds[index % len(kinds)], camera=camera, duration_s=duration_s)
    frames = render_view(scene, frame_times_s(duration_s, rate_hz), size_px=size_px)
    return WorldClip(index, scene_seed, Video.from_frames(frames, rate_hz), scene.camera, scene)


def clip_truth(scene: Scene) -> ClipTruth:
    """Everything true about a scene that scores need."""
    signals = render_source_signals(scene, SCORE_RATE_HZ)
    windows = int(scene.duration_s / STEP_S) // WINDOW_STEPS
    step_times_s = (np.arange(windows * WINDOW_STEPS) + 0.5) * STEP_S
    window_samples = round(WINDOW_STEPS * STEP_S * SCORE_RATE_HZ)
    tiled = signals[:, : windows * window_samples].reshape(len(signals), windows, window_samples)
    window_times_s = (np.arange(windows) + 0.5) * WINDOW_STEPS * STEP_S
    onsets = sorted(event.time_s for source in scene.sources for event in source.events)
    return ClipTruth(
        scene=scene,
        field=SpatialAudio(render_foa(scene, SCORE_RATE_HZ, signals), SCORE_RATE_HZ, "foa"),
        signals=signals,
        vectors=np.stack([source.path.vectors_at(step_times_s) for source in scene.sources]),
        level=np.sum(tiled.astype(np.float64) ** 2, axis=2),
        camera_matrices=scene.camera.matrices_at(window_times_s),
        onset_times_s=np.array([time_s for time_s in onsets if time_s < scene.duration_s]),
    )
