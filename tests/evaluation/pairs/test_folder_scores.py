import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.pairs.folder_scores import score_folders
from spatialfoley.media.audio import write_audio
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio


def write_wave(path: Path, azimuth_deg: float, rate_hz: int = 16000) -> None:
    path.parent.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * rate_hz)
    write_audio(path, SpatialAudio(encode(noise, unit_vectors(azimuth_deg, 0)), rate_hz, "foa"))


def test_pairs_are_found_by_name_and_scored(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "generated", tmp_path / "truth"
    write_wave(ours / "a.foa.wav", 0, rate_hz=24000)
    write_wave(ours / "b.foa.wav", 60)
    write_wave(ours / "c.wav", 0)
    write_wave(theirs / "a.wav", 0)
    write_wave(theirs / "b.wav", 0)
    result = score_folders(ours, theirs, tmp_path / "out")
    assert (result.files, result.unmatched, result.failures) == (2, ["c"], {})
    assert result.figures["cc/all/correct"].value == pytest.approx((1 + 0.5) / 2, abs=1e-3)
    assert result.figures["peak_angle_deg"].value == pytest.approx(30, abs=1)
    assert result.figures["onset_error_s"].value < 0.02
    lines = (tmp_path / "out" / "scores.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["a", "b"]
    assert "| cc/all/correct | 0.750" in (tmp_path / "out" / "report.md").read_text()


def test_a_broken_file_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "generated", tmp_path / "truth"
    for folder in (ours, theirs):
        write_wave(folder / "a.wav", 0)
        write_wave(folder / "b.wav", 0)
    (ours / "b.wav").write_bytes(b"no sound")
    result = score_folders(ours, theirs, tmp_path / "out")
    assert result.files == 1
    assert list(result.failures) == ["b"]
    assert "- b failed: " in (tmp_path / "out" / "report.md").read_text()


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    write_wave(tmp_path / "x.wav", 0)
    write_wave(tmp_path / "y.wav", 0)
    assert score_folders(tmp_path / "x.wav", tmp_path / "y.wav", tmp_path / "out").files == 1


def test_missing_and_unlike_folders_are_named(tmp_path: Path) -> None:
    write_wave(tmp_path / "one" / "a.wav", 0)
    write_wave(tmp_path / "two" / "b.wav", 0)
    with pytest.raises(ValueError, match="nowhere does not exist"):
        score_folders(tmp_path / "one", tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ValueError, match=r"no name is in both .*one \(1 foa files\) and .*two \(1\)"):
        score_folders(tmp_path / "one", tmp_path / "two", tmp_path / "out")
    with pytest.raises(ValueError, match="layout is 'stereo'; it must be one of foa, binaural"):
        score_folders(tmp_path / "one", tmp_path / "two", tmp_path / "out", layout="stereo")  # type: ignore[arg-type]


def write_ears(path: Path, azimuth_deg: float) -> None:
    path.parent.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, 32000)
    field = SpatialAudio(encode(noise, unit_vectors(azimuth_deg, 0)), 16000, "foa")
    write_audio(path, render_binaural(field))


def test_two_ears_are_compared_by_side_level_and_time(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "generated", tmp_path / "truth"
    write_ears(ours / "a.binaural.wav", 60)
    write_ears(ours / "b.binaural.wav", -60)
    write_wave(ours / "a.foa.wav", 60)
    for name in ("a", "b"):
        write_ears(theirs / f"{name}.wav", 60)
    result = score_folders(ours, theirs, tmp_path / "out", layout="binaural")
    assert (result.files, result.unmatched, result.failures) == (2, [], {})
    assert result.figures["louder_ear_right"].value == 0.5
    assert result.figures["earlier_ear_right"].value == 0.5
    right, wrong = (json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines())
    assert right["level_error_db"] == pytest.approx(0, abs=1e-3)
    assert right["delay_error_us"] == 0
    assert wrong["level_error_db"] > 10
    assert wrong["delay_error_us"] > 500
    assert right["coherence"] == pytest.approx(right["true_coherence"])
    assert (right["one_channel_twice"], right["onset_error_s"]) == (0, 0)
