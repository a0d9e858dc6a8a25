"""A small built set: clips with a view, a field and two ears, in shards as a build writes them."""

from pathlib import Path

import numpy as np

from spatialfoley.dataset.factory.records import Record, clip_id
from spatialfoley.dataset.factory.shard_list import listed, write_shard_list
from spatialfoley.dataset.factory.shards import write_shard
from spatialfoley.dataset.factory.stage import Workspace
from spatialfoley.media.flac import write_flac
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio

RATE_HZ = 16000
CLIP_S = 0.8
CAMERA = Direction(40.0, -10.0)
SOURCE = Direction(60.0, 20.0)


def write_clip(root: Path, recording: str, start_s: float, **facts: object) -> Record:
    """Files and record of a clip; noise at a known place, another for every clip."""
    name = clip_id(recording, start_s)
    rng = np.random.default_rng(list(name.encode()))
    space, files = Workspace(root, "clips"), {}
    noise = rng.standard_normal(round(CLIP_S * RATE_HZ)) * 0.1
    field = SpatialAudio(encode(noise, SOURCE.vector()), RATE_HZ, "foa")
    ears = SpatialAudio(np.stack([noise, 0.5 * np.roll(noise, 7)]).astype(np.float32), RATE_HZ, "stereo")
    for role, sound in (("foa", field), ("binaural", ears)):
        with space.new_file(name, role, ".flac") as new:
            write_flac(new.path, sound)
        files[role] = new.ref
    with space.new_file(name, "view", ".mp4") as new:
        write_frames(new.path, iter(rng.integers(0, 255, (round(CLIP_S * 25), 48, 48, 3), np.uint8)), 25.0)
    files["view"] = new.ref
    known = {
        "duration_s": CLIP_S,
        "start_s": start_s,
        "field_frame": "world",
        "azimuth_deg": CAMERA.azimuth_deg,
        "elevation_deg": CAMERA.elevation_deg,
    }
    return Record(name, recording, files, {**known, **facts})


def write_set(root: Path, clips: dict[int, list[Record]]) -> Path:
    """Shards of training by number."""
    rows = [
        write_shard(str(root), number, "train", [clip.to_json() for clip in records])
        for number, records in sorted(clips.items())
    ]
    write_shard_list(root, [listed(row) for row in rows])
    return root


def small_set(root: Path) -> Path:
    """Two shards of two clips; one clip has a caption."""
    root.mkdir(parents=True, exist_ok=True)
    first = [write_clip(root, "a", 0.0, caption="a dog barks"), write_clip(root, "a", CLIP_S)]
    return write_set(root, {0: first, 1: [write_clip(root, "b", 0.0), write_clip(root, "b", CLIP_S)]})
