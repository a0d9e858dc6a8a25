"""Recordings of tests: a bright dot and a plane wave from the same direction."""

from pathlib import Path

import numpy as np
import soundfile

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Workspace, load_stage, reference
from spatialfoley.media.mux import write_frames
from spatialfoley.media.video import read_video
from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.projection import panorama_directions, view_directions

HEIGHT_PX, FRAME_RATE_HZ, RATE_HZ = 180, 5, 16000


def dotted_panorama(vector: np.ndarray, height_px: int = HEIGHT_PX, radius_deg: float = 4.0) -> np.ndarray:
    """A black panorama with a soft white dot at a direction, uint8 (H, 2 H, 3)."""
    angle_deg = angle_between_deg(panorama_directions(height_px), vector)
    level = np.clip(1.0 - angle_deg / radius_deg, 0.0, 1.0)
    return np.repeat(np.rint(255 * level).astype(np.uint8)[..., None], 3, axis=2)


def bright_direction(view: np.ndarray, fov_deg: float = 90.0) -> np.ndarray:
    """Direction, in the camera's axes, of the centre of brightness of a view."""
    weight = np.where(view[..., 0] > 40, view[..., 0], 0).astype(float)  # codecs leave a veil
    vector = np.tensordot(weight, view_directions(view.shape[:2], fov_deg), axes=2)
    return vector / np.linalg.norm(vector)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def recorded(
    folder: Path, source: Direction, duration_s: float = 4.0, frame_rate_hz: float = FRAME_RATE_HZ
) -> Record:
    """A recording with "panorama" and "foa", of a source that rests."""
    picture = dotted_panorama(source.vector())
    count = round(duration_s * FRAME_RATE_HZ)
    write_frames(folder / "panorama.mp4", [picture] * count, FRAME_RATE_HZ, crf=4)
    field = encode(noise(round(duration_s * RATE_HZ)), source.vector())
    soundfile.write(folder / "field.flac", field.T, RATE_HZ, subtype="PCM_24")
    return record_of(folder)


def record_of(folder: Path, **facts: object) -> Record:
    files = {"panorama": reference(folder / "panorama.mp4"), "foa": reference(folder / "field.flac")}
    return Record("r", "r", files, {"licence": "CC0-1.0", "duration_s": 4.0, **facts})


def built(folder: Path, record: Record, stage: str, **settings: object) -> tuple[Record, ...]:
    """Clips that a stage makes of a recording."""
    outcome = outcome_of(folder, record, stage, **settings)
    assert isinstance(outcome, Passed), outcome
    return outcome.records


def outcome_of(folder: Path, record: Record, stage: str, **settings: object) -> Outcome:
    return load_stage(stage, settings).run(record, Workspace(folder, stage))


def frames_of(folder: Path, clip: Record) -> np.ndarray:
    video = read_video(folder / clip.file("view").path)
    return video.frames_at(video.frame_times_s(), crop=None)


def sound_of(folder: Path, clip: Record, role: str) -> np.ndarray:
    return soundfile.read(folder / clip.file(role).path, dtype="float32", always_2d=True)[0].T
