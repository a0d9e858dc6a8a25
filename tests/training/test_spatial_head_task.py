"""The head on a frozen network: the shipped recipe, two steps of it at tiny size, and the model that comes out."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spatialfoley.dataset.visaudio_features import Preparation, write_flow_clips, write_flow_item
from spatialfoley.generators.visaudio.config import VisaudioConfig
from spatialfoley.generators.visaudio.head_folder import load_head, read_head_folder
from spatialfoley.generators.visaudio.spatial_head import SpatialHeadConfig
from spatialfoley.media.video import Video
from spatialfoley.pipeline import FlowPipeline, load_pipeline
from spatialfoley.spatial.parametric import BANDS
from spatialfoley.training.loop import train
from spatialfoley.training.settings import OptimizerSettings, RecipeError, TrainingSettings, read_recipe
from spatialfoley.training.spatial_head_task import HeadObjective, HeadSizes, SpatialHeadTask
from spatialfoley.training.tasks import make_task
from tests.flow_folders import BACKBONE, PATCHES, write_mmaudio_folder
from tests.head_folders import write_patch_encoder
from tests.training.flow_clips import CLIP_S, random_item

RECIPE = Path(__file__).parents[2] / "recipes" / "visaudio_foa.yaml"
CONFIG = VisaudioConfig(backbone=BACKBONE, pe_dim=PATCHES.width, pe_grid=8)
LATENTS = BACKBONE.lengths(CLIP_S).latent
LOUD = torch.full((BANDS, LATENTS), -20.0).half()


def write_placed_clips(folder: Path, place: str | None = "foa", count: int = 3) -> Path:
    """A folder as `dataset prepare --place` leaves it: every clip's sound is somewhere else."""
    lines = []
    for number in range(count):
        item = random_item(CONFIG, number, channels=1, text=number > 0)
        truth: dict[str, torch.Tensor] = {"levels_db": LOUD}
        turn = torch.randn((3, 1, 1), generator=torch.Generator().manual_seed(number))
        if place == "foa":
            truth["ratios"] = (turn / turn.norm()).expand(3, BANDS, LATENTS).half()
        elif place == "binaural":
            truth["gains_db"] = (6 * turn[:2]).expand(2, BANDS, LATENTS).half()
            truth["delay_s"] = (3e-4 * turn[2, 0]).expand(LATENTS)
        write_flow_item(folder / "clips" / f"{number}.safetensors", item._replace(**truth))
        lines.append({"file": f"clips/{number}.safetensors", "video": f"{number}.mp4", "start_s": 0.0})
    settings = {"model": {"weights_sha256": {}}, "channels": ["mono"], "rate_hz": 16000}
    empty = torch.ones(BACKBONE.text_tokens, BACKBONE.text_dim).half()
    placed = settings if place is None else {**settings, "place": place}
    write_flow_clips(folder, lines, placed, Preparation(clip_s=CLIP_S), empty)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_mmaudio_folder(tmp_path_factory.mktemp("published") / "MMAudio")
    write_patch_encoder(folder)
    return folder / "weights" / "mmaudio_tiny_16k.pth"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_placed_clips(tmp_path_factory.mktemp("clips"))


def shrunk(out: Path, clips: Path, network: Path | str | None, **changes: Any) -> TrainingSettings:
    """The shipped recipe at tiny size: data, widths and the frozen network are replaced, nothing else."""
    recipe = read_recipe(RECIPE, [f"output={out}", "steps=2", "batch_size=3", "log_every_steps=1"])
    data = {
        "sources": [{"folder": str(clips), "repeat": 1}],
        "preparation": {**recipe.data["preparation"], "clip_s": CLIP_S},
    }
    model = {**recipe.model, "hidden_dim": 16, "depth": 1, "patch_dim": 2}
    start = None if network is None else str(network)
    return replace(recipe, **{"data": data, "model": model, "initialize_from": start, **changes})


def test_the_recipe_says_what_it_is() -> None:
    settings = read_recipe(RECIPE)
    assert settings.initialize_from == "mmaudio_large_44k_v2"
    assert settings.steps * settings.batch_size / 81_594 == pytest.approx(15.7, abs=0.02)
    assert settings.data["preparation"] == asdict(Preparation(clip_s=5.0))
    assert settings.model == asdict(HeadSizes("foa"))
    assert settings.objective == asdict(HeadObjective())
    sizes = SpatialHeadConfig(
        **{**settings.model, "bands": BANDS, "latent_dim": 40, "pe_dim": 1024, "pe_grid": 8}
    )
    assert sizes.numbers == 12


