"""ViSAGe-SC from one's own videos to sound, by the commands a user types, with random weights of small sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spatialfoley import weights
from spatialfoley.cli import run
from spatialfoley.conventions import FOA_CHANNELS
from spatialfoley.dataset.clip_tensors import ClipTensors
from spatialfoley.generators.visage.checkpoint import load_visage
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.kernels.packed import unavailable_reason
from spatialfoley.media.audio import read_audio, write_audio
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.loading import load_encoders, load_pipeline
from spatialfoley.pipeline.model_folder import read_manifest
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.training.assemble import assemble_pipeline
from spatialfoley.training.loop import train
from spatialfoley.training.settings import TrainingSettings, read_recipe
from spatialfoley.training.tasks import make_task
from spatialfoley.training.visage_task import VisageTask
from tests.model_folders import (
    SINGLE_CODEBOOK,
    write_published_model,
    write_single_codebook_model,
    write_unicodec,
)

RECIPES = Path(__file__).parents[2] / "recipes"
SAMPLING = {"guidance": {"rule": "combined", "scale": 1.0}, "top_k": 100}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_single_codebook_model(tmp_path_factory.mktemp("sc") / "model")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A manifest of three seconds of video, with their sound field at 48 kHz."""
    rng = np.random.default_rng(0)
    write_frames(tmp_path / "street.mp4", iter(rng.integers(0, 255, (30, 48, 64, 3), np.uint8)), 10.0)
    field = encode(rng.standard_normal(144_000) * 0.1, Direction(40.0).vector())
    write_audio(tmp_path / "street.foa.wav", SpatialAudio(field, 48_000, "foa"), subtype="FLOAT")
    write_audio(tmp_path / "street.wav", SpatialAudio(field[:1], 48_000, "mono"), subtype="FLOAT")
    path = tmp_path / "clips.jsonl"
    path.write_text('{"video": "street.mp4", "azimuth_deg": 40}\n')
    (tmp_path / "mono.jsonl").write_text('{"video": "street.mp4", "audio": "street.wav"}\n')
    return path


def prepare(manifest: Path, out: Path, model: Path | str, *more: str) -> int:
    command = ["dataset", "prepare", str(manifest), "--out", str(out), "--model", str(model), *more]
    return run([*command, "--device", "cpu"])


def small_recipe(name: str, out: Path, clips: Path, *more: str) -> TrainingSettings:
    """One step of a shipped recipe on the sizes of the random model."""
    sizes = [f"model.{key}={value}" for key, value in SINGLE_CODEBOOK.items() if key != "token_ranges"]
    places = [f"output={out}", f"data.folder={clips}", "steps=1", "batch_size=2", "precision=float32"]
    return read_recipe(RECIPES / f"{name}.yaml", [*sizes, *places, *more])


@pytest.mark.parametrize(("name", "of_visage"), [("vggsound", 1), ("ytambigen", 4)])
def test_the_recipes_train_the_network_that_clips_are_prepared_for(name: str, of_visage: int) -> None:
    settings = read_recipe(RECIPES / f"visage_sc_{name}.yaml")
    ranges = ((8192, 16384),)
    assert VisageConfig.from_dict(settings.model) == VisageConfig.single_codebook(
        token_ranges=ranges, num_channels=of_visage
    )
    published = read_recipe(RECIPES / f"visage_{name}.yaml")
    assert (settings.steps, settings.optimizer) == (published.steps, published.optimizer)


