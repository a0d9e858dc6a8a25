"""The paper's recipe: what it says, that it runs, what it starts from, and that it learns."""

import json
import re
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spatialfoley.cli import run
from spatialfoley.dataset.visaudio_features import FlowBatch, Preparation
from spatialfoley.generators.visaudio.checkpoint import load_mmaudio, load_visaudio
from spatialfoley.generators.visaudio.config import VisaudioConfig
from spatialfoley.generators.visaudio.inference import InferenceSettings, read_inference
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.objective import ObjectiveSettings
from spatialfoley.training.loop import step_generator, train
from spatialfoley.training.settings import (
    AverageSettings,
    OptimizerSettings,
    RecipeError,
    TrainingSettings,
    read_recipe,
)
from spatialfoley.training.tasks import make_task
from spatialfoley.training.visaudio_task import MMAUDIO_FILE, VisaudioTask
from tests.dataset.test_visaudio_prepare import CLIP_S as CLIP_OF_FILES_S
from tests.dataset.test_visaudio_prepare import write_clip, write_manifest
from tests.flow_folders import BACKBONE, PATCHES, write_visaudio_folder
from tests.training.flow_clips import CLIP_S, SMALL, plain, write_random_clips, write_small_mmaudio

RECIPE = Path(__file__).parents[2] / "recipes" / "visaudio.yaml"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {
        "biaudio": write_random_clips(folder / "biaudio", 4, seed=1),
        "music": write_random_clips(folder / "music", 2, seed=2),
    }


@pytest.fixture(scope="module")
def mmaudio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_mmaudio(tmp_path_factory.mktemp("weights") / "mmaudio_small.pth")


def shrunk(out: Path, sources: dict[str, Path], mmaudio: Path | None, **changes: Any) -> TrainingSettings:
    """The shipped recipe at tiny size: its data, its model and where it starts are replaced, nothing else."""
    recipe = read_recipe(RECIPE, [f"output={out}", "steps=2", "batch_size=3", "log_every_steps=1"])
    data = {
        "sources": [
            {"folder": str(sources["biaudio"]), "repeat": 1},
            {"folder": str(sources["music"]), "repeat": 3},
        ],
        "preparation": {**recipe.data["preparation"], "clip_s": CLIP_S},
    }
    start = None if mmaudio is None else str(mmaudio)
    settings = replace(recipe, data=data, model=plain(SMALL), initialize_from=start)
    return replace(settings, **changes)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_visaudio(folder).state_dict()


def test_the_recipe_says_what_the_paper_and_mmaudio_say() -> None:
    settings = read_recipe(RECIPE)
    repeats = {source["folder"]: source["repeat"] for source in settings.data["sources"]}
    assert repeats == {"data/biaudio/train": 1, "data/music21/train": 3}
    entries = 94_845 + 3 * 17_825
    assert entries == 148_320
    assert settings.steps * settings.batch_size / entries == pytest.approx(21.6, abs=0.05)
    model = {key: value for key, value in settings.model.items() if key not in ("family", "inference")}
    assert VisaudioConfig.from_dict(model) == VisaudioConfig()
    assert settings.model["inference"] == asdict(InferenceSettings())
    assert settings.optimizer == OptimizerSettings(
        learning_rate=1e-4,
        betas=(0.9, 0.95),
        epsilon=1e-6,
        weight_decay=1e-6,
        decay="all",
        clip_norm=1.0,
        schedule="steps",
        drop_at=(0.8, 0.9),
        drop_factor=0.1,
        warmup_steps=1000,
    )
    assert settings.average == AverageSettings(sigma_rel=0.05)
    assert settings.objective == asdict(ObjectiveSettings("uniform", 0.1, 0.1))
    assert settings.data["preparation"] == asdict(Preparation())
    assert settings.precision == "bfloat16"
    assert settings.initialize_from == "mmaudio_large_44k_v2"


