"""Rendered clips of the synthetic world on disk: shards of arrays that training maps into memory.

Everything is in the camera's frame: the sound as heard from the camera, the truth relative to its view. A shard
is a folder, written under a temporary name and renamed, so a killed run leaves only whole shards and goes on.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley import world
from spatialfoley.dataset.built_arrays import BuiltArrays, is_built
from spatialfoley.timeline import frame_times_s, sample_count

SETTINGS_FILE = "settings.json"
DEFAULT_SHARD_CLIPS = 50
"""Also that of caches whose settings do not say."""

LEVEL_FLOOR_DB = -60.0
LEVELS_PER_FRAME = 3
"""The truth's level is finer than the picture's frames, so that the encoder learns when within a frame."""


@dataclasses.dataclass(frozen=True)
class WorldCacheSettings:
    """What to render: `clips` scenes with the seeds first_seed, first_seed + 1, ...

    Where `folder` is that of a built data set, its clips are taken; `clips`, `first_seed` and `shard_clips` say
    nothing then.
    """

    folder: str
    clips: int
    first_seed: int = 0
    duration_s: float = 5.0
    frame_rate_hz: int = 20
    size_px: int = 56
    rate_hz: int = 16000
    workers: int = 1
    shard_clips: int = DEFAULT_SHARD_CLIPS

    def __post_init__(self) -> None:
        for name in ("clips", "shard_clips", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.clips % self.shard_clips:
            raise ValueError(
                f"clips is {self.clips}; it must be a multiple of shard_clips, {self.shard_clips}"
            )


class WorldCache:
    """The rendered clips, each array [clips, ...] seen as one through `take`; or those of a built data set.

    Args:
        folder: Of rendered shards, or of a data set that was built with the stage ``tiny_arrays``: then the clips
            of its split "train", all of them.
    """

    def __init__(self, folder: Path) -> None:
        self._store: _RenderedShards | BuiltArrays = (
            BuiltArrays(folder) if is_built(folder) else _RenderedShards(folder)
        )

    def __len__(self) -> int:
        return len(self._store)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self._store.shards

    def clips_of(self, shard: int) -> range:
        """Numbers of the clips of a shard."""
        return self._store.clips_of(shard)

    def take(self, name: str, clip: int) -> np.ndarray:
        """Array `name` of a clip: frames [T, H, W, 3], foa [4, N] int16, level [classes, 3T], vectors, in_view."""
        return self._store.take(name, clip)


class _RenderedShards:
    """A folder of rendered shards."""

    def __init__(self, folder: Path) -> None:
        self._shards = sorted(path for path in folder.glob("shard-*") if path.is_dir())
        if not self._shards:
            raise ValueError(f"{folder} holds no rendered shards; render them with render_world_cache")
        self._shard_clips = int(_stored_settings(folder)["shard_clips"])
        self._arrays: dict[tuple[int, str], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._shards) * self._shard_clips

    @property
    def shards(self) -> int:
        return len(self._shards)

    def clips_of(self, shard: int) -> range:
        return range(shard * self._shard_clips, (shard + 1) * self._shard_clips)

    def take(self, name: str, clip: int) -> np.ndarray:
        shard, row = divmod(clip, self._shard_clips)
        key = (shard, name)
        if key not in self._arrays:
            self._arrays[key] = np.load(self._shards[shard] / f"{name}.npy", mmap_mode="r")
        array: np.ndarray = self._arrays[key][row]
        return array


def render_world_cache(
    settings: WorldCacheSettings, progress: Callable[[int, int], None] | None = None
) -> WorldCache:
    """Render the missing shards and open the cache; a built data set is opened as it is, whatever `clips` says.

    Raises:
        ValueError: The folder holds a cache of other settings, or a data set whose arrays have other shapes.
    """
    folder = Path(settings.folder)
    if is_built(folder):
        return _opened(folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    _check_same_settings(folder, settings)
    total = settings.clips // settings.shard_clips
    missing = [shard for shard in range(total) if not shard_folder(folder, shard).is_dir()]
    jobs = [(settings, shard) for shard in missing]
    done = total - len(missing)
    if settings.workers > 1 and len(jobs) > 1:
        with multiprocessing.get_context("spawn").Pool(settings.workers) as pool:
            for _ in pool.imap_unordered(_render_shard, jobs):
                done += 1
                if progress is not None:
                    progress(done * settings.shard_clips, settings.clips)
    else:
        for job in jobs:
            _render_shard(job)
            done += 1
            if progress is not None:
                progress(done * settings.shard_clips, settings.clips)
    return WorldCache(folder)


def _opened(folder: Path, settings: WorldCacheSettings) -> WorldCache:
    """A built data set whose clips have the length, rates and size of the settings."""
    cache = WorldCache(folder)
    frames = sample_count(settings.duration_s, settings.frame_rate_hz)
    wanted = {
        "frames": (frames, settings.size_px, settings.size_px, 3),
        "foa": (4, sample_count(settings.duration_s, settings.rate_hz)),
    }
    found = {name: cache.take(name, 0).shape for name in wanted}
    if found != wanted:
        raise ValueError(
            f"{folder} holds clips of shapes {found}, but these settings ask for {wanted}; set duration_s, "
            "frame_rate_hz, size_px and rate_hz as its stage tiny_arrays has them"
        )
    return cache


def shard_folder(folder: Path, shard: int) -> Path:
    """Where a shard lies."""
    return folder / f"shard-{shard:05d}"


def _check_same_settings(folder: Path, settings: WorldCacheSettings) -> None:
    described = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in ("folder", "clips", "workers")
    }
    path = folder / SETTINGS_FILE
    if path.is_file():
        found = _stored_settings(folder)
        if found != described:
            raise ValueError(f"{folder} was rendered with {found}, not {described}; choose another folder")
    else:
        path.write_text(json.dumps(described), encoding="utf-8")


def _stored_settings(folder: Path) -> dict[str, Any]:
    """What a cache was rendered with; the size of its shards is filled in where it is not told."""
    path = folder / SETTINGS_FILE
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {"shard_clips": DEFAULT_SHARD_CLIPS, **stored}


def _render_shard(job: tuple[WorldCacheSettings, int]) -> None:
    settings, shard = job
    first = settings.first_seed + shard * settings.shard_clips
    clips = [render_training_clip(first + row, settings) for row in range(settings.shard_clips)]
    target = shard_folder(Path(settings.folder), shard)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name in clips[0]:
        np.save(temporary / f"{name}.npy", np.stack([clip[name] for clip in clips]))
    temporary.rename(target)


def render_training_clip(seed: int, settings: WorldCacheSettings) -> dict[str, np.ndarray]:
    """One clip and its truth per class (the louder source where two share a class).

    Returns:
        frames uint8 [T, H, W, 3]; foa int16 [4, N] in the camera's frame; level float16 [classes, 3 T] in [0, 1],
        0 at LEVEL_FLOOR_DB or below; vectors float16 [classes, T, 3] in the camera's frame; in_view bool
        [classes, T].
    """
    scene = world.make_scene(seed, duration_s=settings.duration_s)
    times_s = frame_times_s(settings.duration_s, settings.frame_rate_hz)
    fine_s = frame_times_s(settings.duration_s, settings.frame_rate_hz * LEVELS_PER_FRAME)
    foa = world.render_foa_camera(scene, settings.rate_hz)
    return {
        "frames": world.render_view(scene, times_s, size_px=settings.size_px),
        "foa": as_int16(foa),
        **truth_arrays(world.truth_at(scene, times_s), world.truth_at(scene, fine_s)),
    }


def truth_arrays(truth: world.SceneTruth, fine: world.SceneTruth) -> dict[str, np.ndarray]:
    """level, vectors and in_view of a clip from the truth at its T frames and at LEVELS_PER_FRAME T moments."""
    classes, T = len(world.CLASSES), len(truth.times_s)
    level = np.zeros((classes, len(fine.times_s)), np.float16)
    vectors = np.zeros((classes, T, 3), np.float16)
    in_view = np.zeros((classes, T), bool)
    for source, class_name in enumerate(truth.class_names):
        index = world.CLASSES.index(class_name)
        scaled = scaled_level(fine.level_db[source])
        if scaled.sum() >= level[index].sum():
            level[index] = scaled
            vectors[index] = truth.camera_vectors[source]
            in_view[index] = truth.in_view[source]
    return {"level": level, "vectors": vectors, "in_view": in_view}


def scaled_level(level_db: np.ndarray) -> np.ndarray:
    """Levels re full scale as numbers in [0, 1], 0 at LEVEL_FLOOR_DB or below."""
    scaled: np.ndarray = np.clip((level_db - LEVEL_FLOOR_DB) / -LEVEL_FLOOR_DB, 0, 1)
    return scaled


def as_int16(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as 16 bits, clipped."""
    return np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