def test_from_videos_to_a_model_that_makes_sound(
    recordings: Path, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = recordings.parent
    assert prepare(recordings, tmp_path / "clips", model, "--turns", "2") == 0
    assert prepare(root / "mono.jsonl", tmp_path / "mono-clips", model, "--mono") == 0
    codes = ClipTensors(tmp_path / "clips" / "train").arrays["codes"]
    assert (codes.shape, codes.dtype) == ((1, 3, 225, len(FOA_CHANNELS)), np.int16)
    assert codes.min() >= 8192, "the tokens of sound that is neither speech nor music"
    assert len(np.unique(codes)) > 20
    assert ClipTensors(tmp_path / "mono-clips" / "train").arrays["codes"].shape == (1, 1, 225, 1)

    mono = small_recipe("visage_sc_vggsound", tmp_path / "mono", tmp_path / "mono-clips" / "train")
    train(make_task(mono), mono)
    start = f"initialize_from={tmp_path / 'mono'}"
    spatial = small_recipe("visage_sc_ytambigen", tmp_path / "run", tmp_path / "clips" / "train", start)
    task = VisageTask(spatial)
    learnt = load_visage(tmp_path / "mono")
    for codebook in range(len(FOA_CHANNELS)):
        assert torch.equal(task.visage.dac_heads[codebook].weight, learnt.dac_heads[0].weight)
    train(task, spatial)
    stored = weights.load_state_dict(tmp_path / "run")["dac_heads.3.weight"]
    assert stored.shape == (8192, 16), "the half of the tokens that it may draw"

    out = assemble_pipeline(model / "unicodec", model / "clip", tmp_path / "run", tmp_path / "mine", SAMPLING)
    assert {path.name for path in out.iterdir()} == {
        "clip", "config.json", "model.safetensors", "pipeline.json", "unicodec",
    }  # fmt: skip
    assert json.loads((out / "pipeline.json").read_text())["codec"] == "unicodec"
    capsys.readouterr()
    command = ["generate", str(root / "street.mp4"), "--model", str(out), "--out", str(tmp_path / "sound")]
    assert run([*command, "--outputs", "foa", "--device", "cpu"]) == 0, capsys.readouterr().err
    [made] = sorted((tmp_path / "sound").rglob("*foa*.wav"))
    foa = read_audio(made)
    assert foa.samples.shape == (4, 72_000)
    assert np.isfinite(foa.samples).all()
    assert foa.peak > 0


def test_the_plain_folder_takes_unicodec_for_its_codec(model: Path) -> None:
    assert read_manifest(model, "model").codec == "unicodec"
    pipe = load_pipeline(model, device="cpu")
    assert isinstance(pipe, Pipeline)
    assert (pipe.codec.rate_hz, pipe.codec.levels, pipe.model.config.pattern) == (24000, 1, "delay")
    assert set(pipe.describe()["weights_sha256"]) == {"generator", "features", "codec"}


def test_fast_also_decodes_in_16_bits_where_the_cpu_can(model: Path) -> None:
    if unavailable_reason(torch.bfloat16):
        pytest.skip(unavailable_reason(torch.bfloat16))
    codes = torch.randint(8192, 16384, (1, 75, 4), generator=torch.Generator().manual_seed(0))
    exact, fast = (load_pipeline(model, device="cpu", dtype=dtype) for dtype in ("auto", "fast"))
    assert isinstance(exact, Pipeline)
    assert isinstance(fast, Pipeline)
    wanted, given = exact.codec.decode(codes), fast.codec.decode(codes)
    assert not torch.equal(wanted, given)
    assert (wanted - given).norm() < 0.03 * wanted.norm()


def test_what_this_machine_has_is_found_by_name(
    model: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with pytest.raises(
        ValueError,
        match="visage-sc is not on this machine, and no weights of it are published; train it, and "
        "'spatialfoley models import visage-sc FOLDER' takes the result",
    ):
        load_pipeline("visage-sc")
    with pytest.raises(ValueError, match="clip-vit-b-32 is not on this machine; 'spatialfoley models fetch"):
        load_encoders("visage-sc")
    assert run(["models", "import", "unicodec", str(model / "unicodec" / "unicode.ckpt")]) == 0
    assert run(["models", "import", "clip-vit-b-32", str(model / "clip")]) == 0
    encoders = load_encoders("visage-sc", "cpu")
    assert encoders.config.token_ranges == ((8192, 16384),)
    assert encoders.config.layout.row_count(375) == encoders.config.max_target_length
    assert prepare(recordings, tmp_path / "clips", "visage-sc") == 2, "three seconds are no clip of five"
    assert run(["models", "import", "visage-sc", str(model)]) == 0
    pipe = load_pipeline("visage-sc", device="cpu")
    assert pipe.describe()["licence"].startswith("none: its authors published no weights")


def test_other_domains_and_vocabularies_are_refused_before_the_first_clip(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = write_single_codebook_model(tmp_path / "speech", token_ranges=((0, 4096),))
    assert prepare(recordings, tmp_path / "out", speech) == 2
    assert "but may take 0 to 4095: encode the sound in the domain of the model" in capsys.readouterr().err
    small: dict[str, Any] = {"dac_vocab_size": 64, "dac_pad_token_id": 64, "token_ranges": ((32, 64),)}
    other = write_single_codebook_model(tmp_path / "other", **small)
    assert prepare(recordings, tmp_path / "out", other) == 2
    assert (
        "the generator knows the tokens 0 to 63 (dac_vocab_size), but the codec writes 0 to 16383; use the files"
        " of one model" in capsys.readouterr().err
    )


def test_the_codec_may_be_a_file_or_that_of_the_machine(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = model / "unicodec" / "unicode.ckpt"
    out = assemble_pipeline(file, model / "clip", model, tmp_path / "file", SAMPLING)
    assert (out / "unicodec" / "unicode.ckpt").is_file()
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))
    weights.import_folder("unicodec", file)
    out = assemble_pipeline(None, model / "clip", model, tmp_path / "machine", SAMPLING)
    assert not (out / "unicodec").exists()
    assert load_pipeline(out).describe()["model"] == "machine"


def test_a_codec_of_another_kind_does_not_fit(model: Path, tmp_path: Path) -> None:
    dac = write_published_model(tmp_path / "visage") / "dac"
    with pytest.raises(ValueError, match="is no UniCodec checkpoint"):
        assemble_pipeline(dac, model / "clip", model, tmp_path / "mine", SAMPLING)
    small = write_unicodec(tmp_path / "small", codebook_size=64)
    with pytest.raises(
        ValueError, match=r"draws tokens up to 16383 \(token_ranges\), but the codec knows only 0 to 63"
    ):
        assemble_pipeline(small, model / "clip", model, tmp_path / "mine", SAMPLING)
