"""MMAudio and ViSAudio by the command: a folder in the published layout is imported and makes sound for a video."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley.cli import run
from spatialfoley.codecs.mel_vae import MelVae
from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import read_video
from tests.cli.conftest import write_noise_video
from tests.features import test_perception
from tests.flow_folders import PATCHES, VAE, write_mmaudio_folder, write_visaudio_folder


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def mmaudio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mmaudio_folder(tmp_path_factory.mktemp("published") / "MMAudio")


@pytest.fixture(scope="module")
def visaudio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_visaudio_folder(tmp_path_factory.mktemp("trained") / "run-7")


def command(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    return lines[-1]


@pytest.mark.parametrize("link", [False, True], ids=["copied", "linked"])
def test_a_published_folder_is_imported_and_makes_mono_sound(
    mmaudio_folder: Path,
    own_home: Path,
    video_file: Path,
    tmp_path: Path,
    link: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("models", "import", "mmaudio", mmaudio_folder, *(["--link"] if link else [])) == 0
    shown = capsys.readouterr().out
    assert "licence CC-BY-NC-4.0; no commercial use" in shown
    assert "mmaudio_tiny_16k.pth: a size of its own, read off the weights" in shown
    assert "clip-dfn5b-h14: open_clip_pytorch_model.bin, as expected" in shown
    taken = own_home / "models" / "mmaudio"
    assert (taken / "weights" / "mmaudio_tiny_16k.pth").is_symlink() == link
    assert (taken / "DFN5B-CLIP-ViT-H-14-378" / "merges.txt").is_file()
    out = tmp_path / "out"
    options = (
        "--model",
        "mmaudio",
        "--text",
        "dog",
        "--negative-text",
        "music",
        "--steps",
        2,
        "--guidance",
        3,
    )
    assert command("generate", video_file, *options, "--out", out) == 0
    names = {"street.mono.wav", "street.dual-mono.wav", "street.mp4", "street.json"}
    assert {path.name for path in out.iterdir()} == names
    mono, both = read_audio(out / "street.mono.wav"), read_audio(out / "street.dual-mono.wav")
    assert mono.samples.shape == (1, 16000)
    assert mono.peak > 0
    assert np.array_equal(both.samples, np.repeat(mono.samples, 2, axis=0))
    assert read_video(out / "street.mp4").frame_count == 12
    sidecar = json.loads((out / "street.json").read_text())
    assert sidecar["text"] == {"wanted": "dog", "unwanted": "music"}
    assert sidecar["sampling"]["steps"] == 2
    assert sidecar["sampling"]["branches"] == {"full": 3.0, "neither": -2.0}
    assert sidecar["convention"]["dual-mono"].endswith("no spatial sound")
    capsys.readouterr()
    assert command("generate", video_file, *options, "--out", out) == 0
    assert "done before, skipped" in capsys.readouterr().out


def test_a_visaudio_folder_is_imported_and_makes_binaural_sound(
    visaudio_folder: Path,
    own_home: Path,
    video_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("generate", video_file, "--model", "visaudio") == 2
    assert "visaudio is not on this machine, and no weights of it are published; train it" in sentence(capsys)
    assert command("models", "fetch", "visaudio") == 2
    assert "no weights of visaudio are published" in sentence(capsys)
    assert command("models", "import", "visaudio", visaudio_folder) == 0
    assert "visaudio: network with the channels left, right" in capsys.readouterr().out
    out = tmp_path / "out"
    assert command("generate", video_file, "--model", "visaudio", "--steps", 1, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {"street.binaural.wav", "street.mp4", "street.json"}
    assert read_audio(out / "street.binaural.wav").samples.shape == (2, 16000)


def test_what_a_model_does_not_have_is_one_sentence(
    mmaudio_folder: Path,
    visaudio_folder: Path,
    tiny_model: Path,
    video_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for model, options, message in (
        (
            visaudio_folder,
            ("--outputs", "foa,binaural"),
            "outputs is foa,binaural, but run-7 makes binaural sound at the camera; give one or more of "
            "binaural,video",
        ),
        (
            mmaudio_folder,
            ("--outputs", "energy"),
            "makes mono sound at the camera; give one or more of mono,dual-mono",
        ),
        (mmaudio_folder, ("--azimuth-deg", 30), "azimuth_deg is 30.0, but mmaudio_tiny_16k makes mono sound"),
        (mmaudio_folder, ("--top-k", 5), "top_k is 5, but mmaudio_tiny_16k makes mono sound"),
        (mmaudio_folder, ("--steps", 0), "steps is 0; give a whole number from 1 to 1000"),
        (mmaudio_folder, ("--guidance", -1), "guidance is -1.0; give a number from 0 to 100"),
        (
            tiny_model,
            ("--text", "dog"),
            "text is 'dog', but random-tiny makes a sound field and has no such setting; leave it out, or take a "
            "model that reads text",
        ),
        (tiny_model, ("--guidance", 2), "guidance is 2.0, but random-tiny makes a sound field"),
        (
            tiny_model,
            ("--outputs", "mono"),
            "outputs is mono, but random-tiny makes a sound field; give one or more",
        ),
    ):
        out = tmp_path / "out"
        assert command("generate", video_file, "--model", model, "--out", out, *options) == 2, options
        assert message in sentence(capsys)
        assert not list(out.iterdir()) if out.is_dir() else True


def test_a_text_that_is_too_long_is_cut_with_a_warning(
    mmaudio_folder: Path, video_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", mmaudio_folder, "--steps", 1, "--outputs", "mono", "--out", tmp_path / "out")
    assert command("generate", video_file, *options, "--text", "dog " * 9) == 0
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("warning: the text has 11 tokens (with start and end), but CLIP reads 9")


def test_a_short_video_is_refused_and_the_others_go_on(
    mmaudio_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_noise_video(tmp_path / "videos" / "long.mp4", frames=12)
    write_noise_video(tmp_path / "videos" / "short.mp4", frames=4)
    options = ("--model", mmaudio_folder, "--steps", 1, "--out", tmp_path / "out")
    assert command("generate", tmp_path / "videos", *options) == 1
    said = (
        "short.mp4: duration_s is 0.3333, but one segment of frames needs 0.64 s (16 frames at 25 per second)"
    )
    assert said in capsys.readouterr().err
    assert (tmp_path / "out" / "long.mono.wav").is_file()


@pytest.mark.parametrize(
    ("frames", "rate_hz"), [(2, 0.5), (10, 7.3), (24, 24000 / 1001), (61, 60000 / 1001), (200, 240.0)]
)
def test_odd_frame_rates_make_sound_of_the_videos_length(
    visaudio_folder: Path, tmp_path: Path, frames: int, rate_hz: float
) -> None:
    video = write_noise_video(tmp_path / "odd.mp4", frames, rate_hz)
    options = ("--model", visaudio_folder, "--steps", 1, "--outputs", "binaural", "--out", tmp_path / "out")
    assert command("generate", video, *options) == 0
    samples = read_audio(tmp_path / "out" / "odd.binaural.wav").samples.shape[1]
    assert samples == round(read_video(video).duration_s * 16000)


def _with_vae(folder: Path) -> None:
    torch.save(MelVae(replace(VAE, latent_dim=24)).state_dict(), folder / "ext_weights" / "v1-16.pth")


def _with_patches(folder: Path) -> None:
    state = test_perception.random_network(replace(PATCHES, width=32)).state_dict()
    save_file(state, folder / "ext_weights" / "PE-Spatial-L14-448.safetensors")


def _with_half_a_file(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


def _with_settings(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        settings = json.loads(file.read_text())
        settings["backbone"].update(changes)
        file.write_text(json.dumps(settings))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _with_vae,
            "the network has latent_dim 20, but the autoencoder has 24; use files that belong together",
        ),
        (
            _with_patches,
            "the network has pe_dim 16, but the PE-Spatial has 32; use files that belong together",
        ),
        (_with_half_a_file, "model.safetensors cannot be read as weights"),
        (_with_settings(hidden_dim=32), "audio_input_proj.0.weight [16, 20, 7] instead of [32, 20, 7]"),
        (
            _with_settings(sample_rate_hz=8000),
            "run-7 is of 8000 Hz, but there are autoencoders and vocoders of 16000",
        ),
    ],
)
def test_weights_of_another_size_are_one_sentence(
    visaudio_folder: Path,
    video_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    message: str,
) -> None:
    folder = tmp_path / "run-7"
    shutil.copytree(visaudio_folder, folder)
    change(folder)
    assert command("generate", video_file, "--model", folder, "--steps", 1, "--out", tmp_path / "out") == 2
    assert message in sentence(capsys)
    assert not list((tmp_path / "out").glob("*"))
