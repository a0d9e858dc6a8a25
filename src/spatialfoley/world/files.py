"""Scenes as ordinary files, so that anything that reads video and sound can use the world.

One clip is three files: ``NAME.mp4`` (the picture, silent), ``NAME.foa.wav`` (AmbiX) and ``NAME.json`` (the truth),
written last: a clip whose JSON is there is complete.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.timeline import frame_times_s
from spatialfoley.world.layout import VIEW_FOV_DEG
from spatialfoley.world.render import render_panorama, render_view
from spatialfoley.world.scenes import CameraKind, Scene, SceneKind, WorldSettings, make_scene
from spatialfoley.world.soundfield import render_foa, render_foa_camera
from spatialfoley.world.truth import truth_at

FRAMES_AT_ONCE: Final = 32
TRUTH_CONVENTION: Final = (
    "azimuth left +, elevation up +, degrees; yaw left +, pitch up +, roll + = right side down; "
    "camera_* angles are seen from the camera; level_db re full scale within 50 ms, -120 is silence; "
    "sound is AmbiX (W, Y, Z, X; SN3D)"
)


@dataclass(frozen=True)
class ClipFormat:
    """How clips are written.

    Attributes:
        picture: "view" (what the camera sees) or "panorama" (equirectangular, world-locked).
        size_px: Side of the view, or height of the panorama; even.
        frame_rate_hz: Frames per second.
        rate_hz: Sample rate of the sound.
        field: "world": the sound keeps the world's frame, as 360° recordings do; "camera": it turns with the
            camera.
    """

    picture: Literal["view", "panorama"] = "view"
    size_px: int = 256
    frame_rate_hz: float = 20.0
    rate_hz: int = 48000
    field: Literal["world", "camera"] = "world"

    def __post_init__(self) -> None:
        if self.picture not in ("view", "panorama"):
            raise ValueError(f"picture is {self.picture!r}; it must be view or panorama")
        if self.field not in ("world", "camera"):
            raise ValueError(f"field is {self.field!r}; it must be world or camera")
        if self.picture == "panorama" and self.field == "camera":
            raise ValueError("field is camera, but a panorama is world-locked; use field='world'")
        if self.size_px < 16 or self.size_px % 2:
            raise ValueError(f"size_px is {self.size_px}; it must be even and 16 or more")
        if not 1.0 <= self.frame_rate_hz <= 240.0:
            raise ValueError(f"frame_rate_hz is {self.frame_rate_hz}; it must be from 1 to 240")
        if not 8000 <= self.rate_hz <= 192000:
            raise ValueError(f"rate_hz is {self.rate_hz}; it must be from 8000 to 192000")


@dataclass(frozen=True)
class ClipFiles:
    """Where a clip was written.

    Attributes:
        video: The silent picture.
        foa: The sound field.
        truth: The truth document.
    """

    video: Path
    foa: Path
    truth: Path


def clip_files(folder: Path, name: str) -> ClipFiles:
    """Return the files of a clip, written or not."""
    return ClipFiles(folder / f"{name}.mp4", folder / f"{name}.foa.wav", folder / f"{name}.json")


def write_clip(
    scene: Scene, folder: Path, name: str | None = None, clip_format: ClipFormat | None = None
) -> ClipFiles:
    """Write a scene as video, sound field and truth.

    Args:
        scene: The scene.
        folder: Where to write; made if it is not there.
        name: Stem of the file names; None for ``world_<seed>``.
        clip_format: Picture and sound; None for a view of 256 pixels at 20 frames/s with 48 kHz sound.

    Returns:
        The files. Each appears complete or not at all, the truth last.

    Raises:
        MediaError: If the folder cannot be written.
    """
    clip_format = clip_format or ClipFormat()
    name = name or f"world_{scene.seed:010d}"
    files = clip_files(folder, name)
    times_s = frame_times_s(scene.duration_s, clip_format.frame_rate_hz)
    render = render_foa if clip_format.field == "world" else render_foa_camera
    foa = SpatialAudio(render(scene, clip_format.rate_hz), clip_format.rate_hz, "foa")
    write_frames(files.video, _frames(scene, times_s, clip_format), clip_format.frame_rate_hz)
    write_audio(files.foa, foa, comment=f"field frame: {clip_format.field}")
    with atomic_path(files.truth) as temporary:
        temporary.write_text(
            json.dumps(truth_document(scene, times_s, clip_format), indent=1) + "\n", "utf-8"
        )
    return files


def write_set(
    folder: Path,
    seeds: Iterable[int],
    kind: SceneKind | None = None,
    camera: CameraKind | None = None,
    duration_s: float = 5.0,
    settings: WorldSettings | None = None,
    clip_format: ClipFormat | None = None,
) -> Iterator[tuple[int, ClipFiles]]:
    """Write one clip for each seed, one after the other; clips that are complete already are left as they are.

    Args:
        folder: Where to write.
        seeds: Scene seeds.
        kind: Kind of all scenes; None draws from the mix.
        camera: Kind of all cameras; None draws.
        duration_s: Length of the clips.
        settings: How scenes sound.
        clip_format: Picture and sound.

    Yields:
        Seed and files of each clip, when it is complete.
    """
    for seed in seeds:
        files = clip_files(folder, f"world_{seed:010d}")
        if not files.truth.exists():
            files = write_clip(
                make_scene(seed, kind, camera, duration_s, settings), folder, None, clip_format
            )
        yield seed, files


def truth_document(scene: Scene, times_s: np.ndarray, clip_format: ClipFormat) -> dict:
    """Return all that is true of a clip, ready for JSON.

    Args:
        scene: The scene.
        times_s: Moments of the frames, shape (T,).
        clip_format: How the clip is written.
    """
    yaw_deg, pitch_deg, roll_deg = scene.camera.angles_at(times_s)
    return {
        "seed": scene.seed,
        "kind": scene.kind,
        "camera": scene.camera_kind,
        "duration_s": scene.duration_s,
        "convention": TRUTH_CONVENTION,
        "picture": clip_format.picture,
        "fov_deg": VIEW_FOV_DEG if clip_format.picture == "view" else None,
        "frame_rate_hz": clip_format.frame_rate_hz,
        "sound_rate_hz": clip_format.rate_hz,
        "field_frame": clip_format.field,
        "room": scene.settings.room,
        "camera_yaw_deg": np.round((yaw_deg + 180) % 360 - 180, 3).tolist(),
        "camera_pitch_deg": np.round(pitch_deg, 3).tolist(),
        "camera_roll_deg": np.round(roll_deg, 3).tolist(),
        **truth_at(scene, times_s).document(),
    }


def _frames(scene: Scene, times_s: np.ndarray, clip_format: ClipFormat) -> Iterator[np.ndarray]:
    """Yield frames of shape (H, W, 3), a few rendered at a time so that long clips need little memory."""
    for start in range(0, len(times_s), FRAMES_AT_ONCE):
        part = times_s[start : start + FRAMES_AT_ONCE]
        if clip_format.picture == "view":
            yield from render_view(scene, part, clip_format.size_px)
        else:
            yield from render_panorama(scene, part, clip_format.size_px)