def test_the_recipe_runs_and_leaves_a_model(
    clips: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    before = network.read_bytes()
    settings = shrunk(tmp_path / "run", clips, network)
    folder = train(make_task(settings), settings)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert lines[0]["rms"] == pytest.approx(lines[0]["loss"] ** 0.5, rel=1e-3)
    assert read_head_folder(folder).generator == str(network)
    head = load_head(folder)
    assert (head.config.latent_dim, head.config.pe_grid, head.config.hidden_dim) == (20, 8, 16)
    pipe = load_pipeline(folder)
    assert isinstance(pipe, FlowPipeline)
    frames = np.random.default_rng(0).integers(0, 255, (8, 36, 48, 3), np.uint8)
    sound = pipe(Video.from_frames(frames, 10.0), "dog", steps=1)
    assert (sound.layout, sound.samples.shape) == ("foa", (4, 12800))
    assert network.read_bytes() == before, "the frozen network stays as it is"


@pytest.mark.parametrize("place", ["foa", "binaural"])
def test_places_are_learnt(tmp_path: Path, network: Path, place: str) -> None:
    settings = shrunk(
        tmp_path / "run",
        write_placed_clips(tmp_path / "clips", place),
        network,
        steps=60,
        precision="float32",
        optimizer=OptimizerSettings(learning_rate=1e-2, weight_decay=0.0),
        average=None,
        objective={"sound_noise": 0.0, "drop_sound": 0.0},
        model={"layout": place, "hidden_dim": 16, "depth": 1, "kernel": 3, "patch_dim": 2},
    )
    folder = train(make_task(settings), settings)
    losses = [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert sum(losses[-5:]) / 5 < 0.2 * losses[0]


def test_what_is_not_heard_does_not_count(clips: Path, network: Path, tmp_path: Path) -> None:
    task = make_task(shrunk(tmp_path / "run", clips, network))
    assert isinstance(task, SpatialHeadTask)
    generator = torch.Generator().manual_seed(0)
    sound, features, truth, heard = task.batch(generator)
    assert sound.shape == (3, LATENTS, 20)
    assert truth.shape == heard.shape == (3, LATENTS, 3 * BANDS)
    assert (heard == 1).all()
    loss, _ = task.loss(task.model, (sound, features, truth, heard), generator)
    wrong = truth.clone()
    wrong[:, 3:] += 100.0
    silent = heard.clone()
    silent[:, 3:] = 0.0
    beginning, _ = task.loss(task.model, (sound, features, wrong, silent), generator)
    assert beginning < 10 * loss


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [
        (
            None,
            {},
            "are prepared with --place left out, but model.layout is 'foa'; prepare them with --place foa",
        ),
        ("binaural", {}, "are prepared with --place binaural, but model.layout is 'foa'"),
        ("foa", {"initialize_from": None}, "initialize_from is missing; name the MMAudio network"),
        ("foa", {"initialize_from": "nowhere"}, "'nowhere', which is no file, folder or known model"),
        ("foa", {"model": {"layout": "mono"}}, "model.layout is 'mono'; it must be 'foa' or 'binaural'"),
        (
            "foa",
            {"objective": {"drop_sound": 1.0}},
            "the first must be from 0 on, the second from 0 to below 1",
        ),
        ("foa", {"objective": {"quiet_db": 0.0}}, "quiet_db is 0 and loud_db -35; quiet_db must be below"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    tmp_path: Path, network: Path, place: str | None, changes: dict[str, Any], message: str
) -> None:
    clips = write_placed_clips(tmp_path / "clips", place, count=1)
    with pytest.raises(RecipeError, match=message):
        make_task(shrunk(tmp_path / "run", clips, network, **changes))


def test_latents_of_another_network_are_refused(clips: Path, network: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"latent_mean": torch.zeros(1, 1, 40), "latent_std": torch.ones(1, 1, 40)}, other)
    with pytest.raises(
        RecipeError, match=r"have latents of 20 channels, but .*other\.pth makes 40; prepare them with"
    ):
        make_task(shrunk(tmp_path / "run", clips, other))
    torch.save({"weight": torch.zeros(1)}, other)
    with pytest.raises(
        RecipeError, match=r"other\.pth has no latent_mean and latent_std; give the weights of an MMAudio"
    ):
        make_task(shrunk(tmp_path / "run", clips, other))
