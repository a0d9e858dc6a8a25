"""The runs of ViSAGe-SC's ablation, two steps of each kind of token, up to models that pipelines load."""

import dataclasses
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley.codecs.plain import PlainCodec, PlainCodecConfig
from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors, write_clip_tensors
from spatialfoley.dataset.world_cache import WorldCacheSettings, render_world_cache
from spatialfoley.features.tiny import TinyEncoder, TinyFeaturesConfig
from spatialfoley.generators.visage.checkpoint import load_visage
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.pipeline import load_pipeline
from spatialfoley.training.settings import RecipeError, read_recipe
from spatialfoley.training.visage_task import VisageTask

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "visage_sc_ablation_train.py"))
WIDTH = 16


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the ablation needs, with random weights and four clips of a second."""
    root = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    plain = PlainCodecConfig(width=16, blocks=1, latent_dim=4)
    signed = TinyCodecConfig(width=16, blocks=1, latent_dim=4, shape_levels=1, vocabulary_size=2048)
    features = TinyFeaturesConfig(embedding_dim=WIDTH, channels=(4, 4, 4, 4), patch_dim=4)
    write_part(root / "plain-codec-rvq", "codec", PlainCodec(plain), dataclasses.asdict(plain))
    write_part(root / "tiny-codec-sc", "codec", TinyCodec(signed), dataclasses.asdict(signed))
    write_part(root / "tiny-features", "features", TinyEncoder(features), dataclasses.asdict(features))
    render_world_cache(WorldCacheSettings(str(root / "world-cache"), 4, duration_s=1.0, shard_clips=2))
    rng = np.random.default_rng(0)
    pictures = (
        ClipArrays(
            codes=np.zeros((2, 5, 4)),
            embedding=rng.standard_normal((2, 20, WIDTH)),
            energy_map=rng.random((2, 20, 49)),
            direction=np.zeros((2, 3)),
        )
        for _ in range(4)
    )
    write_clip_tensors(root / "world-tokens", pictures, 4)
    return root


def write_part(folder: Path, name: str, network: torch.nn.Module, settings: dict[str, Any]) -> None:
    folder.mkdir()
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(settings))


def start(runs: Path, label: str) -> None:
    cache = {"clips": 4, "shard_clips": 2, "duration_s": 1.0, "workers": 1}
    model = {
        "d_model": 32,
        "decoder_layers": 1,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "d_clip": WIDTH,
    }
    changes = {"steps": 2, "batch_size": 2, "threads": "null", "data.world_turns.clips": 4}
    changes["data.world_turns.within_deg"] = "null"
    changes |= {f"data.world_turns.cache.{name}": value for name, value in cache.items()}
    changes |= {f"model.{name}": value for name, value in model.items()}
    settings = [f"{name}={value}" for name, value in changes.items()]
    SCRIPT["main"](["--runs", str(runs), "--seeds", "1", "--only", label, "--set", *settings])


@pytest.mark.parametrize(
    ("label", "codebooks", "variants", "pattern"), [("rvq", 16, 1, "residual"), ("signed", 8, 4, "delay")]
)
def test_a_row_is_trained_to_a_model_that_loads_and_then_passed_over(
    runs: Path, label: str, codebooks: int, variants: int, pattern: str
) -> None:
    start(runs, label)
    folder = runs / "sc-ablation" / f"{label}-1"
    figures = json.loads((folder / "run.json").read_text())
    assert (figures["label"], figures["seed"], figures["steps"], figures["resumed_at"]) == (label, 1, 2, 0)
    assert figures["cpu_s"] > 0
    (clips,) = (runs / "sc-ablation").glob(f"clips-{SCRIPT['ROWS'][label].codec}")
    codes = ClipTensors(clips).arrays["codes"]
    assert codes.shape == (4, variants, 50, codebooks)
    config = load_visage(folder / "model").config
    assert (config.pattern, config.field_frame) == (pattern, "world")
    assert load_pipeline(folder / "model", device="cpu").describe()["model"] == f"{label}-1"
    before = (folder / "model.safetensors").stat().st_mtime_ns
    start(runs, label)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    (folder / "run.json").unlink()
    start(runs, label)
    assert json.loads((folder / "run.json").read_text())["resumed_at"] == 2


@pytest.mark.parametrize("label", list(SCRIPT["ROWS"]))
def test_the_settings_of_every_row_fit_each_other(label: str) -> None:
    row = SCRIPT["ROWS"][label]
    changes = SCRIPT["overrides"](row, Path("runs"), Path("out"))
    settings = read_recipe(ROOT / "recipes" / "visage_sc_ablation.yaml", changes)
    config = VisageConfig.from_dict(settings.model)
    assert config.longest_frames * config.frames_per_row == 250, "five seconds fit"
    known = {"rvq": 16, "signed": 8, "signed-single": 8, "signed-rvq": 20, "paired": 16}
    assert config.codebooks == known.get(label, 4)
    assert settings.data["world_turns"]["turns"] == (0 if label in ("rvq", "single", "signed-rvq") else 3)
    assert settings.data["variant_probability"] == (0.5 if label in ("rotated", "signed", "paired") else 0.0)


def test_clips_in_two_kinds_of_axes_are_refused(runs: Path) -> None:
    changes = SCRIPT["overrides"](SCRIPT["ROWS"]["rvq"], runs, runs)
    other = json.dumps({"cache": {"folder": "x", "clips": 50}, "codec": "x", "features": "x"})
    settings = read_recipe(ROOT / "recipes" / "visage_sc_ablation.yaml", [*changes, f"data.world={other}"])
    with pytest.raises(RecipeError, match="data has both world and world_turns; give the one whose axes"):
        VisageTask(settings)