def test_every_open_place_of_the_paper_is_a_key_of_the_recipe() -> None:
    settings = read_recipe(RECIPE)
    written = set(settings.model) - {"family", "inference"}
    assert written == {field.name for field in fields(VisaudioConfig)}
    assert set(settings.objective) == {field.name for field in fields(ObjectiveSettings)}
    assert set(settings.data["preparation"]) == {field.name for field in fields(Preparation)}
    marked = {int(number) for number in re.findall(r"\bA(\d+)\b", RECIPE.read_text())}
    assert marked == set(range(1, 23))


def test_the_recipe_runs_and_starts_from_mmaudio(
    sources: dict[str, Path], mmaudio: Path, tmp_path: Path
) -> None:
    settings = shrunk(tmp_path / "run", sources, mmaudio)
    task = make_task(settings)
    assert isinstance(task, VisaudioTask)
    assert task.entries == 4 + 3 * 2
    started = load_mmaudio(mmaudio).state_dict()
    network = task.network
    assert isinstance(network, VisaudioNetwork)
    own = network.state_dict()
    for key, value in started.items():
        head, _, rest = key.partition(".")
        targets = [key]
        if head == "fused_blocks":
            targets = [f"branch_blocks.{ear}.{rest}" for ear in ("left", "right")]
        elif head == "final_layer":
            targets = [f"final_layers.{ear}.{rest}" for ear in ("left", "right")]
        for target in targets:
            assert torch.equal(own.pop(target), value), target
    assert set(own) == set(task.started_anew), "every key is MMAudio's or declared new"
    assert all(key.startswith("spacetime.") for key in own)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folder = train(task, settings)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert {"loss", "left", "right"} <= set(lines[0])
    assert lines[0]["left"] + lines[0]["right"] == pytest.approx(lines[0]["loss"], rel=1e-3)
    after = weights_of(folder)
    for name in ("latent_mean", "latent_std", "empty_string_feat"):
        assert torch.equal(before[name], after[name]), "facts of the published weights are not trained"
    assert read_inference(folder) == InferenceSettings()
    # The first steps of a warm-up of 1000 are tiny, but they are steps.
    assert not torch.equal(
        before["branch_blocks.left.0.linear1.weight"], after["branch_blocks.left.0.linear1.weight"]
    )


def test_a_resumed_run_equals_an_undisturbed_one(
    sources: dict[str, Path], mmaudio: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"steps": 4, "save_every_steps": 2, "precision": "float32"}
    whole = shrunk(tmp_path / "whole", sources, mmaudio, **changes)
    train(make_task(whole), whole)

    class Killed(VisaudioTask):
        batches = 0

        def batch(self, generator: torch.Generator) -> FlowBatch:
            self.batches += 1
            if self.batches > 3:
                raise KeyboardInterrupt
            return super().batch(generator)

    stopped = shrunk(tmp_path / "stopped", sources, mmaudio, **changes)
    with pytest.raises(KeyboardInterrupt):
        train(Killed(stopped), stopped)
    train(make_task(stopped), stopped)
    expected, found = weights_of(tmp_path / "whole"), weights_of(tmp_path / "stopped")
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    last = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    # The average is exported, the last weights are kept for going on.
    assert not torch.equal(last["model"]["network.t_embed.mlp.0.weight"], expected["t_embed.mlp.0.weight"])
    assert torch.equal(last["average"]["network.t_embed.mlp.0.weight"], expected["t_embed.mlp.0.weight"])


