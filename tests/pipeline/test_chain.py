from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.media.video import Video
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.pipeline.chain import clip_seed
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.model_folders import write_tiny_model


@pytest.fixture(scope="module")
def camera_model(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return load_pipeline(write_tiny_model(tmp_path_factory.mktemp("models") / "camera"))


@pytest.fixture(scope="module")
def world_model(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "world", field_frame="world", init_std=0.5)
    return load_pipeline(folder)


def noise_video(frames: int, rate_hz: float, seed: int = 0, size: tuple[int, int] = (24, 32)) -> Video:
    pictures = np.random.default_rng(seed).integers(0, 255, (frames, *size, 3), np.uint8)
    return Video.from_frames(pictures, rate_hz)


@pytest.mark.parametrize(
    ("frames", "rate_hz"), [(3, 25.0), (6, 12.0), (13, 23.976), (17, 60.0), (25, 24000 / 1001), (41, 29.97)]
)
def test_sound_is_as_long_as_the_picture_to_the_sample(
    camera_model: Pipeline, frames: int, rate_hz: float
) -> None:
    video = noise_video(frames, rate_hz)
    foa = camera_model(video)
    assert foa.layout == "foa"
    assert foa.samples.shape == (4, round(frames / rate_hz * 16_000))
    assert np.isfinite(foa.samples).all()
    assert 0 < foa.peak <= 1


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_sound_at_another_rate_is_as_long_as_the_picture(camera_model: Pipeline, rate_hz: int) -> None:
    foa = camera_model(noise_video(7, 12.0), rate_hz=rate_hz)
    assert foa.rate_hz == rate_hz
    assert foa.samples.shape == (4, round(7 / 12 * rate_hz))


def test_a_turned_camera_turns_the_field_exactly(camera_model: Pipeline) -> None:
    video = noise_video(10, 12.0)
    ahead, left = camera_model(video, Direction(0.0), seed=7), camera_model(video, Direction(90.0), seed=7)
    assert np.allclose(rotate(ahead, yaw_deg=90.0).samples, left.samples, atol=1e-6)
    tilted = camera_model(video, CameraPose(30.0, 20.0, 10.0), seed=7)
    assert np.allclose(rotate(ahead, 30.0, 20.0, 10.0).samples, tilted.samples, atol=1e-6)


def test_a_moving_camera_turns_the_field_at_every_sample(camera_model: Pipeline) -> None:
    video = noise_video(12, 12.0)
    turning = CameraTrajectory(np.array([0.0, 1.0]), np.array([0.0, 180.0]), np.zeros(2), np.zeros(2))
    ahead, moving = camera_model(video, seed=3), camera_model(video, turning, seed=3)
    assert np.allclose(rotate(ahead, trajectory=turning).samples, moving.samples, atol=1e-6)
    assert np.allclose(ahead.samples[:, :5], moving.samples[:, :5], atol=1e-3)
    # Half a turn at the end: the front is at the back.
    assert np.allclose(ahead.samples[3, -5:], -moving.samples[3, -5:], atol=1e-2)


def test_a_world_model_is_told_where_the_camera_looks(world_model: Pipeline) -> None:
    conditions = world_model.encode(noise_video(5, 12.0), Direction(90.0, 0.0))
    # The network reads (right, down, forward): a camera to the left looks along minus right.
    assert torch.allclose(conditions.windows[0].direction, torch.tensor([[-1.0, 0.0, 0.0]]), atol=1e-6)
    ahead = world_model.encode(noise_video(5, 12.0))
    assert not torch.equal(world_model.sample(conditions).codes[0], world_model.sample(ahead).codes[0])


def test_the_same_seed_gives_the_same_sound_and_another_seed_another(camera_model: Pipeline) -> None:
    video = noise_video(6, 12.0)
    first = camera_model(video, seed=1)
    assert np.array_equal(first.samples, camera_model(video, seed=1).samples)
    assert not np.allclose(first.samples, camera_model(video, seed=2).samples)


def test_the_steps_by_hand_are_the_whole_chain(camera_model: Pipeline) -> None:
    video, camera = noise_video(6, 12.0), Direction(30.0, 10.0)
    tokens = camera_model.sample(camera_model.encode(video, camera), seed=5)
    assert np.array_equal(camera_model.decode(tokens).samples, camera_model(video, camera, seed=5).samples)


def test_clips_with_other_names_have_other_noise() -> None:
    seeds = {clip_seed(seed, clip) for seed in (0, 1) for clip in ("a.mp4@0", "b.mp4@0", "a.mp4@1")}
    assert len(seeds) == 6
    assert min(seeds) >= 0


def test_a_long_clip_is_made_of_windows_in_one_batch_or_several(camera_model: Pipeline) -> None:
    video = noise_video(66, 12.0)
    conditions = camera_model.encode(video)
    assert len(conditions.windows) == 2
    fractions: list[float] = []
    tokens = camera_model.sample(conditions, report=fractions.append)
    assert len(tokens.codes) == 2
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    foa = camera_model.decode(tokens)
    assert foa.samples.shape == (4, 88_000)
    # No hole at the seam: the crossfade keeps the level.
    seam = conditions.plan.starts[1] + conditions.plan.overlap_samples // 2
    around = foa.samples[0, seam - 800 : seam + 800]
    assert np.sqrt(np.mean(around**2)) > 0.2 * np.sqrt(np.mean(foa.samples[0] ** 2))


def test_five_seconds_and_five_milliseconds_still_are_one_window(camera_model: Pipeline) -> None:
    conditions = camera_model.encode(noise_video(120, 23.976, size=(8, 8)))
    assert len(conditions.windows) == 1
    assert conditions.windows[0].frames.shape[1] == 100


def test_guidance_follows_the_scales_that_are_given(camera_model: Pipeline) -> None:
    assert camera_model.guidance(None, None).name == "none"
    assert camera_model.guidance(2.0, None).name == "visual"
    assert camera_model.guidance(None, 2.0).name == "directional"
    assert camera_model.guidance(2.0, 1.0).weights == (1.0, 2.0, 1.0, -3.0)
    video = noise_video(4, 12.0)
    assert not np.allclose(
        camera_model(video, guidance_visual=5.0).samples, camera_model(video, guidance_visual=0.0).samples
    )


def test_of_a_panorama_the_network_sees_the_view_ahead(camera_model: Pipeline) -> None:
    pictures = np.zeros((4, 64, 128, 3), np.uint8)
    pictures[:, :, 40:88] = 255  # the quarter of the sphere in front, and a little more
    video = Video.from_frames(pictures, 12.0)
    ahead = camera_model.encode(video).windows[0].frames
    white = Video.from_frames(np.full((4, 32, 32, 3), 255, np.uint8), 12.0)
    assert torch.allclose(ahead, camera_model.encode(white).windows[0].frames, atol=1e-4)
    flat = camera_model.encode(video, panorama=False).windows[0].frames
    assert not torch.allclose(ahead, flat, atol=1e-2)


def test_a_negative_seed_is_refused(camera_model: Pipeline) -> None:
    with pytest.raises(ValueError, match="seed is -1; give a whole number from 0"):
        camera_model(noise_video(3, 12.0), seed=-1)


def test_description_names_model_licence_and_weights(camera_model: Pipeline) -> None:
    description = camera_model.describe()
    assert description["model"] == "random-tiny"
    assert description["licence"] == "MIT"
    assert set(description["weights_sha256"]) == {"generator", "features", "codec"}
    assert all(len(digest) == 64 for digest in description["weights_sha256"].values())


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config has clip_frame_rate 4, but the visual encoder has 20"):
        load_pipeline(write_tiny_model(tmp_path / "m", clip_frame_rate=4))
