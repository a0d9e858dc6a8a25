"""Arrays of a built set: those of the rendered world to the bit, those of its recordings up to what files lose."""

import dataclasses
import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from spatialfoley import world
from spatialfoley.dataset.factory.config import BuildConfig, read_build
from spatialfoley.dataset.factory.lists import read_manifest
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.factory.stage import ItemProblem, Workspace
from spatialfoley.dataset.factory.takedown import take_down
from spatialfoley.dataset.sources.world import WorldSource
from spatialfoley.dataset.stages.tiny_arrays import TinyArrays, directions
from spatialfoley.dataset.world_cache import (
    WorldCache,
    WorldCacheSettings,
    render_world_cache,
)
from spatialfoley.media.audio import resample
from spatialfoley.media.flac import write_flac
from spatialfoley.settings import from_mapping
from spatialfoley.spatial.direction import CameraPose, Direction, unit_vectors
from spatialfoley.spatial.foa import encode, listen_from
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.timeline import frame_times_s

CLIP_S = 1.0
FIRST_SEED = 3
WORLD = {"kind": "world", "first_seed": FIRST_SEED, "duration_s": CLIP_S, "height_px": 224, "rate_hz": 48000}
CUT = {
    "stage": "ytambigen_clips",
    "clip_s": CLIP_S,
    "hop_s": CLIP_S,
    "size_px": 56,
    "frame_rate_hz": 20.0,
    "rate_hz": 16000,
    "frames": "npy",
}


def built(root: Path, recordings: int, stages: list[dict[str, Any]], **source: Any) -> Path:
    document = {
        "output": str(root),
        "source": {**WORLD, "recordings": recordings, **source},
        "stages": stages,
        "splits": {"valid": 0.0, "test": 0.0},
        "shards": {"recordings": 3},
        "workers": 1,
    }
    report = build(from_mapping(BuildConfig, document, "test"))
    assert report.failed == 0, (root / "failed.jsonl").read_text()
    return root


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stage = {"stage": "tiny_arrays", "material": "rendered", "duration_s": CLIP_S}
    return built(tmp_path_factory.mktemp("rendered") / "set", 4, [stage], camera=None)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stages = [{"stage": "take_foa"}, CUT, {"stage": "tiny_arrays", "duration_s": CLIP_S}]
    return built(tmp_path_factory.mktemp("recorded") / "set", 2, stages, duration_s=2 * CLIP_S)


def test_rendered_arrays_are_those_of_the_cache(rendered: Path, tmp_path: Path) -> None:
    settings = WorldCacheSettings(str(tmp_path / "cache"), 4, FIRST_SEED, CLIP_S, shard_clips=2)
    ours, theirs = WorldCache(rendered), render_world_cache(settings)
    assert len(ours) == len(theirs) == 4
    assert [list(ours.clips_of(shard)) for shard in range(ours.shards)] == [[0, 1, 2], [3]]
    for clip in range(4):
        for name in ("frames", "foa", "level", "vectors", "in_view"):
            one, other = ours.take(name, clip), theirs.take(name, clip)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
    assert {line["facts"]["arrays_truth"] for line in read_manifest(rendered)} == {"scene"}


def test_a_built_set_is_opened_as_a_cache(rendered: Path) -> None:
    settings = WorldCacheSettings(str(rendered), 50, duration_s=CLIP_S)
    assert len(render_world_cache(settings)) == 4
    with pytest.raises(
        ValueError, match=r"\(20, 56, 56, 3\).*but these settings ask for .*\(20, 64, 64, 3\)"
    ):
        render_world_cache(dataclasses.replace(settings, size_px=64))


def test_recorded_arrays_are_what_the_camera_sees_and_hears(recorded: Path) -> None:
    """Beside the scene rendered for the clip's own camera; a lossy panorama lies between the pictures."""
    cache, dataset = WorldCache(recorded), BuiltSet(recorded)
    assert len(cache) == len(dataset)
    for clip in range(len(cache)):
        facts = dataset[clip].record.facts
        looks = CameraPose.facing(Direction(facts["azimuth_deg"], facts["elevation_deg"]))
        scene = dataclasses.replace(world.make_scene(**facts["scene"]), camera=CameraTrajectory.static(looks))
        start_s = facts["start_s"]
        times_s = start_s + frame_times_s(CLIP_S, 20)
        truth = world.truth_at(scene, times_s)
        for source, name in enumerate(truth.class_names):
            row = world.CLASSES.index(name)
            assert np.array_equal(cache.take("in_view", clip)[row], truth.in_view[source])
            assert np.allclose(cache.take("vectors", clip)[row], truth.camera_vectors[source], atol=1e-3)
        pictures = world.render_view(scene, times_s, size_px=56).astype(float)
        assert np.abs(cache.take("frames", clip) - pictures).mean() < 6.0
        heard = listen_from(SpatialAudio(world.render_foa(scene, 48000), 48000, "foa"), looks)
        first = round(start_s * 16000)
        field = resample(heard.samples, 48000, 16000)[:, first : first + 16000]
        inner = slice(200, -200)  # resampling a stretch and the whole differ at the ends
        error = cache.take("foa", clip)[:, inner] / 32767 - field[:, inner]
        assert np.sqrt(np.mean(error**2)) < 1e-3 * np.sqrt(np.mean(field**2)) + 2e-5