def test_one_item_is_learnt(tmp_path: Path) -> None:
    one = write_random_clips(tmp_path / "one", 1)
    settings = shrunk(
        tmp_path / "run",
        {"biaudio": one, "music": one},
        None,
        steps=40,
        batch_size=4,
        precision="float32",
        optimizer=OptimizerSettings(learning_rate=1e-2, weight_decay=0.0),
        average=None,
        objective={"drop_video": 0.0, "drop_text": 0.0},
    )
    folder = train(make_task(settings), settings)
    losses = [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
    # Noise and normalised latents have spread 1: a velocity of zero costs 2 in each ear, the mean of the true
    # velocity 1, and only the way back from each state to its noise, which takes far longer to learn, costs less.
    assert losses[0] == pytest.approx(4.0, abs=0.4)
    assert sum(losses[-10:]) / 10 < 2.4


def test_without_weights_the_data_say_the_spread_of_latents(sources: dict[str, Path], tmp_path: Path) -> None:
    task = make_task(shrunk(tmp_path / "run", sources, None))
    assert isinstance(task, VisaudioTask)
    batch = task.batch(step_generator(0, 0))
    task.batch_size = 64
    batch = task.batch(step_generator(0, 1))
    drawn = task.network.normalise(batch.mean + batch.std * torch.randn(batch.mean.shape))
    assert drawn.mean().item() == pytest.approx(0.0, abs=0.1)
    assert drawn.std().item() == pytest.approx(1.0, abs=0.1)
    assert torch.equal(task.network.empty_string_feat, torch.ones_like(task.network.empty_string_feat))


def test_a_repeated_source_is_drawn_as_much_oftener(sources: dict[str, Path], tmp_path: Path) -> None:
    task = make_task(shrunk(tmp_path / "run", sources, None, batch_size=400))
    assert isinstance(task, VisaudioTask)
    drawn = task.batch(step_generator(0, 0)).mean
    biaudio = torch.stack([task.clips.item(entry).mean for entry in range(4)])
    share = sum((drawn == mean).flatten(1).all(dim=1).sum().item() for mean in biaudio) / 400
    assert share == pytest.approx(4 / 10, abs=0.06)


def test_a_run_goes_on_from_a_trained_folder(sources: dict[str, Path], mmaudio: Path, tmp_path: Path) -> None:
    first = shrunk(tmp_path / "first", sources, mmaudio)
    folder = train(make_task(first), first)
    second = make_task(shrunk(tmp_path / "second", sources, folder))
    assert isinstance(second, VisaudioTask)
    assert second.started_anew == ()
    trained = weights_of(folder)
    assert all(torch.equal(trained[key], value) for key, value in second.network.state_dict().items())
    other = plain(replace(SMALL, branch_noise="shared"))
    with pytest.raises(RecipeError, match="a ViSAudio network of other settings"):
        make_task(shrunk(tmp_path / "third", sources, folder, model=other))


def test_mmaudio_is_tuned_by_the_same_task(mmaudio: Path, tmp_path: Path) -> None:
    clips = write_random_clips(tmp_path / "mono", 3, channels=1)
    settings = shrunk(
        tmp_path / "run",
        {"biaudio": clips, "music": clips},
        mmaudio,
        model={"family": "mmaudio", "backbone": asdict(SMALL.backbone)},
    )
    task = make_task(settings)
    folder = train(task, settings)
    tuned = load_mmaudio(folder / MMAUDIO_FILE)
    assert tuned.config == SMALL.backbone
    line = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    assert line["mono"] == pytest.approx(line["loss"], rel=1e-3)
    started = load_mmaudio(mmaudio).state_dict()
    assert not torch.equal(
        started["joint_blocks.0.latent_block.attn.qkv.weight"],
        (tuned.state_dict()["joint_blocks.0.latent_block.attn.qkv.weight"]),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"family": "visage"}}, "family is 'visage'; it must be 'visaudio' or 'mmaudio'"),
        ({"model": {"family": "mmaudio", "pe_grid": 8}}, "pe_grid is of ViSAudio; mmaudio has only backbone"),
        ({"model": {"inference": {"steps": 0}}}, "model: steps is 0; give a whole number from 1 to 1000"),
        (
            {"model": {"inference": {"step": 9}}},
            "model: unknown settings step; known are empty_text, guidance",
        ),
        ({"model": {"pe_gird": 8}}, "model: unknown settings pe_gird"),
        (
            {"model": plain(replace(SMALL, pe_dim=7))},
            r"have patches of shape \(6, 8, 8, 6\), but the model of the recipe wants \(6, 8, 8, 7\)",
        ),
        (
            {"model": {"family": "mmaudio", "backbone": asdict(SMALL.backbone)}},
            r"have mean of shape \(2, 25, 20\), but the model of the recipe wants \(1, 25, 20\)",
        ),
        ({"objective": {"drop_text": 2.0}}, "drop_text is 2.0, but must be from 0 to 1"),
        ({"objective": {"time": "uniform"}}, "objective: unknown key time"),
        ({"initialize_from": "nowhere.pth"}, "'nowhere.pth', which is no file, folder or known model"),
        (
            {"initialize_from": "mmaudio_large_44k_v2"},
            "which is not on this machine; 'spatialfoley models fetch mmaudio_large_44k_v2' gets it",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    sources: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    message: str,
) -> None:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with pytest.raises(ValueError, match=message):
        make_task(shrunk(tmp_path / "run", sources, None, **changes))


