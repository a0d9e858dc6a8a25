"""The recipes of the tiny flow twins, two steps of each at a size for tests, up to a model that pipelines load."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.conventions import Y
from spatialfoley.dataset.world_cache import WorldCache
from spatialfoley.dataset.world_latents import WorldLatents, encode_field
from spatialfoley.features.tiny import TinyEncoder, TinyFeaturesConfig
from spatialfoley.generators.visaudio.forms import FormSettings
from spatialfoley.media.video import Video
from spatialfoley.training.assemble import assemble_twin
from spatialfoley.training.loop import train
from spatialfoley.training.settings import RecipeError, read_recipe
from spatialfoley.training.tasks import make_task
from spatialfoley.training.twin_task import TwinTask, channel_sound, draw_form_point

RECIPES = Path(__file__).parents[2] / "recipes"
NETWORK = {"hidden_dim": 16, "depth": 3, "fused_depth": 1, "ffn_multiple": 16, "clip_dim": 16, "sync_dim": 16}


def data_changes(root: Path) -> list[str]:
    """Where everything lies."""
    cache = {"folder": root / "cache", "clips": 4, "shard_clips": 2, "duration_s": 2.0, "workers": 1}
    return [
        f"data.folder={root / 'latents'}",
        f"data.latents.tokens={root / 'tokens'}",
        *(f"data.latents.world.{part}={root / 'parts'}" for part in ("codec", "features")),
        *(f"data.latents.world.cache.{name}={value}" for name, value in cache.items()),
        "steps=2",
        "batch_size=2",
    ]


def flow_changes(root: Path, out: str, *more: str) -> list[str]:
    """What to change in the recipe of a flow so that it runs in a second."""
    sizes = [f"model.network.backbone.{name}={value}" for name, value in NETWORK.items()]
    return [
        *data_changes(root),
        f"output={root / out}",
        "model.form.shape_dim=4",
        f"data.prior={root / 'prior'}",
        *sizes,
        *more,
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with codec and encoder, the flow, and both heads."""
    root = tmp_path_factory.mktemp("runs")
    (root / "parts").mkdir()
    torch.manual_seed(0)
    codec = TinyCodecConfig(width=16, blocks=1, latent_dim=4, shape_levels=2, vocabulary_size=128)
    features = TinyFeaturesConfig(embedding_dim=16, channels=(4, 4, 4, 4), patch_dim=4)
    networks = {"codec": TinyCodec(codec), "features": TinyEncoder(features)}
    for (name, network), config in zip(networks.items(), (codec, features), strict=True):
        save_file(network.state_dict(), root / "parts" / f"{name}.safetensors")
        (root / "parts" / f"{name}.json").write_text(json.dumps(dataclasses.asdict(config)))
    changes = [*data_changes(root), f"output={root / 'prior'}", "model.shape_dim=4", "model.sync_dim=16"]
    settings = read_recipe(RECIPES / "tiny_visaudio_prior.yaml", changes)
    train(make_task(settings), settings)
    settings = read_recipe(RECIPES / "tiny_visaudio.yaml", flow_changes(root, "sound"))
    train(make_task(settings), settings)
    for part in ("ears", "field"):
        changes = [*data_changes(root), f"output={root / part}", f"initialize_from={root / 'sound'}"]
        changes += ["model.hidden_dim=8", "model.depth=1"]
        settings = read_recipe(RECIPES / f"tiny_visaudio_{part}.yaml", changes)
        train(make_task(settings), settings)
    return root


