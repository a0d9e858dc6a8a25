"""MMAudio and ViSAudio by the command: a folder in the published layout is imported and makes sound for a video."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import run
from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import read_video
from tests.cli.conftest import write_noise_video
from tests.flow_folders import write_mmaudio_folder, write_visaudio_folder


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
    assert "short.mp4: duration_s is 0.333" in capsys.readouterr().err
    assert (tmp_path / "out" / "long.mono.wav").is_file()
