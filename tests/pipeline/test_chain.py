from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import Video
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.pipeline.chain import clip_seed
from spatialfoley.pipeline.clip import GenerationSettings
from spatialfoley.pipeline.stream import stream_sound
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.model_folders import write_published_model, write_tiny_model


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


def test_each_window_of_a_long_clip_goes_on_from_the_one_before(camera_model: Pipeline) -> None:
    conditions = camera_model.encode(noise_video(150, 12.0))
    assert len(conditions.windows) == 3
    fractions: list[float] = []
    tokens = camera_model.sample(conditions, report=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    hop, plan = camera_model.codec.hop_samples, conditions.plan
    for index in (0, 1):
        shared = plan.overlaps[index + 1] // hop
        assert shared >= 50
        assert torch.equal(tokens.codes[index][-shared:], tokens.codes[index + 1][:shared])
    assert camera_model.decode(tokens).samples.shape == (4, 200_000)


def overlap_of_decodings(pipe: Pipeline, video: Video) -> tuple[np.ndarray, np.ndarray]:
    """What two neighbours make of the overlap that they share, and both hold the same codes of."""
    conditions = pipe.encode(video)
    tokens, plan = pipe.sample(conditions), conditions.plan
    before, after = (pipe.steps.field(tokens.codes[k], plan, k, conditions.camera) for k in (0, 1))
    shared = plan.overlaps[1]
    return before[:, -shared:], after[:, :shared]


def test_both_sides_of_a_join_are_the_same_wave(camera_model: Pipeline, tmp_path: Path) -> None:
    published = load_pipeline(write_published_model(tmp_path / "published"))
    assert isinstance(published, Pipeline)
    for pipe in (camera_model, published):
        before, after = overlap_of_decodings(pipe, noise_video(75, 12.0))
        fade = slice(before.shape[1] // 2 - 400, before.shape[1] // 2 + 400)
        assert np.abs(before[:, fade]).max() > 0
        assert np.allclose(before[:, fade], after[:, fade], atol=1e-5 * np.abs(before).max())
        # The codec hears its neighbours: the very ends differ, and are left out.
        assert not np.allclose(before[:, -200:], after[:, -200:], atol=1e-3 * np.abs(before).max())


def test_a_clip_streamed_to_disk_is_the_clip_made_by_hand(camera_model: Pipeline, tmp_path: Path) -> None:
    video = noise_video(121, 12.0)
    turning = CameraTrajectory(np.array([0.0, 10.0]), np.array([0.0, 720.0]), np.zeros(2), np.zeros(2))
    stream_sound(camera_model.windows(video, turning, GenerationSettings(seed=4)), tmp_path / "sound.wav", "")
    streamed = read_audio(tmp_path / "sound.wav").samples
    whole = camera_model(video, turning, seed=4).samples
    assert streamed.shape == whole.shape == (4, round(121 / 12 * 16_000))
    gain = np.abs(whole).max() / np.abs(streamed).max()
    assert np.allclose(streamed * gain, whole, atol=1e-5)


def test_windows_hear_the_camera_at_the_time_of_the_clip(camera_model: Pipeline) -> None:
    """Turned on the clip's own clock, no window jumps: the whole is the still clip, turned as a whole."""
    video = noise_video(121, 12.0)
    turning = CameraTrajectory(np.array([0.0, 10.0]), np.array([0.0, 720.0]), np.zeros(2), np.zeros(2))
    ahead, moving = camera_model(video, seed=3), camera_model(video, turning, seed=3)
    assert np.allclose(rotate(ahead, trajectory=turning).samples, moving.samples, atol=1e-5)


def test_frames_are_decoded_window_by_window(camera_model: Pipeline, tmp_path: Path) -> None:
    """The first sound is on disk before the last frame is read."""
    video, asked = noise_video(150, 12.0), []

    class Watched:
        duration_s, start_s, path, width, height = video.duration_s, video.start_s, video.path, 32, 24

        def frames_at(self, times_s: np.ndarray, size_px: int) -> np.ndarray:
            asked.append((times_s.min(), times_s.max(), (tmp_path / "sound.wav").stat().st_size))
            return video.frames_at(times_s, size_px)

    maker = camera_model.windows(Watched(), Direction(0.0), GenerationSettings())  # type: ignore[arg-type]
    stream_sound(maker, tmp_path / "sound.wav", "")
    assert len(asked) == 3
    for index, (first_s, last_s, written) in enumerate(asked):
        start_s = maker.plan.starts[index] / 16_000
        assert first_s == pytest.approx(start_s)
        assert start_s + 4.9 < last_s < start_s + 5.0
        assert written >= 16 * maker.plan.fade_start(index)


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
