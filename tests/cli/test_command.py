import subprocess
import sys
from pathlib import Path

import pytest

from spatialfoley.cli import run
from tests.model_folders import write_published_model


def modules_after(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules, file=sys.stderr)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stderr.split())


def test_help_and_import_need_neither_torch_nor_numpy() -> None:
    helped = modules_after("from spatialfoley.cli import run; run(['--help']); run(['generate', '--help'])")
    assert not helped & {"torch", "numpy", "av", "transformers"}
    assert not modules_after("import spatialfoley") & {"torch", "numpy", "av", "typer"}


def test_public_names_are_there() -> None:
    import spatialfoley

    for name in spatialfoley.__all__:
        assert getattr(spatialfoley, name).__name__ == name
    assert set(spatialfoley.__all__) <= set(dir(spatialfoley))
    with pytest.raises(AttributeError, match="has no attribute 'load_pipe'; it has CameraPose"):
        spatialfoley.load_pipe  # noqa: B018


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("spatialfoley ")
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in ("generate", "demo", "render", "models", "train", "doctor"))


def test_unknown_verbs_get_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compose"]) == 2
    assert capsys.readouterr().err.startswith("error: No such command 'compose'")


def test_doctor_names_what_is_here_and_what_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert run(["doctor"]) == 0
    shown = capsys.readouterr().out
    for part in ("torch", "auto takes", "cpu features", "ffmpeg", "codecs", "extra sofa", "tiny-visage"):
        assert part in shown
    assert "missing: spatialfoley models fetch visage" in shown


def test_models_are_listed_described_and_imported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    assert run(["models", "list"]) == 0
    assert "spatialfoley models fetch dac_44khz" in capsys.readouterr().out
    assert run(["models", "info", "visage"]) == 0
    assert "spatialfoley models import visage FOLDER" in capsys.readouterr().out
    folder = write_published_model(tmp_path / "copy")
    assert run(["models", "import", "visage", str(folder)]) == 0
    assert "licence not stated by its authors" in capsys.readouterr().out
    assert run(["models", "info", "visage"]) == 0
    assert "SHA-256" in capsys.readouterr().out
    assert run(["models", "info", "tiny-visaudio"]) == 0
    assert "SHA-256 of head.safetensors" in capsys.readouterr().out
    assert run(["models", "info", "visag"]) == 2
    names = "tiny-visage, tiny-visage-sc, tiny-visaudio, tiny-visaudio-foa, audio-spatial, visage"
    assert f"model is 'visag'; give one of {names}" in capsys.readouterr().err


def test_a_wrong_copy_is_not_imported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))
    folder = write_published_model(tmp_path / "copy")
    assert run(["models", "import", "visage", str(folder / "dac")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    assert run(["models", "info", "visage"]) == 0
    assert "not on this machine" in capsys.readouterr().out
