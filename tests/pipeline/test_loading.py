import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley import weights
from spatialfoley.codecs.plain import PlainCodec, PlainCodecConfig
from spatialfoley.kernels.devices import choose_device
from spatialfoley.media.video import Video
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.loading import load_encoders, load_pipeline
from spatialfoley.pipeline.model_folder import choose_model, read_manifest
from tests.model_folders import write_published_model, write_tiny_model


def noise_video(frames: int = 9, rate_hz: float = 12.0) -> Video:
    return Video.from_frames(
        np.random.default_rng(0).integers(0, 255, (frames, 40, 60, 3), np.uint8), rate_hz
    )


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any downloaded weights and without network."""
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "home"


@pytest.mark.parametrize("pickled", [False, True])
def test_the_published_layout_with_random_weights_makes_sound(tmp_path: Path, pickled: bool) -> None:
    pipe = load_pipeline(write_published_model(tmp_path / "visage", pickled=pickled))
    assert pipe.defaults.guidance.name == "combined"
    assert pipe.defaults.guidance.weights == (3.5, -2.5)
    foa = pipe(noise_video(), seed=1)
    assert foa.samples.shape == (4, 12_000)
    assert foa.peak > 0
    assert pipe.describe()["model"] == "visage"


def test_published_parts_are_found_among_the_weights_of_this_machine(
    tmp_path: Path, empty_home: Path
) -> None:
    folder = write_published_model(tmp_path / "somewhere")
    name, note = choose_model(None)
    assert name == "tiny-visage"
    assert "using the embedded tiny-visage" in note
    assert "spatialfoley models fetch visage" in note
    assert "licence of its weights: not stated by its authors" in note
    weights.import_folder("dac_44khz", folder / "dac")
    weights.import_folder("clip-vit-b-32", folder / "clip")
    weights.import_folder("visage", folder)
    assert choose_model(None) == ("visage", "")
    pipe = load_pipeline("visage")
    assert pipe.describe()["licence"] == "not stated by its authors"
    assert pipe.decode(pipe.sample(pipe.encode(noise_video()))).samples.shape == (4, 12_000)


def test_what_is_not_here_says_how_to_get_it(empty_home: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="visage is not on this machine; 'spatialfoley models fetch visage'"):
        load_pipeline("visage")
    folder = write_published_model(tmp_path / "alone")
    (folder / "dac" / "config.json").unlink()
    (folder / "dac").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="dac_44khz is not on this machine"):
        load_pipeline(folder)
    with pytest.raises(
        ValueError, match="'someone/some-model', no folder here and not to be had from the hub"
    ):
        load_pipeline("someone/some-model")


def test_a_manifest_with_unknown_parts_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "m")
    path = folder / "pipeline.json"
    content = json.loads(path.read_text())
    for change, message in (
        ({"codec": "mp3"}, "has codec 'mp3'; it must be one of dac, tiny, unicodec"),
        ({"loudness": 3}, "has unknown settings loudness; known are"),
        ({"parts": "tiny-visage"}, "has parts 'tiny-visage'; give the name of a model for each part"),
        ({"parts": {"generator": "visage"}}, "takes its generator from visage, but only features and codec"),
        (
            {"codec": "dac", "parts": {"codec": "visage"}},
            "takes its codec from visage, but only features and",
        ),
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(ValueError, match=message):
            read_manifest(folder, "m")
    path.write_text(json.dumps({**content, "sampling": {"top_kk": 3}}))
    with pytest.raises(ValueError, match="impossible sampling settings"):
        load_pipeline(folder)
    path.write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        load_pipeline(folder)


def test_parts_are_taken_from_another_model(tmp_path: Path) -> None:
    sizes = {"num_rvq": 5, "dac_vocab_size": 512, "dac_pad_token_id": 512, "d_clip": 128}
    folder = write_tiny_model(tmp_path / "m", **sizes)
    for file in (*folder.glob("features.*"), *folder.glob("codec.*")):
        file.unlink()
    path = folder / "pipeline.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "parts": {"features": "tiny-visage", "codec": "tiny-visage"}}))
    pipe = load_pipeline(folder, device="cpu")
    lender = load_pipeline("tiny-visage", device="cpu").describe()["weights_sha256"]
    own = pipe.describe()["weights_sha256"]
    assert (own["features"], own["codec"]) == (lender["features"], lender["codec"])
    assert own["generator"] != lender["generator"]
    assert pipe(noise_video()).samples.shape == (4, 12_000)
    encoders = load_encoders(folder, "cpu")
    assert encoders.description["weights_sha256"] == {part: own[part] for part in ("features", "codec")}
    path.write_text(json.dumps({**content, "parts": {"features": "tiny-visaudio"}}))
    with pytest.raises(
        ValueError, match=r"tiny-visaudio has no features\.json; give the folder of a whole model"
    ):
        load_pipeline(folder)


def test_a_codec_of_our_own_may_be_of_any_kind(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "m", num_rvq=2, dac_vocab_size=64, dac_pad_token_id=64)
    torch.manual_seed(0)
    sizes = PlainCodecConfig(width=16, blocks=1, latent_dim=4, levels=2, vocabulary_size=64)
    save_file(PlainCodec(sizes).state_dict(), folder / "codec.safetensors")
    (folder / "codec.json").write_text(json.dumps({"kind": "plain", **dataclasses.asdict(sizes)}))
    pipe = load_pipeline(folder, device="cpu")
    assert isinstance(pipe, Pipeline)
    assert isinstance(pipe.codec, PlainCodec)
    assert pipe(noise_video()).samples.shape == (4, 12_000)
    (folder / "codec.safetensors").unlink()
    with pytest.raises(ValueError, match=r"holds no codec\.json and codec\.safetensors"):
        load_pipeline(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "codec.safetensors", "features.safetensors"])
def test_cut_off_weights_are_refused_in_one_sentence(tmp_path: Path, file: str) -> None:
    folder = write_tiny_model(tmp_path / "m")
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cannot be read .*; copy or download"):
        load_pipeline(folder)


def test_devices_and_types(tmp_path: Path) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="device is 'abacus'"):
        choose_device("abacus")
    folder = write_tiny_model(tmp_path / "m")
    exact = load_pipeline(folder, device="cpu", dtype="float32")
    assert exact.describe()["kernel"] == "plain"
    with pytest.raises(ValueError, match="dtype is 'float128'"):
        load_pipeline(folder, dtype="float128")