def test_clips_prepared_otherwise_are_refused(sources: dict[str, Path], tmp_path: Path) -> None:
    settings = shrunk(tmp_path / "run", sources, None)
    data = {**settings.data, "preparation": {"clip_s": CLIP_S, "loudness": "none"}}
    with pytest.raises(RecipeError, match=r"prepared with loudness 'joint' \(the recipe says 'none'\)"):
        make_task(replace(settings, data=data))


def test_weights_of_another_size_are_listed(sources: dict[str, Path], tmp_path: Path) -> None:
    other = write_small_mmaudio(tmp_path / "mmaudio_other.pth", replace(SMALL.backbone, hidden_dim=32))
    with pytest.raises(ValueError, match=r"the MMAudio checkpoint.*audio_input_proj\.0\.weight"):
        make_task(shrunk(tmp_path / "run", sources, other))


def test_from_a_video_with_two_ears_to_sound_of_the_trained_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prepare by the command, train by the command, generate by the command: tiny sizes, real files."""
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    run_folder = write_visaudio_folder(tmp_path / "run")
    mmaudio = write_small_mmaudio(tmp_path / "mmaudio_start.pth", BACKBONE)
    write_clip(tmp_path / "street.mp4")
    manifest = write_manifest(tmp_path, {"video": "street.mp4", "text": "a dog"})
    clips = tmp_path / "clips"
    options = ["--model", run_folder, "--out", clips, "--clip-s", CLIP_OF_FILES_S, "--device", "cpu"]
    assert run([str(part) for part in ("dataset", "prepare", manifest, *options)]) == 0
    config = VisaudioConfig(backbone=BACKBONE, pe_dim=PATCHES.width, pe_grid=8)
    model = {**plain(config), "inference": {"steps": 3, "guidance": 2.0, "empty_text": "encoded"}}
    changes = {
        "output": str(run_folder),
        "initialize_from": str(mmaudio),
        "steps": 1,
        "batch_size": 2,
        "data.sources": [{"folder": str(clips / "train")}],
        "data.preparation.clip_s": CLIP_OF_FILES_S,
        "model": model,
    }
    sets = [part for key, value in changes.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    assert run(["train", str(RECIPE), *sets]) == 0
    out = tmp_path / "out"
    assert run(["generate", str(tmp_path / "street.mp4"), "--model", str(run_folder), "--out", str(out)]) == 0
    sidecar = json.loads((out / "street.json").read_text())
    assert sidecar["sampling"]["steps"] == 3
    assert sidecar["sampling"]["branches"] == {"full": 2.0, "neither": -1.0}
    assert (out / "street.binaural.wav").is_file()
    (run_folder / "inference.json").write_text('{"steps": 0}')
    capsys.readouterr()
    assert run(["generate", str(tmp_path / "street.mp4"), "--model", str(run_folder), "--out", str(out)]) == 2
    assert "inference.json: steps is 0; give a whole number from 1 to 1000" in capsys.readouterr().err
