import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.cli import run
from tests.evaluation.pairs.sounds import ears, mono, sound, wave, write


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path / "home"))


def figures(out: Path, system: str) -> dict:
    """Values of a system by key, from all tables."""
    tables = json.loads((out / "results.json").read_text())["tables"]
    rows = [row for table in tables for row in table["rows"] if row["name"] == system]
    return {key: figure and figure["value"] for row in rows for key, figure in row["figures"].items()}


def test_folders_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index, name in enumerate("abc"):
        write(tmp_path / "truth" / f"{name}.wav", wave(30 * index, seed=index))
        write(tmp_path / "ours" / f"{name}.foa.wav", wave(30 * index + 40, seed=index))
        write(tmp_path / "theirs" / f"{name}.wav", mono(seed=index))
    out = tmp_path / "out"
    arguments = [
        str(tmp_path / "ours"),
        f"MMAudio={tmp_path / 'theirs'}:mono",
        "--jobs",
        "1",
        "--out",
        str(out),
    ]
    assert run(["evaluate", *arguments, "--reference", str(tmp_path / "truth")]) == 0
    shown = capsys.readouterr().out
    assert "pairs scored: 6, failed: 0" in shown
    assert "angle of the peaks" in shown
    assert figures(out, "ours")["peak_angle_deg"] == pytest.approx(40, abs=1)
    assert figures(out, "MMAudio")["peak_angle_deg"] is None
    assert figures(out, "MMAudio")["one_channel_twice"] == 1
    for name in ("report.md", "tables.tex", "results.json", "scores.jsonl"):
        assert (out / name).is_file()
    document = json.loads((out / "results.json").read_text())
    assert str(tmp_path) not in json.dumps(document["provenance"])
    assert document["provenance"]["weights_sha256"].keys() == {"world"}


def test_one_bad_file_makes_the_exit_code_1_and_all_make_it_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        write(tmp_path / "truth" / f"{name}.wav", ears(30))
        write(tmp_path / "ours" / f"{name}.wav", ears(30))
    write(tmp_path / "ours" / "b.wav", sound(np.zeros((2, 90000), np.float32), "binaural"))
    arguments = [str(tmp_path / "ours"), "--reference", str(tmp_path / "truth"), "--listeners", "none"]
    arguments += ["--jobs", "1", "--out", str(tmp_path / "out")]
    assert run(["evaluate", *arguments]) == 1
    said = capsys.readouterr()
    assert "pairs scored: 1, failed: 1" in said.out
    assert "ours/b" in said.err
    assert "b.wav lasts 5.62 s and its truth 2.00 s; they may differ by 0.20 s" in said.err
    (tmp_path / "ours" / "a.wav").write_bytes(b"no sound")
    assert run(["evaluate", *arguments]) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give GENERATED and --reference, --suite world with --model, or the word check"),
        (["--suite", "moon"], "--suite is 'moon'; the only suite is world"),
        (["x", "--suite", "world"], "leave out GENERATED and --reference"),
        (
            ["--suite", "world", "--camera", "handheld"],
            "camera is 'handheld'; it must be static, turning or None",
        ),
        (["--suite", "world", "--clips", "0"], "clips is 0; it must be 1 or more"),
        (["/nowhere", "--reference", "/nowhere"], "/nowhere does not exist"),
        (
            ["/nowhere", "--reference", "/nowhere", "--layout", "quad"],
            "--layout is 'quad'; it must be one of auto",
        ),
        (["/nowhere", "--reference", "/nowhere", "--jobs", "0"], "--jobs is 0; give 1 process or more"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["--protocol", "theirs"], "protocol is 'theirs'; it must be one of ours, visage, visaudio"),
        (["--listeners", "parrot"], "parrot"),
        (["--restore", "ours"], "sound made for compressed video is restored by --protocol visaudio only"),
        (["--restore", "others"], "restored names 'others'; the systems are ours"),
        (["--desync"], "synchformer is not on this machine"),
        (["--agreement", "imagebind"], "agreement 'imagebind' (such as the IB-Score) needs a plug-in"),
        (["--videos", "/nowhere"], "/nowhere is no folder; give that of the clips' videos"),
        (["--protocol", "visage"], "vggish"),
    ],
)
def test_settings_that_cannot_be_met_are_said_before_any_work(
    tmp_path: Path, extra: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("ours", "truth"):
        write(tmp_path / folder / "a.wav", wave(0))
    out = tmp_path / "out"
    arguments = [str(tmp_path / "ours"), "--reference", str(tmp_path / "truth"), "--out", str(out)]
    if extra in (["--desync"], ["--agreement", "imagebind"]):
        extra = [*extra, "--videos", str(tmp_path), "--partial"]
    assert run(["evaluate", *arguments, *extra]) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert not (out / "scores.jsonl").exists()


def test_the_word_check_measures_this_installation(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "check"]) == 0
    assert "right" in capsys.readouterr().out