def test_what_a_sound_tells_by_itself() -> None:
    """One plane wave comes from where it comes; noise from everywhere has no direction."""
    rng = np.random.default_rng(0)
    vector = unit_vectors(30.0, 20.0)
    times_s = frame_times_s(1.0, 20)
    vectors, direct = directions(encode(rng.normal(size=16000) * 0.1, vector), times_s, 16000)
    assert np.allclose(vectors, vector, atol=1e-3)
    assert np.allclose(direct, 1.0, atol=1e-3)
    diffuse = rng.normal(size=(4, 16000)) * np.array([1, 3**-0.5, 3**-0.5, 3**-0.5])[:, None]
    assert directions(diffuse, times_s, 16000)[1].max() < 0.5


def test_a_recording_without_truth_has_one_class(tmp_path: Path) -> None:
    """A plane wave in view: what is told of the sound is where it is; a quiet one is rejected with its level."""
    space = Workspace(tmp_path, "00-test")
    stage = TinyArrays(duration_s=CLIP_S)
    field = encode(np.random.default_rng(0).normal(size=16000) * 0.05, unit_vectors(40.0, 0.0))
    frames = np.zeros((20, 56, 56, 3), np.uint8)
    record = made_clip(space, frames, field.astype(np.float32), azimuth_deg=10.0)
    (clip,) = stage.run(record, space).records  # type: ignore[union-attr]
    arrays = {role: np.load(space.path(ref)) for role, ref in clip.files.items()}
    assert arrays["tiny-level"].shape == (1, 60)
    assert np.allclose(arrays["tiny-vectors"][0], unit_vectors(30.0, 0.0), atol=2e-3)
    assert arrays["tiny-in_view"].all()
    assert np.allclose(arrays["tiny-level"], (20 * np.log10(0.05) + 60) / 60, atol=0.02)
    assert arrays["tiny-foa"].dtype == np.int16
    assert clip.facts["arrays_truth"] == "sound"
    behind = made_clip(space, frames, field.astype(np.float32), azimuth_deg=-120.0)
    (clip,) = stage.run(behind, space).records  # type: ignore[union-attr]
    assert not np.load(space.path(clip.files["tiny-in_view"])).any()
    outcome = stage.run(made_clip(space, frames, field.astype(np.float32) * 1e-3, azimuth_deg=0.0), space)
    assert (outcome.reason, round(outcome.numbers["level_db"])) == ("silent", -86)  # type: ignore[union-attr]


def made_clip(space: Workspace, frames: np.ndarray, field: np.ndarray, azimuth_deg: float) -> Record:
    files = {}
    with space.new_file("c", "frames", ".npy") as new:
        np.save(new.path, frames)
    files["frames"] = new.ref
    with space.new_file("c", "foa", ".flac") as new:
        write_flac(new.path, SpatialAudio(field, 16000, "foa"))
    files["foa"] = new.ref
    facts = {"azimuth_deg": azimuth_deg, "elevation_deg": 0.0, "field_frame": "world", "start_s": 0.0}
    return Record("c", "c", files, facts)


def test_what_is_taken_down_is_trained_on_no_more(rendered: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(rendered, tmp_path / "copy"))
    gone = BuiltSet(copy)[1].record.recording
    expected = np.array(WorldCache(copy).take("foa", 2))
    take_down(copy, [gone])
    cache = WorldCache(copy)
    assert len(cache) == 3
    assert np.array_equal(cache.take("foa", 1), expected)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    space = Workspace(tmp_path, "00-test")
    bare = Record("r", "r", facts={})
    with pytest.raises(ItemProblem, match="is no scene of the world; set material: recorded"):
        TinyArrays(material="rendered").run(bare, space)
    with pytest.raises(ItemProblem, match="has no camera; cut it with ytambigen_clips first"):
        TinyArrays().run(bare, space)
    clip = made_clip(space, np.zeros((4, 56, 56, 3), np.uint8), np.zeros((4, 16000), np.float32), 0.0)
    with pytest.raises(
        ItemProblem, match=r"have shape \(4, 56, 56, 3\), not \(20, 56, 56, 3\); cut clips with"
    ):
        TinyArrays(duration_s=CLIP_S).run(clip, space)
    with pytest.raises(ItemProblem, match="has no frames; cut it with ytambigen_clips and frames: npy first"):
        TinyArrays(duration_s=CLIP_S).run(clip.without_files("frames"), space)
    with pytest.raises(ValueError, match="material is 'drawn'; it must be one of recorded, rendered"):
        TinyArrays(material="drawn")


def test_the_shipped_recipe_asks_for_what_the_tiny_recipes_render() -> None:
    recipes = Path(__file__).parents[3] / "recipes"
    config = read_build(recipes / "dataset_tiny.yaml")
    (spec,) = config.specs()[1:]
    stage, source = spec.load(), config.load_source()
    assert isinstance(stage, TinyArrays)
    assert isinstance(source, WorldSource)
    tiny = yaml.safe_load((recipes / "tiny_codec.yaml").read_text("utf-8"))["data"]
    cache = WorldCacheSettings(**tiny)
    assert (source.recordings, source.first_seed, source.duration_s) == (
        cache.clips,
        cache.first_seed,
        cache.duration_s,
    )
    for name in ("duration_s", "frame_rate_hz", "size_px", "rate_hz"):
        assert getattr(stage, name) == getattr(cache, name)
    assert (source.camera, source.scene, stage.material) == (None, None, "rendered")
    assert {config.splits.of(record) for record in itertools.islice(source.records(), 50)} == {"train"}
