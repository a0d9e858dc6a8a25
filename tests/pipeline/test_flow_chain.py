from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.features.window_frames import chosen_times_s, resized_frames
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.config import MMAudioConfig
from spatialfoley.generators.visaudio.packed_flow import packing_refused
from spatialfoley.generators.visaudio.sampler import FlowSettings
from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import Video
from spatialfoley.pipeline import FlowPipeline, load_field_pipeline, load_pipeline
from spatialfoley.pipeline.flow_clip import FlowLatents, FlowRequest
from spatialfoley.pipeline.stream import stream_sound
from spatialfoley.pipeline.windows import plan_windows
from tests.flow_folders import BACKBONE, write_mmaudio_folder, write_visaudio_folder

SETTINGS = FlowSettings(steps=2)


def noise_video(seconds: float, rate_hz: float = 10.0, seed: int = 0) -> Video:
    frames = np.random.default_rng(seed).integers(0, 255, (round(seconds * rate_hz), 36, 48, 3), np.uint8)
    return Video.from_frames(frames, rate_hz)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A machine without downloaded weights."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
            patch.setenv(name, str(folder))
        yield folder


@pytest.fixture(scope="module")
def mono(tmp_path_factory: pytest.TempPathFactory, home: Path) -> FlowPipeline:
    pipe = load_pipeline(write_mmaudio_folder(tmp_path_factory.mktemp("mmaudio")))
    assert isinstance(pipe, FlowPipeline)
    return pipe


@pytest.fixture(scope="module")
def ears(tmp_path_factory: pytest.TempPathFactory, home: Path) -> FlowPipeline:
    pipe = load_pipeline(write_visaudio_folder(tmp_path_factory.mktemp("visaudio")))
    assert isinstance(pipe, FlowPipeline)
    return pipe


def test_frames_are_those_at_or_after_each_tick_and_the_last_one_stays() -> None:
    times = np.arange(10) / 10.0
    assert np.allclose(chosen_times_s(times, 0.0, 1.0, 4.0), [0.0, 0.3, 0.5, 0.8])
    # A window from 0.44 s on first sees what is on screen then, and its picture ends at 0.9 s.
    assert np.allclose(chosen_times_s(times, 0.44, 1.0, 4.0), [0.4, 0.7, 0.9, 0.9])
    assert len(chosen_times_s(np.array([0.0]), 0.0, 8.0, 25.0)) == 200


def test_frames_are_read_in_small_parts_without_change(monkeypatch: pytest.MonkeyPatch) -> None:
    video, times = noise_video(1.0), np.array([0.0, 0.0, 0.3, 0.9])
    whole = resized_frames(video, times, [lambda frames: frames])[0]
    monkeypatch.setattr("spatialfoley.features.window_frames._BYTES_AT_ONCE", 1)
    assert np.array_equal(resized_frames(video, times, [lambda frames: frames])[0], whole)
    assert np.array_equal(whole, video.frames_at(times, crop=None))


def test_a_panorama_is_seen_straight_ahead() -> None:
    frames = np.zeros((2, 32, 64, 3), np.uint8)
    frames[:, 8:24, 24:40] = 200
    seen = resized_frames(Video.from_frames(frames, 2.0), np.array([0.0]), [lambda views: views])[0]
    assert seen.shape == (1, 448, 448, 3)
    assert seen.mean() > 190


def test_eight_seconds_have_the_published_numbers_of_tokens(mono: FlowPipeline) -> None:
    clip = mono.encode(noise_video(8.0))
    assert len(clip.windows) == 1
    window = clip.windows[0]
    assert (window.clip.shape[1], window.sync.shape[1]) == (64, 192)
    assert clip.negative_text is None
    assert window.text_dropped is not None
    latents = mono.sample(clip, settings=FlowSettings(steps=1))
    assert latents.latents[0].shape == (1, 250, 20)


@pytest.mark.parametrize("seconds", [0.7, 1.3])
def test_sound_is_as_long_as_the_picture(mono: FlowPipeline, seconds: float) -> None:
    sound = mono(noise_video(seconds), seed=1, steps=2)
    assert (sound.layout, sound.rate_hz) == ("mono", 16000)
    assert sound.samples.shape == (1, round(seconds * 16000))
    assert 0 < sound.peak <= 1
    assert mono(noise_video(seconds), steps=1, rate_hz=48000).samples.shape[1] == round(seconds * 48000)


