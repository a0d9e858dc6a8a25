"""A field from picture and text by the command: a spatial head on a published network, with random weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import run
from spatialfoley.media.audio import read_audio
from spatialfoley.spatial.foa import rotate
from tests.flow_folders import write_mmaudio_folder
from tests.head_folders import write_head_model


def command(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


def test_a_head_is_imported_and_makes_a_field(
    video_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    assert command("generate", video_file, "--model", "visaudio-foa") == 2
    assert "visaudio-foa is not on this machine, and no weights of it are published; train it" in (
        capsys.readouterr().err
    )
    network = write_mmaudio_folder(tmp_path / "MMAudio")
    trained = write_head_model(tmp_path / "run", network)
    (trained / "checkpoint.pt").write_bytes(b"left by the run")
    ears = write_head_model(tmp_path / "ears", network, "binaural")
    assert command("models", "import", "visaudio-foa", ears) == 2
    assert 'has no config.json with "model_type": "visaudio-foa"' in capsys.readouterr().err
    assert command("models", "import", "visaudio-foa", trained) == 0
    shown = capsys.readouterr().out
    assert "the MMAudio network under it is CC-BY-NC-4.0; no commercial use" in " ".join(shown.split())
    assert "visaudio-foa: spatial head on " in shown
    assert not (tmp_path / "home" / "models" / "visaudio-foa" / "checkpoint.pt").exists()

    options = ("--text", "dog", "--steps", 1, "--seed", 2)
    straight, turned = tmp_path / "straight", tmp_path / "turned"
    assert command("generate", video_file, "--model", "visaudio-foa", *options, "--out", straight) == 0
    names = {f"street{ending}" for ending in (".foa.wav", ".binaural.wav", ".mp4", ".energy.mp4", ".json")}
    assert {path.name for path in straight.iterdir()} == names
    sidecar = json.loads((straight / "street.json").read_text())
    assert sidecar["model"]["layout"] == "foa"
    assert sidecar["text"]["wanted"] == "dog"
    left_of = ("--azimuth-deg", 90, "--outputs", "foa")
    assert command("generate", video_file, "--model", trained, *options, *left_of, "--out", turned) == 0
    ahead, left = (read_audio(folder / "street.foa.wav") for folder in (straight, turned))
    assert ahead.samples.shape == (4, 16000)
    assert np.allclose(rotate(ahead, yaw_deg=90.0).samples, left.samples, atol=1e-5)
