"""The published recipes: two steps of each at tiny size, the second started from what the first made."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.dataset.clip_tensors import ClipArrays, write_clip_tensors
from spatialfoley.generators.visage.checkpoint import load_visage
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.training.loop import parameter_groups, train
from spatialfoley.training.settings import TrainingSettings, read_recipe
from spatialfoley.training.visage_task import VisageTask
from spatialfoley.weights import load_state_dict

RECIPES = Path(__file__).parents[2] / "recipes"
LEVELS, VOCABULARY, WIDTH, CODEC_FRAMES, VIDEO_FRAMES = 3, 64, 16, 12, 3
SMALL = [
    "steps=2",
    "batch_size=2",
    "model.d_model=32",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.encoder_attention_heads=2",
    "model.decoder_attention_heads=2",
    "model.encoder_ffn_dim=48",
    "model.decoder_ffn_dim=48",
    f"model.num_rvq={LEVELS}",
    f"model.dac_vocab_size={VOCABULARY}",
    f"model.dac_pad_token_id={VOCABULARY}",
    f"model.d_clip={WIDTH}",
]


@pytest.fixture(autouse=True)
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps the precision of its first run for the whole process, which a test run is not."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def random_clips(channels: int, variants: int) -> Iterator[ClipArrays]:
    rng = np.random.default_rng(0)
    for _ in range(4):
        yield ClipArrays(
            codes=rng.integers(0, VOCABULARY, (variants, CODEC_FRAMES, channels * LEVELS)),
            embedding=rng.standard_normal((variants, VIDEO_FRAMES, WIDTH)),
            energy_map=rng.random((variants, VIDEO_FRAMES, 49)) / 49,
            direction=np.tile([0.0, 0.0, 1.0], (variants, 1)),
        )


def small_recipe(name: str, folder: Path, channels: int, variants: int, *more: str) -> TrainingSettings:
    write_clip_tensors(folder / f"{name}-clips", random_clips(channels, variants), 4)
    places = [f"output={folder / name}", f"data.folder={folder / f'{name}-clips'}"]
    return read_recipe(RECIPES / f"{name}.yaml", [*SMALL, *places, *more])


def per_codebook(weights: dict[str, torch.Tensor], table: str, codebook: int) -> torch.Tensor:
    return weights[f"{table}.{codebook}.weight"]


def test_mono_then_ambisonics_in_two_steps_each(tmp_path: Path) -> None:
    settings = small_recipe("visage_vggsound", tmp_path, channels=1, variants=1)
    task = VisageTask(settings)
    assert task.visage.layout.row_count(CODEC_FRAMES) == 2 * CODEC_FRAMES
    mono_folder = train(task, settings)
    mono = load_visage(mono_folder)
    assert mono.config.num_channels == 1

    settings = small_recipe(
        "visage_ytambigen", tmp_path, 4, 2, f"initialize_from={mono_folder}", "data.variant_probability=1.0"
    )
    task = VisageTask(settings)
    started, w_of_mono = task.visage.state_dict(), load_state_dict(mono_folder)
    for table in ("model.decoder.embed_dac", "dac_heads"):
        for level in range(LEVELS):
            w = per_codebook(w_of_mono, table, level).float()
            assert w.abs().sum() > 0
            for channel in range(4):
                assert torch.equal(per_codebook(started, table, channel * LEVELS + level), w)
    before = per_codebook(started, "dac_heads", LEVELS).clone()
    ambisonic = load_visage(train(task, settings))
    assert ambisonic.config.codebooks == 4 * LEVELS
    assert not torch.equal(ambisonic.dac_heads[LEVELS].weight.float(), before), "two steps must change it"
    assert all(torch.isfinite(parameter).all() for parameter in ambisonic.parameters())


@pytest.mark.parametrize(
    ("name", "clips", "epochs", "channels"),
    [("visage_vggsound", 183_730, 50, 1), ("visage_ytambigen", 81_594, 80, 4)],
)
def test_the_recipes_say_what_was_published(name: str, clips: int, epochs: int, channels: int) -> None:
    settings = read_recipe(RECIPES / f"{name}.yaml")
    steps_of_an_epoch = -(-clips // settings.batch_size)
    assert settings.steps == epochs * steps_of_an_epoch
    assert settings.save_every_steps == steps_of_an_epoch
    assert VisageConfig.from_dict(settings.model) == VisageConfig(num_channels=channels)
    assert settings.optimizer.warmup_steps == (4000 if channels == 1 else 0)
    assert settings.seed == 1115


def test_the_published_weight_decay_goes_by_names(tmp_path: Path) -> None:
    settings = small_recipe("visage_vggsound", tmp_path, channels=1, variants=1)
    model = VisageTask(settings).model
    names = {id(parameter): name for name, parameter in model.named_parameters()}

    def split(rule: str) -> tuple[set[str], set[str]]:
        decayed, spared = parameter_groups(model, 0.01, rule)  # type: ignore[arg-type]
        assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0.0)
        return tuple({names[id(p)] for p in group["params"]} for group in (decayed, spared))  # type: ignore[return-value]

    published, published_spared = split("published")
    matrices, matrices_spared = split("matrices")
    assert published | published_spared == matrices | matrices_spared == set(names.values())
    embedding_norm = "visage.model.decoder.layernorm_embedding.weight"
    layer_norm = "visage.model.decoder.layers.0.final_layer_norm.weight"
    assert embedding_norm in published
    assert embedding_norm in matrices_spared
    assert layer_norm in published_spared
    assert layer_norm in matrices_spared
    assert "visage.dac_heads.0.weight" in published & matrices
    assert "visage.dac_heads.0.bias" in published_spared & matrices_spared
    assert "visage.null_embedding" in published - matrices
