"""The recipes of tiny-visage, two steps of each at a size for tests, up to a model that pipelines load."""

import json
from pathlib import Path

import pytest
import torch

from spatialfoley.codecs.tiny import GAIN_TOKENS, RATIO_TOKENS, TinyCodec
from spatialfoley.conventions import X, Y, Z
from spatialfoley.features.tiny import TinyFeatures
from spatialfoley.generators.visage.checkpoint import load_visage
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.training.loop import train
from spatialfoley.training.settings import RecipeError, read_recipe
from spatialfoley.training.tasks import make_task
from spatialfoley.training.visage_task import VisageTask

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL_CACHE = ("clips=4", "shard_clips=2", "duration_s=2.0", "workers=1")
SMALL_MODEL = {
    "tiny_codec": ("width=16", "blocks=1", "latent_dim=4", "shape_levels=2", "vocabulary_size=128"),
    "tiny_features": ("embedding_dim=16", "channels=[4,4,4,4]", "patch_dim=4"),
    "tiny_visage": (
        *("d_model=32", "encoder_layers=1", "decoder_layers=1", "encoder_ffn_dim=48", "decoder_ffn_dim=48"),
        *("encoder_attention_heads=2", "decoder_attention_heads=2", "d_clip=16", "num_rvq=3"),
        *("dac_vocab_size=128", "dac_pad_token_id=128", "unfed_codebooks=[3,6,9]"),
    ),
}


def small(root: Path, name: str, *more: str, batch_size: int = 2) -> list[str]:
    """What to change in a recipe so that it runs in a second."""
    where = "data.world.cache" if name == "tiny_visage" else "data"
    cache = [f"{where}.{change}" for change in (f"folder={root / 'cache'}", *SMALL_CACHE)]
    model = [f"model.{change}" for change in SMALL_MODEL[name]]
    return ["steps=2", f"batch_size={batch_size}", f"output={root / name}", *cache, *model, *more]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three runs, one after the other as a person would start them."""
    root = tmp_path_factory.mktemp("runs")
    tokens = (f"data.folder={root / 'tokens'}",)
    parts = tuple(f"data.world.{part}={root / f'tiny_{part}'}" for part in ("codec", "features"))
    for name, more in (
        ("tiny_codec", ("objective.resolutions_per_step=1",)),
        ("tiny_features", ("objective.crop_frames=16",)),
        ("tiny_visage", (*tokens, *parts)),
    ):
        settings = read_recipe(RECIPES / f"{name}.yaml", small(root, name, *more))
        train(make_task(settings), settings)
    return root


@pytest.mark.parametrize("name", list(SMALL_MODEL))
def test_every_run_logs_its_figures(runs: Path, name: str) -> None:
    (line,) = (runs / name / "log.jsonl").read_text().splitlines()
    figures = json.loads(line)
    assert figures["step"] == 2
    expected = {
        "tiny_codec": {"spectral", "waveform", "commitment"},
        "tiny_features": {"visible", "level", "patch", "median_direction_error_deg"},
        "tiny_visage": {"w_first", "w_fine", "yzx_first", "yzx_fine"},
    }
    assert expected[name] <= set(figures)


def test_the_codec_is_loaded(runs: Path) -> None:
    codec = TinyCodec.load(runs / "tiny_codec")
    assert codec.config.width == 16
    codes = codec.encode(torch.randn(1, 4, 3200) * 0.1)
    assert codec.decode(codes).shape == (1, 4, 3200)


def test_the_features_are_loaded(runs: Path) -> None:
    features = TinyFeatures.load(runs / "tiny_features")
    assert features.encoder.config.channels == (4, 4, 4, 4)


def test_the_generator_is_loaded(runs: Path) -> None:
    model = load_visage(runs / "tiny_visage")
    assert model.config.field_frame == "camera"
    assert model.config.aligned_conditions
    assert model.config.codebooks == 12


def test_a_batch_depends_on_its_generator_alone(runs: Path) -> None:
    more = (
        f"data.folder={runs / 'tokens'}",
        *(f"data.world.{p}={runs / f'tiny_{p}'}" for p in ("codec", "features")),
    )
    task = VisageTask(read_recipe(RECIPES / "tiny_visage.yaml", small(runs, "tiny_visage", *more)))
    draw = lambda seed: task.batch(torch.Generator().manual_seed(seed))  # noqa: E731
    (conditions, codes), (again, same) = draw(1), draw(1)
    assert torch.equal(codes, same)
    assert torch.equal(conditions.frames, again.frames)
    assert any(not torch.equal(codes, draw(seed)[1]) for seed in range(2, 6))
    assert int(codes.max()) <= task.config.dac_pad_token_id


def test_clips_of_another_model_are_refused(runs: Path) -> None:
    more = (f"data.folder={runs / 'tokens'}", "model.num_rvq=4", "model.unfed_codebooks=[]")
    with pytest.raises(
        RecipeError, match=r"clip tensors have \{'codebooks': 12.*model is set to \{'codebooks': 16"
    ):
        VisageTask(read_recipe(RECIPES / "tiny_visage.yaml", small(runs, "tiny_visage", *more)))


def test_the_recipe_with_one_shape_level_fits_its_codec() -> None:
    settings = read_recipe(RECIPES / "tiny_visage_sc.yaml")
    config = VisageConfig.from_dict(settings.model)
    assert config.longest_frames == 250, "five seconds"
    assert config.token_ranges == ((0, max(GAIN_TOKENS, RATIO_TOKENS)), (0, config.dac_vocab_size))
    assert config.unfed_codebooks == tuple(config.num_rvq * channel for channel in (Y, Z, X))
    first = read_recipe(RECIPES / "tiny_visage.yaml").data["world"]
    assert settings.data["world"]["features"] == first["features"], "whose pictures it takes"
    assert settings.data["world"]["cache"] == first["cache"]
