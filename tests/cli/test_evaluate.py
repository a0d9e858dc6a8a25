import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import run
from spatialfoley.media.audio import write_audio
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio


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
