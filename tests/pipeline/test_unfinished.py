import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.media.audio import read_audio
from spatialfoley.media.errors import MediaError
from spatialfoley.media.video import read_video
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.pipeline.batch import Job
from spatialfoley.pipeline.clip import Camera, GenerationSettings
from spatialfoley.pipeline.levels import within_full_scale
from spatialfoley.pipeline.requests import Request, fulfil, is_fulfilled
from spatialfoley.pipeline.unfinished import fingerprint
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.cli.conftest import write_noise_video
from tests.model_folders import write_tiny_model

TURNING = CameraTrajectory(np.array([0.0, 10.0]), np.array([0.0, 180.0]), np.zeros(2), np.zeros(2))
SOUND = Request(seed=2, outputs=("foa", "binaural"))


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    model = load_pipeline(write_tiny_model(tmp_path_factory.mktemp("models") / "m"))
    assert isinstance(model, Pipeline)
    return model


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A video of three windows."""
    return Job(write_noise_video(tmp_path_factory.mktemp("videos") / "long.mp4", frames=130), "long")


def dies_after(fraction: float) -> object:
    def report(done: float) -> None:
        if done > fraction:
            raise KilledError

    return report


def make(pipe: Pipeline, job: Job, out: Path, camera: Camera = TURNING, **changes: object) -> dict[str, Path]:
    return fulfil(SOUND, job, out, pipe, camera=camera, **changes)  # type: ignore[arg-type]


def test_a_long_video_becomes_the_sound_of_the_steps_by_hand(
    pipe: Pipeline, job: Job, tmp_path: Path
) -> None:
    files = make(pipe, job, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "long.binaural.wav",
        "long.foa.wav",
        "long.json",
    ]
    written = read_audio(files["foa"])
    by_hand = pipe(read_video(job.source), TURNING, seed=2)
    assert written.samples.shape == by_hand.samples.shape == (4, round(130 / 12 * 16_000))
    # One step of 24 bits, and the rounding of the gain.
    assert np.allclose(written.samples, by_hand.samples, atol=2**-23 + 2e-7)
    sound = json.loads(files["sidecar"].read_text())["sound"]
    assert (sound["windows"], sound["draws"], sound["samples"]) == (3, 1, written.frames)


def test_a_killed_run_is_taken_up_and_its_files_have_the_same_bytes(
    pipe: Pipeline, job: Job, tmp_path: Path
) -> None:
    whole = make(pipe, job, tmp_path / "whole")
    out = tmp_path / "killed"
    fractions: list[float] = []
    for fraction in (0.5, 0.75):
        with pytest.raises(KilledError):
            make(pipe, job, out, report=dies_after(fraction))
        assert [path.name for path in out.iterdir()] == [".long.unfinished"]
        assert not is_fulfilled(SOUND, job, out, pipe)
    again = make(pipe, job, out, report=fractions.append)
    assert fractions[0] > 0.6
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in whole["foa"].parent.iterdir()
    )
    for kind in ("foa", "binaural", "sidecar"):
        assert again[kind].read_bytes() == whole[kind].read_bytes()


def test_another_rate_is_a_second_pass_over_the_sound_that_is_there(
    pipe: Pipeline, job: Job, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        make(pipe, job, tmp_path, report=dies_after(0.85))
    fractions: list[float] = []
    request = Request(seed=2, outputs=("foa",), rate_hz=44_100)
    written = read_audio(fulfil(request, job, tmp_path, pipe, fractions.append, TURNING)["foa"])
    assert fractions[0] > 0.6
    by_hand = pipe.generate(read_video(job.source), TURNING, GenerationSettings(2, rate_hz=44_100)).foa
    assert written.samples.shape == by_hand.samples.shape == (4, round(130 / 12 * 44_100))
    assert np.allclose(written.samples, by_hand.samples, atol=2**-23 + 2e-6)
    assert within_full_scale(written)[1] == 0.0


def test_two_runs_do_not_make_one_clip_at_once(pipe: Pipeline, job: Job, tmp_path: Path) -> None:
    refusals: list[str] = []

    def second_run(fraction: float) -> None:
        if not refusals:
            with pytest.raises(MediaError) as refusal:
                make(pipe, job, tmp_path)
            refusals.append(str(refusal.value))
        raise KilledError

    with pytest.raises(KilledError):
        make(pipe, job, tmp_path, report=second_run)
    assert "another run is making this clip; wait for it, or choose another folder" in refusals[0]


def test_a_run_is_taken_up_for_the_same_sound_only() -> None:
    record = {"seed": 2, "outputs": ("foa",), "fov_deg": 90.0, "rate_hz": None, "input": "a.mp4"}
    model = {"weights_sha256": {"generator": "1"}}
    same = fingerprint(record, model, TURNING)
    assert fingerprint({**record, "outputs": ("video",), "rate_hz": 48_000}, model, TURNING) == same
    others = [
        fingerprint({**record, "seed": 3}, model, TURNING),
        fingerprint(record, {"weights_sha256": {"generator": "2"}}, TURNING),
        fingerprint(record, model, Direction(1.0)),
        fingerprint(record, model, TURNING.seen_from(1.0)),
    ]
    assert len({same, *others}) == 5