def test_each_window_of_a_long_clip_goes_on_from_the_one_before(mono: FlowPipeline, tmp_path: Path) -> None:
    video = noise_video(9.0, rate_hz=4.0)
    clip = mono.encode(video)
    # 282 latents of 32 ms in windows of the 250 that the network is trained on.
    assert clip.plan.starts == (0, 32 * 512)
    assert clip.plan.lengths == (250 * 512, 144_000 - 32 * 512)
    latents = mono.sample(clip, seed=5, settings=SETTINGS)
    assert torch.equal(latents.latents[0][:, 32:], latents.latents[1][:, :218])
    assert not torch.allclose(latents.latents[0][:, :32], latents.latents[1][:, -32:])
    whole = mono.decode(latents)
    assert whole.samples.shape == (1, 144_000)

    fractions: list[float] = []
    maker = mono.windows(video, FlowRequest(seed=5, steps=2), fractions.append)
    stream_sound(maker, tmp_path / "sound.wav", "")
    assert np.array_equal(read_audio(tmp_path / "sound.wav").samples, whole.samples)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_both_sides_of_a_join_are_nearly_the_same_wave(mono: FlowPipeline) -> None:
    """Not quite: the autoencoder's attention looks at the whole window."""
    plan = mono.steps.plan(15.0)
    latents = torch.randn(1, 469, 20, generator=torch.Generator().manual_seed(0))
    first = plan.starts[1] // 512
    before = mono.steps.sound(latents[:, :250], plan, 0)[:, -plan.overlaps[1] :]
    after = mono.steps.sound(latents[:, first : first + 250], plan, 1)[:, : plan.overlaps[1]]
    middle = slice(plan.overlaps[1] // 2 - 400, plan.overlaps[1] // 2 + 400)
    difference = before[:, middle] - after[:, middle]
    assert 0 < np.square(difference).mean() < 1e-4 * np.square(before[:, middle]).mean()


def test_windows_of_44_khz_have_the_published_numbers_of_tokens() -> None:
    """345 latents last 8.011 s, but a window is given the frames of the eight seconds of training."""
    sizes = MMAudioConfig.named("large_44k_v2")
    plan = plan_windows(44_100 * 600, 44_100, sizes.lengths(8.0).latent * 1024 / 44_100, 1.0, 1024, 8.02)
    assert plan.window_samples == 345 * 1024
    assert all(start % 1024 == 0 for start in plan.starts)


def test_the_same_seed_gives_the_same_sound_and_another_another(mono: FlowPipeline) -> None:
    clip = mono.encode(noise_video(0.7))
    made = [mono.sample(clip, seed, settings=SETTINGS).latents[0] for seed in (3, 3, 4)]
    assert torch.equal(made[0], made[1])
    assert not torch.allclose(made[0], made[2])


def test_picture_text_and_negative_text_change_the_sound(mono: FlowPipeline) -> None:
    first, second = noise_video(0.7), noise_video(0.7, seed=1)
    clips = [
        mono.encode(first),
        mono.encode(second),
        mono.encode(first, "dog"),
        mono.encode(first, "", "dog"),
    ]
    made = [mono.sample(clip, settings=SETTINGS).latents[0] for clip in clips]
    for index, one in enumerate(made):
        assert not any(torch.allclose(one, other) for other in made[index + 1 :])
    # Without guidance nobody reads what shall not be heard.
    unguided = [mono.sample(clip, 0, Guidance.none(), SETTINGS).latents[0] for clip in (clips[0], clips[3])]
    assert torch.equal(*unguided)


def test_two_ears_are_made_apart_and_share_one_gain(ears: FlowPipeline) -> None:
    sound = ears(noise_video(0.7), "dog", steps=2)
    assert (sound.layout, sound.samples.shape) == ("binaural", (2, 11200))
    assert not np.allclose(sound.samples[0], sound.samples[1])
    plan = plan_windows(1024, 16000, 8.0, 0.5)
    loud = torch.randn(2, 2, 20, generator=torch.Generator().manual_seed(0)) * 5
    together, gain_db = ears.decode_measured(FlowLatents((loud,), plan, 1024 / 16000))
    apart = [ears.codec.decode(loud[None, ear : ear + 1])[0, 0, :1024].numpy() for ear in (0, 1)]
    assert np.allclose(together.samples, np.stack(apart) * 10 ** (gain_db / 20), atol=1e-6)


def test_a_clip_shorter_than_a_segment_is_refused(mono: FlowPipeline) -> None:
    with pytest.raises(ValueError, match=r"duration_s is 0\.5, but one segment of frames needs 0\.64 s"):
        mono(noise_video(0.5))


def test_the_model_says_what_it_is(mono: FlowPipeline) -> None:
    described = mono.describe()
    assert described["model"] == "mmaudio_tiny_16k"
    assert described["layout"] == "mono"
    assert described["licence"] == "unknown, see where it came from"
    parts = {"generator", "mmaudio-vae-16k", "bigvgan-16k", "synchformer", "clip-dfn5b-h14"}
    assert described["weights_sha256"].keys() == parts


def test_16_bit_networks_make_nearly_the_same_latents(tmp_path: Path, mono: FlowPipeline) -> None:
    fast = load_pipeline(write_mmaudio_folder(tmp_path / "m"), dtype="fast")
    assert isinstance(fast, FlowPipeline)
    assert fast.describe()["kernel"] == "bfloat16"
    video = noise_video(0.7)
    exact, near = (pipe.sample(pipe.encode(video), settings=SETTINGS).latents[0] for pipe in (mono, fast))
    assert near.dtype == torch.float32
    assert (near - exact).norm() < 0.1 * exact.norm()


def test_networks_that_fit_the_cpu_follow_the_flow_packed(tmp_path: Path, home: Path) -> None:
    wide = replace(BACKBONE, hidden_dim=64)
    if reason := packing_refused(MMAudioNetwork(wide)):
        pytest.skip(reason)
    folder = write_visaudio_folder(tmp_path / "v", wide)
    plain, packed = (load_pipeline(folder, dtype=dtype) for dtype in ("auto", "bfloat16"))
    assert isinstance(plain, FlowPipeline)
    assert isinstance(packed, FlowPipeline)
    assert plain.network.packed is None
    assert packed.network.packed is not None
    assert packed.describe()["kernel"] == "bfloat16"
    video = noise_video(0.7)
    exact, near = (pipe.sample(pipe.encode(video), settings=SETTINGS).latents[0] for pipe in (plain, packed))
    assert (near - exact).norm() < 0.1 * exact.norm()


def test_what_needs_a_field_refuses_it(tmp_path: Path, home: Path) -> None:
    folder = write_mmaudio_folder(tmp_path / "m")
    with pytest.raises(
        ValueError, match=r"makes mono sound, but a sound field is needed here; give .* tiny-visage"
    ):
        load_field_pipeline(folder)
    with pytest.raises(
        ValueError, match="dtype is 'int8'; mmaudio_tiny_16k takes auto, float32, fast, bfloat16"
    ):
        load_pipeline(folder, dtype="int8")
