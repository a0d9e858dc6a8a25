"""A long take: one camera that turns without a cut, and sources that come into view and go, one after another.

It is written piece by piece, so that an hour needs no more memory than a minute. The camera's movement is given as
a file of poses, as a camera operator's tracker would, and the truth as arrays over time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.timeline import frame_times_s, sample_count
from spatialfoley.world.layout import ATTEMPTS, carried_path, draw_visible_path, knot_times_s
from spatialfoley.world.render import render_view
from spatialfoley.world.scenes import STILL_SHARE, Scene, make_scene
from spatialfoley.world.seeds import held_out_seed
from spatialfoley.world.truth import truth_at

PIECE_S: Final = 6.0
"""How long one source stays; not a multiple of what a model makes at once."""

FRAME_RATE_HZ: Final = 20.0
_POSE_RATE_HZ = 10.0
# Amplitude in degrees, period in seconds and phase of each swing.
_YAW: Final = ((90.0, 60.0, 0.0), (30.0, 23.0, 1.0))
_PITCH: Final = ((10.0, 37.0, 0.5),)
_ROLL: Final = ((4.0, 53.0, 0.0),)


@dataclass(frozen=True)
class LongTake:
    """Where a long take was written.

    Attributes:
        video: the silent picture.
        camera: the poses, CSV.
        truth: ``times_s`` (T,), ``vectors`` (T, 3) of the source in the world, its ``level_db`` (T,), ``in_view``
            (T,), as `truth_at` says them; NPZ.
    """

    video: Path
    camera: Path
    truth: Path


def take_camera(times_s: np.ndarray) -> CameraTrajectory:
    """The camera of every long take at moments: it swings to both sides, up to 18° a second."""
    yaw_deg, pitch_deg, roll_deg = (
        np.sum([a * np.sin(2 * np.pi * times_s / period_s + phase) for a, period_s, phase in parts], axis=0)
        for parts in (_YAW, _PITCH, _ROLL)
    )
    return CameraTrajectory(times_s, yaw_deg, pitch_deg, roll_deg)


def take_scene(piece: int, suite_seed: int = 0) -> Scene:
    """One piece of a long take as a scene of its own, on its own clock.

    Args:
        piece: number of the piece, from 0.
        suite_seed: seed of the take; all pieces share their background.
    """
    times_s = knot_times_s(PIECE_S)
    swung = take_camera(times_s + piece * PIECE_S)
    camera = swung.seen_from(piece * PIECE_S)
    drawn = make_scene(held_out_seed(piece, suite_seed), "in_view", "static", PIECE_S)
    rng = np.random.default_rng((suite_seed, piece, 11))
    still, matrices = bool(rng.random() < STILL_SHARE), camera.matrices_at(times_s)
    for attempt in range(ATTEMPTS):
        path = draw_visible_path(rng, times_s, matrices, still or attempt > ATTEMPTS // 2)
        if path is not None:
            break
    else:
        path = carried_path(times_s, matrices, (1.0, 0.3, 0.0))
    source = replace(drawn.sources[0], path=path)
    # The background belongs to the seed: all pieces are shot at one place.
    seed = held_out_seed(0, suite_seed)
    return replace(drawn, seed=seed, camera_kind="turning", sources=(source,), camera=camera)


def write_long_take(
    folder: Path, duration_s: float, size_px: int = 112, suite_seed: int = 0, name: str = "take"
) -> LongTake:
    """Write a long take; files that are there already are kept.

    Args:
        folder: where to write; made if it is not there.
        duration_s: length, at least 1 s.
        size_px: side of the picture, even.
        suite_seed: another one gives another take.
        name: stem of the file names.

    Raises:
        ValueError: if an argument is out of range.
        MediaError: if the folder cannot be written.
    """
    if not 1.0 <= duration_s < float("inf"):
        raise ValueError(f"duration_s is {duration_s}; it must be 1 or more")
    take = LongTake(folder / f"{name}.mp4", folder / f"{name}.camera.csv", folder / f"{name}.truth.npz")
    if not take.camera.exists():
        _write_camera(take.camera, duration_s)
    if not take.truth.exists():
        _write_truth(take.truth, duration_s, suite_seed)
    if not take.video.exists():
        write_frames(take.video, _frames(duration_s, size_px, suite_seed), FRAME_RATE_HZ)
    return take


def _pieces(duration_s: float) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of each piece and the moments of its frames on its own clock."""
    times_s = frame_times_s(duration_s, FRAME_RATE_HZ)
    each = sample_count(PIECE_S, FRAME_RATE_HZ)
    for piece, first in enumerate(range(0, len(times_s), each)):
        yield piece, times_s[first : first + each] - piece * PIECE_S


def _frames(duration_s: float, size_px: int, suite_seed: int) -> Iterator[np.ndarray]:
    for piece, times_s in _pieces(duration_s):
        yield from render_view(take_scene(piece, suite_seed), times_s, size_px)


def _write_truth(path: Path, duration_s: float, suite_seed: int) -> None:
    parts: dict[str, list[np.ndarray]] = {"times_s": [], "vectors": [], "level_db": [], "in_view": []}
    for piece, times_s in _pieces(duration_s):
        truth = truth_at(take_scene(piece, suite_seed), times_s)
        parts["times_s"].append(times_s + piece * PIECE_S)
        for name in ("vectors", "level_db", "in_view"):
            parts[name].append(getattr(truth, name)[0])
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            times_s=np.concatenate(parts["times_s"]),
            vectors=np.concatenate(parts["vectors"]),
            level_db=np.concatenate(parts["level_db"]),
            in_view=np.concatenate(parts["in_view"]),
        )


def _write_camera(path: Path, duration_s: float) -> None:
    times_s = np.arange(int(duration_s * _POSE_RATE_HZ) + 2) / _POSE_RATE_HZ
    camera = take_camera(times_s)
    rows = zip(times_s, camera.yaw_deg, camera.pitch_deg, camera.roll_deg, strict=True)
    lines = [f"{t:.3f},{yaw:.4f},{pitch:.4f},{roll:.4f}\n" for t, yaw, pitch, roll in rows]
    with atomic_path(path) as temporary:
        temporary.write_text("time_s,yaw_deg,pitch_deg,roll_deg\n" + "".join(lines), encoding="utf-8")
