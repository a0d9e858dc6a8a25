"""The recipes of the tiny models, changed in their data folder only, train from the shards of a built set."""

import json
import math
from pathlib import Path

import pytest
import torch

from spatialfoley.codecs.tiny import TinyCodec
from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.runner import build
from spatialfoley.dataset.world_cache import WorldCache, WorldCacheSettings
from spatialfoley.dataset.world_latents import WorldLatentsSettings, world_latents
from spatialfoley.dataset.world_tokens import WorldTokensSettings
from spatialfoley.settings import from_mapping
from spatialfoley.training.loop import train
from spatialfoley.training.settings import read_recipe
from spatialfoley.training.tasks import make_task
from spatialfoley.world import ClipFormat, make_scene, write_clip

from .test_tiny_tasks import RECIPES, SMALL_MODEL, small

CLIPS = 4
ORDER = (
    ("tiny_codec", ("objective.resolutions_per_step=1",)),
    ("tiny_features", ("objective.crop_frames=16",)),
)


@pytest.fixture(scope="module")
def factory_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scenes of two seconds, as `small` renders them, in two shards of unequal size."""
    root = tmp_path_factory.mktemp("factory") / "cache"
    document = {
        "output": str(root),
        "source": {"kind": "world", "recordings": CLIPS, "duration_s": 2.0, "camera": None, "height_px": 64},
        "stages": [{"stage": "tiny_arrays", "material": "rendered", "duration_s": 2.0}],
        "splits": {"valid": 0.0, "test": 0.0},
        "shards": {"recordings": 3},
        "workers": 1,
    }
    build(from_mapping(BuildConfig, document, "test"))
    return root


def trained(root: Path, cache: Path, last: str = "tiny_visage") -> dict[str, list[dict[str, float]]]:
    """Figures of every run, one after the other as a person would start them."""
    figures = {}
    tokens = (f"data.folder={root / 'tokens'}",)
    parts = tuple(f"data.world.{part}={root / f'tiny_{part}'}" for part in ("codec", "features"))
    for name, more in (*ORDER, ("tiny_visage", (*tokens, *parts))):
        where = "data.world.cache" if name == "tiny_visage" else "data"
        changes = small(root, name, *more, f"{where}.folder={cache}")
        settings = read_recipe(RECIPES / f"{name}.yaml", changes)
        train(make_task(settings), settings)
        lines = (root / name / "log.jsonl").read_text().splitlines()
        figures[name] = [json.loads(line) for line in lines]
        if name == last:
            break
    return figures


@pytest.fixture(scope="module")
def folder_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings without truth: panoramas and fields in a folder, cut into three clips of two seconds."""
    folder = tmp_path_factory.mktemp("recordings")
    for seed in (3, 5):
        write_clip(
            make_scene(seed, duration_s=4.5), folder, f"r{seed}", ClipFormat("panorama", 64, 20.0, 16000)
        )
        (folder / f"r{seed}.json").write_text('{"title": "a recording", "licence": "CC0-1.0"}')
    cut = {"stage": "ytambigen_clips", "clip_s": 2.0, "hop_s": 2.0, "size_px": 56, "frame_rate_hz": 20.0}
    document = {
        "output": str(folder / "set"),
        "source": {"kind": "folder", "path": str(folder)},
        "stages": [
            {"stage": "take_foa"},
            {**cut, "rate_hz": 16000, "frames": "npy"},
            {"stage": "tiny_arrays", "duration_s": 2.0},
        ],
        "splits": {"valid": 0.0, "test": 0.0},
        "workers": 1,
    }
    report = build(from_mapping(BuildConfig, document, "test"))
    assert report.clips == {"train": 4}
    return folder / "set"


def test_recordings_without_truth_train_the_same_recipes(folder_set: Path, tmp_path: Path) -> None:
    """One class, that something sounds, instead of the world's nine; all three recipes, one after the other."""
    assert WorldCache(folder_set).take("level", 0).shape == (1, 120)
    figures = trained(tmp_path, folder_set)
    for name in SMALL_MODEL:
        assert all(math.isfinite(value) for value in figures[name][0].values())
    assert figures["tiny_features"][0]["median_direction_error_deg"] > 0, "something sounds in view"


def test_models_that_read_words_refuse_recordings_without_them(folder_set: Path, tmp_path: Path) -> None:
    world = WorldTokensSettings(
        WorldCacheSettings(str(folder_set), 50, duration_s=2.0), "no codec", "no features"
    )
    with pytest.raises(
        ValueError, match="tells of 1 class of things, but the tiny flow models read words for 9"
    ):
        world_latents(WorldLatentsSettings(str(tmp_path / "tokens"), world), tmp_path / "latents")


def test_shards_of_the_factory_train_as_the_rendered_world_does(factory_set: Path, tmp_path: Path) -> None:
    """The same clips, so the same figures to the last digit and the same codec."""
    ours = trained(tmp_path / "factory", factory_set, last="tiny_features")
    theirs = trained(tmp_path / "world", tmp_path / "world-cache", last="tiny_features")
    assert not (tmp_path / "world-cache" / "shards.jsonl").exists()
    for name in ("tiny_codec", "tiny_features"):
        (one,), (other,) = ours[name], theirs[name]
        known = {key for key in one if "seconds" not in key and "per_s" not in key and "eta" not in key}
        assert {"step", "loss"} <= known, sorted(one)
        assert {key: one[key] for key in known} == {key: other[key] for key in known}
    codecs = [TinyCodec.load(tmp_path / which / "tiny_codec") for which in ("factory", "world")]
    for first, second in zip(*(codec.state_dict().values() for codec in codecs), strict=True):
        assert torch.equal(first, second)
