"""The recipes of the tiny models, changed in their data folder only, train from the shards of a built set."""

import json
from pathlib import Path

import pytest
import torch

from spatialfoley.codecs.tiny import TinyCodec
from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.runner import build
from spatialfoley.settings import from_mapping
from spatialfoley.training.loop import train
from spatialfoley.training.settings import read_recipe
from spatialfoley.training.tasks import make_task

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


def trained(root: Path, cache: Path) -> dict[str, list[dict[str, float]]]:
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
    return figures


def test_shards_of_the_factory_train_as_the_rendered_world_does(factory_set: Path, tmp_path: Path) -> None:
    """The same clips, so the same figures to the last digit and the same codec."""
    ours = trained(tmp_path / "factory", factory_set)
    theirs = trained(tmp_path / "world", tmp_path / "world-cache")
    assert not (tmp_path / "world-cache" / "shards.jsonl").exists()
    for name in SMALL_MODEL:
        (one,), (other,) = ours[name], theirs[name]
        known = {key for key in one if "seconds" not in key and "per_s" not in key and "eta" not in key}
        assert {"step", "loss"} <= known, sorted(one)
        assert {key: one[key] for key in known} == {key: other[key] for key in known}
    codecs = [TinyCodec.load(tmp_path / which / "tiny_codec") for which in ("factory", "world")]
    for first, second in zip(*(codec.state_dict().values() for codec in codecs), strict=True):
        assert torch.equal(first, second)