@pytest.mark.parametrize(
    ("run", "expected"),
    [("prior", {"loss"}), ("sound", {"shape", "relation"}), ("ears", {"rms"}), ("field", {"rms"})],
)
def test_every_run_logs_its_figures(runs: Path, run: str, expected: set[str]) -> None:
    (line,) = (runs / run / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 2
    assert expected <= set(json.loads(line))


@pytest.mark.parametrize(("head", "layout", "channels"), [("ears", "binaural", 2), ("field", "foa", 4)])
def test_the_runs_become_a_model(runs: Path, tmp_path: Path, head: str, layout: str, channels: int) -> None:
    parts = {"codec": runs / "parts", "features": runs / "parts", "head": runs / head}
    parts |= {"twin": runs / "sound", "prior": runs / "sound"}
    out = assemble_twin(parts, tmp_path / "model", {"steps": 2}, licence="MIT")
    from spatialfoley.pipeline import load_pipeline

    pipe = load_pipeline(out)
    frames = np.zeros((20, 56, 56, 3), np.uint8)
    sound = pipe(Video.from_frames(frames, 20.0), seed=0)
    assert sound.layout == layout
    assert sound.samples.shape == (channels, 16000)
    assert pipe.describe()["licence"] == "MIT"


def test_a_model_without_its_parts_is_not_written(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no twin.json; give the folder of a finished run"):
        assemble_twin({"twin": runs / "ears"}, tmp_path / "model", {})
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("form", ["published", "sign-factored"])
@pytest.mark.parametrize("layout", ["binaural", "foa"])
def test_every_form_trains(runs: Path, form: str, layout: str) -> None:
    more = [f"model.form.form={form}", f"model.form.layout={layout}", "model.network.spacetime=true"]
    settings = read_recipe(RECIPES / "tiny_visaudio.yaml", flow_changes(runs, f"{form}-{layout}", *more))
    train(make_task(settings), settings)
    assert (runs / f"{form}-{layout}" / "twin.safetensors").is_file()


def test_a_batch_depends_on_its_generator_alone(runs: Path) -> None:
    task = TwinTask(read_recipe(RECIPES / "tiny_visaudio.yaml", flow_changes(runs, "again")))
    draw = lambda seed: task.batch(torch.Generator().manual_seed(seed))  # noqa: E731
    (features, latents), (again, same) = draw(1), draw(1)
    assert torch.equal(latents, same)
    assert torch.equal(features.clip, again.clip)
    assert any(not torch.equal(latents, draw(seed)[1]) for seed in range(2, 6))


def test_a_mirrored_clip_is_what_its_mirrored_sound_gives(runs: Path) -> None:
    cache, codec = WorldCache(runs / "cache"), TinyCodec.load(runs / "parts")
    latents = WorldLatents(runs / "latents", runs / "tokens")
    for clip in range(len(latents)):
        foa = cache.take("foa", clip).astype(np.float32) / 32767
        foa[Y] *= -1
        expected = encode_field(foa, codec)
        found = latents.taken(np.array([clip]), np.array([True]))
        heard = expected["field_level_db"][0] > -60
        assert np.array_equal(found["field_sign"][0][:, heard], expected["field_sign"][:, heard])
        assert np.allclose(found["ear_level_db"][0], expected["ear_level_db"], atol=0.1)
        assert np.allclose(found["ratios"][0], expected["ratios"], atol=2e-3)
        assert np.allclose(found["delay_s"][0][heard], expected["delay_s"][heard], atol=1e-6)


def test_only_the_sign_factored_form_shares_noise(runs: Path) -> None:
    latents = WorldLatents(runs / "latents", runs / "tokens")
    taken = latents.taken(np.arange(2), np.zeros(2, bool))
    for form, shared in (("sign-factored", True), ("published", False)):
        settings = FormSettings(form, "foa", shape_dim=4)  # type: ignore[arg-type]
        sound = channel_sound(taken, settings)
        assert sound.shape.shape[1] == 4
        x1 = torch.zeros(2, 4, 5, settings.latent_dim)
        task = TwinTask(read_recipe(RECIPES / "tiny_visaudio.yaml", flow_changes(runs, "noise")))
        point = draw_form_point(x1, settings, task.draws, torch.Generator().manual_seed(0))
        mask = ~settings.relation_mask()
        assert torch.equal(point.target[:, 0][..., mask], point.target[:, 2][..., mask]) is shared


def test_what_cannot_be_trained_is_refused(runs: Path) -> None:
    changes = flow_changes(runs, "bad", "model.form.form=plain")
    with pytest.raises(RecipeError, match="model: form is 'plain', but must be one of"):
        make_task(read_recipe(RECIPES / "tiny_visaudio.yaml", changes))
    with pytest.raises(RecipeError, match=r"words are \['bell'\], but the world's classes are ball, bell"):
        make_task(
            read_recipe(RECIPES / "tiny_visaudio.yaml", flow_changes(runs, "bad", "model.words=[bell]"))
        )
    with pytest.raises(RecipeError, match=r"data\.prior is missing; give the folder of a finished run"):
        make_task(read_recipe(RECIPES / "tiny_visaudio.yaml", flow_changes(runs, "bad", "data.prior=null")))
    changes = [*data_changes(runs), "initialize_from=null"]
    with pytest.raises(RecipeError, match="initialize_from is missing; give the folder of the sound's"):
        make_task(read_recipe(RECIPES / "tiny_visaudio_ears.yaml", changes))
