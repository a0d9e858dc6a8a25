import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import run
from spatialfoley.media.audio import write_audio
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from tests.flow_folders import write_visaudio_folder
from tests.twin_folders import write_twin_folder


def test_a_model_is_scored_on_the_world(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--suite", "world", "--model", str(tiny_model), "--out", str(tmp_path)]
    arguments += ["--clips", "2", "--turn-clips", "1", "--duration-s", "1"]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "angle, median" in shown
    assert "the field turns by" in shown
    results = json.loads((tmp_path / "results.json").read_text())
    row = results["tables"]["single in view"]
    assert set(row) == {"generated", "truth", "codec", "ambi_encode", "noise"}
    assert row["truth"]["angle_median_deg"]["value"] < 1
    assert results["failures"] == {}
    before = (tmp_path / "clips.jsonl").read_text()
    assert run(arguments) == 0
    assert (tmp_path / "clips.jsonl").read_text() == before


def test_folders_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field = encode(np.random.default_rng(0).normal(0, 0.1, 16000), unit_vectors(30, 0))
    for folder in ("ours", "truth"):
        (tmp_path / folder).mkdir()
        write_audio(tmp_path / folder / "a.foa.wav", SpatialAudio(field, 16000, "foa"))
    arguments = [
        str(tmp_path / "ours"),
        "--reference",
        str(tmp_path / "truth"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert run(["evaluate", *arguments]) == 0
    assert "1 files scored, 0 failed" in capsys.readouterr().out
    assert (
        json.loads((tmp_path / "out" / "results.json").read_text())["figures"]["cc/all/correct"]["value"]
        > 0.999
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give GENERATED and --reference, or --suite world with --model"),
        (["--suite", "moon"], "--suite is 'moon'; the only suite is world"),
        (["x", "--suite", "world"], "leave out GENERATED and --reference"),
        (
            ["--suite", "world", "--camera", "handheld"],
            "camera is 'handheld'; it must be static, turning or None",
        ),
        (["--suite", "world", "--clips", "0"], "clips is 0; it must be 1 or more"),
        (["/nowhere", "--reference", "/nowhere"], "/nowhere does not exist"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert len(error.splitlines()) == 1


def test_a_model_of_two_ears_is_asked_without_a_camera_and_scored_by_them(tmp_path: Path) -> None:
    row = scored_on_one_clip(write_visaudio_folder(tmp_path / "visaudio"), tmp_path / "scores")
    assert row["angle_median_deg"] is None
    assert row["ear_coherence_median"]["count"] == 1


@pytest.mark.parametrize(("form", "layout"), [("sign-factored", "binaural"), ("parametric", "foa")])
def test_a_tiny_twin_is_scored_by_what_it_makes(form: str, layout: str, tmp_path: Path) -> None:
    row = scored_on_one_clip(write_twin_folder(tmp_path / "twin", form, layout), tmp_path / "scores")
    assert (row["angle_median_deg"] is not None) == (layout == "foa")
    assert row["ear_coherence_median"]["count"] == 1


def scored_on_one_clip(model: Path, out: Path) -> dict:
    arguments = ["evaluate", "--suite", "world", "--model", str(model), "--out", str(out)]
    assert run([*arguments, "--clips", "1", "--turn-clips", "0", "--duration-s", "1"]) == 0
    return json.loads((out / "results.json").read_text())["tables"]["single in view"]["generated"]
