"""`generate --camera FILE`: a field that stays in the world while the camera turns."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.audio import read_audio
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.foa import as_world, listen_from
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.cli.conftest import write_noise_video
from tests.cli.test_generate import generate, names_in, sentence
from tests.twin_folders import write_twin_folder

POSES = "time_s,yaw_deg,pitch_deg,roll_deg\n0,0,0,0\n1,120,20,-10\n"
TURNING = CameraTrajectory([0, 1], [0, 120], [0, 20], [0, -10])


@pytest.fixture
def camera_file(tmp_path: Path) -> Path:
    path = tmp_path / "turn.csv"
    path.write_text(POSES)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_turning_camera_turns_the_field_and_not_what_it_hears(
    video_file: Path, tiny_model: Path, camera_file: Path, tmp_path: Path
) -> None:
    still, turned = tmp_path / "still", tmp_path / "turned"
    assert generate(video_file, "--model", tiny_model, "--out", still, "--outputs", "foa") == 0
    arguments = (video_file, "--model", tiny_model, "--out", turned, "--camera", camera_file)
    assert generate(*arguments, "--outputs", "foa,binaural") == 0
    at_the_camera, in_the_world = (read_audio(folder / "street.foa.wav") for folder in (still, turned))
    np.testing.assert_allclose(in_the_world.samples, as_world(at_the_camera, TURNING).samples, atol=1e-5)
    sidecar = json.loads((turned / "street.json").read_text())
    ears = render_binaural(listen_from(in_the_world, TURNING)).samples * 10 ** (
        sidecar["binaural_gain_db"] / 20
    )
    np.testing.assert_allclose(read_audio(turned / "street.binaural.wav").samples, ears, atol=1e-3)
    assert sidecar["camera"]["moves"]
    assert sidecar["request"]["camera_file"]["name"] == "turn.csv"


def test_the_camera_turns_the_field_of_a_flow_too(
    video_file: Path, camera_file: Path, tmp_path: Path
) -> None:
    twin = write_twin_folder(tmp_path / "twin", "parametric", "foa")
    still, turned = tmp_path / "still", tmp_path / "turned"
    for out, options in ((still, ()), (turned, ("--camera", camera_file))):
        arguments = (video_file, "--model", twin, "--out", out, "--steps", 2, "--outputs", "foa")
        assert generate(*arguments, *options) == 0
    at_the_camera, in_the_world = (read_audio(folder / "street.foa.wav") for folder in (still, turned))
    assert at_the_camera.peak > 1e-3
    np.testing.assert_allclose(in_the_world.samples, as_world(at_the_camera, TURNING).samples, atol=1e-5)


def test_a_camera_is_refused_for_sound_that_is_at_the_camera(
    video_file: Path, camera_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = write_twin_folder(tmp_path / "twin", "parametric", "binaural")
    assert generate(video_file, "--model", twin, "--out", tmp_path / "out", "--camera", camera_file) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert re.search(r"camera_file is .*turn.csv, but .* makes binaural sound at the camera", lines[-1]), (
        lines
    )


def test_a_finished_video_is_made_again_only_for_another_camera(
    video_file: Path, tiny_model: Path, camera_file: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (video_file, "--model", tiny_model, "--out", out, "--camera", camera_file, "--outputs", "foa")
    assert generate(*arguments) == 0
    first = (out / "street.foa.wav").read_bytes()
    capsys.readouterr()
    assert generate(*arguments) == 0
    assert "done before, skipped" in capsys.readouterr().out
    camera_file.write_text(POSES.replace("120", "-120"))
    assert generate(*arguments) == 0
    assert (out / "street.foa.wav").read_bytes() != first


def test_the_camera_of_a_stretch_counts_from_the_start_of_the_video(
    video_file: Path, tiny_model: Path, camera_file: Path, out: Path
) -> None:
    arguments = (video_file, "--model", tiny_model, "--out", out, "--camera", camera_file, "--start-s", 0.5)
    assert generate(*arguments, "--outputs", "foa") == 0
    assert json.loads((out / "street.json").read_text())["camera"]["yaw_deg"] == pytest.approx(60)


@pytest.mark.parametrize(
    ("poses", "options", "message"),
    [
        (POSES, ("--azimuth-deg", 0), "--camera is .*turn.csv, but --azimuth-deg or --elevation-deg is given too"),
        (POSES, ("--elevation-deg", 9), "--camera is .*turn.csv, but --azimuth-deg or --elevation-deg is given"),
        ("time,yaw\n0,0\n1,nan\n", (), "line 3 of .*turn.csv has yaw_deg nan"),
        ("time,yaw\n1.5,0\n2,0\n", (), "turn.csv starts at 1.5 s .* but the clip at 0 s"),
    ],
)  # fmt: skip
def test_a_camera_that_cannot_be_used_is_one_sentence(
    video_file: Path,
    tiny_model: Path,
    camera_file: Path,
    out: Path,
    poses: str,
    options: tuple[object, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    camera_file.write_text(poses)
    assert generate(video_file, "--model", tiny_model, "--out", out, "--camera", camera_file, *options) == 2
    found = sentence(capsys)
    assert re.search(message, found), found
    assert not names_in(out)


def test_one_camera_file_is_for_one_video(
    video_file: Path, tiny_model: Path, camera_file: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_noise_video(video_file.with_name("river.mp4"), seed=1)
    assert generate(video_file.parent, "--model", tiny_model, "--out", out, "--camera", camera_file) == 2
    assert "the camera of one video, but 2 are given" in sentence(capsys)
