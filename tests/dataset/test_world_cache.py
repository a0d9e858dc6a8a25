"""Rendered shards: complete or absent, of one kind, and true in the camera's frame."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spatialfoley import world
from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.dataset.world_cache import (
    LEVELS_PER_FRAME,
    WorldCache,
    WorldCacheSettings,
    render_training_clip,
    render_world_cache,
    shard_folder,
)
from spatialfoley.spatial.direction import angle_between_deg


def test_clips_are_those_of_their_seeds(small_world: WorldCacheSettings) -> None:
    told: list[tuple[int, int]] = []
    cache = render_world_cache(small_world, lambda done, total: told.append((done, total)))
    assert len(cache) == 4
    assert told == [] or told[-1] == (4, 4)
    third = render_training_clip(small_world.first_seed + 2, small_world)
    for name, array in third.items():
        stored = cache.take(name, 2)
        assert stored.dtype == array.dtype
        assert np.array_equal(stored, array)
    classes = len(world.CLASSES)
    shapes = {name: array.shape for name, array in third.items()}
    assert shapes == {
        "frames": (20, 56, 56, 3),
        "foa": (4, 16000),
        "level": (classes, 20 * LEVELS_PER_FRAME),
        "vectors": (classes, 20, 3),
        "in_view": (classes, 20),
    }


def test_a_lost_shard_is_rendered_again_and_the_others_are_left(tmp_path: Path) -> None:
    settings = WorldCacheSettings(
        str(tmp_path / "c"), clips=4, duration_s=0.5, frame_rate_hz=4, size_px=16, shard_clips=2
    )
    render_world_cache(settings)
    kept = shard_folder(tmp_path / "c", 0) / "foa.npy"
    lost = shard_folder(tmp_path / "c", 1)
    before, written_ns = np.load(lost / "foa.npy"), kept.stat().st_mtime_ns
    for file in lost.iterdir():
        file.unlink()
    lost.rmdir()
    cache = render_world_cache(settings)
    assert np.array_equal(cache.take("foa", 3), before[1])
    assert kept.stat().st_mtime_ns == written_ns


def test_more_clips_extend_a_cache(tmp_path: Path) -> None:
    settings = WorldCacheSettings(
        str(tmp_path / "c"), clips=1, duration_s=0.5, frame_rate_hz=4, size_px=16, shard_clips=1
    )
    assert len(render_world_cache(settings)) == 1
    assert len(render_world_cache(replace(settings, clips=2))) == 2


def test_other_settings_are_refused(small_world: WorldCacheSettings) -> None:
    render_world_cache(small_world)
    for change in ({"size_px": 32}, {"first_seed": 8}, {"shard_clips": 4}):
        with pytest.raises(ValueError, match=r"was rendered with .*; choose another folder"):
            render_world_cache(replace(small_world, **change))


def test_a_cache_that_does_not_tell_its_shards_has_fifty_clips_in_each(tmp_path: Path) -> None:
    settings = WorldCacheSettings(str(tmp_path), clips=50, first_seed=3)
    stored = {"first_seed": 3, "duration_s": 5.0, "frame_rate_hz": 20, "size_px": 56, "rate_hz": 16000}
    (tmp_path / "settings.json").write_text(json.dumps(stored))
    shard = shard_folder(tmp_path, 0)
    shard.mkdir()
    np.save(shard / "level.npy", np.arange(50))
    cache = render_world_cache(settings)
    assert len(cache) == 50
    assert cache.take("level", 49) == 49


def test_impossible_numbers_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="clips is 70; it must be a multiple of shard_clips, 50"):
        WorldCacheSettings(str(tmp_path), clips=70)
    with pytest.raises(ValueError, match="shard_clips is 0; it must be at least 1"):
        WorldCacheSettings(str(tmp_path), clips=4, shard_clips=0)
    with pytest.raises(ValueError, match="holds no rendered shards; render them"):
        WorldCache(tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_the_field_comes_from_where_the_truth_says(seed: int) -> None:
    """In the camera's frame, also of a turning camera: the truth's direction is that of the sound."""
    settings = WorldCacheSettings("unused", clips=50)
    made = None
    for candidate in range(seed * 100, seed * 100 + 100):
        if len(world.make_scene(candidate, duration_s=settings.duration_s).sources) == 1:
            made = render_training_clip(candidate, settings)
            break
    assert made is not None
    (index,) = np.flatnonzero(made["level"].sum(-1))
    field = made["foa"].astype(np.float64)[:, : 100 * 800].reshape(4, 100, 800)
    loud = np.flatnonzero((field[W] ** 2).mean(-1) > 0.1 * (field[W] ** 2).mean(-1).max())
    intensity = np.stack([(field[W] * field[axis]).sum(-1) for axis in (X, Y, Z)], axis=-1)
    # A window of 50 ms starts with a frame of the picture: compare it with its two ends.
    truth = made["vectors"][index].astype(np.float64)
    middle = truth + np.concatenate([truth[1:], truth[-1:]])
    errors_deg = angle_between_deg(intensity[loud], middle[loud])
    assert np.median(errors_deg) < 2.0
