"""A spatial head on a frozen MMAudio network, random weights: shapes, axes, refusals; not how it sounds."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spatialfoley.generators.visaudio.spatial_head import SpatialHead, SpatialHeadConfig
from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import Video, read_video
from spatialfoley.pipeline import FlowPipeline, load_field_pipeline, load_pipeline
from spatialfoley.pipeline.fitting import refuse_misfits
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.stream import stream_sound
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.cli.conftest import write_noise_video
from tests.flow_folders import write_mmaudio_folder
from tests.head_folders import SIZES, write_head_model

SHARED = Path(os.environ.get("SPATIALFOLEY_SHARED_DIR", Path(__file__).parents[3] / "shared"))
REQUEST = FlowRequest("dog", seed=3, steps=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The frozen network and two heads on it, on a machine without other weights."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
            patch.setenv(name, str(folder / "home"))
        network = write_mmaudio_folder(folder / "MMAudio")
        write_head_model(folder / "field", network)
        write_head_model(folder / "ears", network / "weights" / "mmaudio_tiny_16k.pth", "binaural")
        yield folder


def loaded(folder: Path) -> FlowPipeline:
    pipe = load_pipeline(folder)
    assert isinstance(pipe, FlowPipeline)
    return pipe


@pytest.fixture(scope="module")
def mono(folder: Path) -> FlowPipeline:
    return loaded(folder / "MMAudio")


@pytest.fixture(scope="module")
def field(folder: Path) -> FlowPipeline:
    return loaded(folder / "field")


@pytest.fixture(scope="module")
def ears(folder: Path) -> FlowPipeline:
    return loaded(folder / "ears")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Video:
    return read_video(write_noise_video(tmp_path_factory.mktemp("v") / "street.mp4", frames=9))


def before_gain(pipe: FlowPipeline, video: Video, **camera: Any) -> np.ndarray:
    windows = pipe.windows(video, REQUEST, **camera)
    return windows.make(windows.plan.window(0), None)[0]


def test_w_is_bit_for_bit_what_mmaudio_makes_alone(
    mono: FlowPipeline, field: FlowPipeline, video: Video
) -> None:
    alone = before_gain(mono, video)
    placed = before_gain(field, video)
    turned = before_gain(field, video, camera=Direction(70.0, 20.0))
    assert (alone.shape, placed.shape) == ((1, 12000), (4, 12000))
    assert np.array_equal(placed[0], alone[0])
    assert np.array_equal(turned[0], alone[0])
    assert np.abs(placed[1:]).max(axis=1).min() > 0.01 * np.abs(alone).max()
    sound, gain_db = field.generate(video, REQUEST)
    assert np.allclose(sound.samples, placed * 10 ** (gain_db / 20), atol=1e-6)
    by_hand = [pipe.sample(pipe.encode(video, "dog"), 3, settings=pipe.settings(1)) for pipe in (mono, field)]
    assert torch.equal(by_hand[0].latents[0], by_hand[1].latents[0])
    assert np.array_equal(field.decode(by_hand[1]).samples[0] > 0, alone[0] > 0)


def test_sound_is_as_long_as_the_picture(field: FlowPipeline, ears: FlowPipeline, video: Video) -> None:
    for pipe, layout, channels in ((field, "foa", 4), (ears, "binaural", 2)):
        sound = pipe(video, "dog", steps=1)
        assert (pipe.layout, sound.layout, sound.rate_hz) == (layout, layout, 16000)
        assert sound.samples.shape == (channels, 12000)
        assert 0 < sound.peak <= 1
    assert field(video, steps=1, rate_hz=48000).samples.shape == (4, 36000)


def test_ears_stay_at_the_camera(ears: FlowPipeline, video: Video) -> None:
    straight = before_gain(ears, video)
    assert not np.allclose(straight[0], straight[1])
    assert np.array_equal(before_gain(ears, video, camera=Direction(90.0)), straight)


def test_a_turned_camera_turns_the_field(field: FlowPipeline, video: Video) -> None:
    straight = field(video, steps=1)
    turned = field(video, steps=1, camera=Direction(90.0))
    assert np.allclose(turned.samples, rotate(straight, yaw_deg=90.0).samples, atol=1e-5)
    assert not np.allclose(turned.samples, straight.samples, atol=1e-3)


def test_a_long_clip_under_a_moving_camera_is_the_same_in_memory_and_streamed(
    field: FlowPipeline, tmp_path: Path
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (18, 32, 32, 3), np.uint8)
    long = Video.from_frames(frames, 2.0)
    still = np.zeros(2)
    camera = CameraTrajectory(np.array([0.0, 9.0]), np.array([0.0, 180.0]), still, still)
    windows = field.windows(long, REQUEST, camera=camera)
    assert len(windows.plan.starts) == 2
    stream_sound(windows, tmp_path / "long.wav", "test")
    sound, gain_db = field.generate(long, REQUEST, camera=camera)
    streamed = read_audio(tmp_path / "long.wav").samples
    assert sound.samples.shape == (4, 144_000)
    assert np.allclose(streamed * 10 ** (gain_db / 20), sound.samples, atol=1e-6)


@pytest.mark.skipif(
    not (SHARED / "data/video/flower.mp4").is_file(), reason="no real videos beside the repository"
)
def test_a_real_video_gets_a_field_of_its_length(field: FlowPipeline) -> None:
    video = read_video(SHARED / "data/video/flower.mp4", 0.0, 0.7)
    sound = field(video, "dog", steps=1, camera=Direction(-30.0))
    assert sound.samples.shape == (4, round(video.duration_s * 16000))


def test_the_model_says_what_it_sits_on(field: FlowPipeline, folder: Path) -> None:
    described = field.describe()
    network = folder / "MMAudio"
    assert described["model"] == "field"
    assert described["layout"] == "foa"
    assert described["licence"] == (
        f"of the frozen {network}: unknown, see where it came from; of the spatial head: unknown, see where "
        "it came from"
    )
    assert {"generator", "head", "pe-spatial-l14"} <= set(described["weights_sha256"])
    again = load_field_pipeline(folder / "field")
    assert isinstance(again, FlowPipeline)
    assert again.layout == "foa"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_dim": 40}, "the spatial head has latent_dim 40, but the network has 20"),
        ({"sync_dim": 17}, "the spatial head has sync_dim 17, but the Synchformer has 16"),
        ({"pe_dim": 4}, "the spatial head has pe_dim 4, but the PE-Spatial has 16"),
        ({"pe_grid": 16}, "the spatial head has pe_grid 16, but the PE-Spatial has 8"),
        ({"bands": 3}, "the spatial head has bands 3, but the synthesis has 4"),
        ({"frames_per_token": 2}, "the spatial head has frames_per_token 2, but the network has 1"),
    ],
)
def test_a_head_of_other_sizes_is_one_sentence(
    field: FlowPipeline, changes: dict[str, int], message: str
) -> None:
    head = SpatialHead(SpatialHeadConfig(**{**SIZES, "layout": "foa", **changes}))
    with pytest.raises(ValueError, match=f"^{message}; use files that belong together$"):
        refuse_misfits(field.network, field.encoders, field.codec, head)


def test_damaged_folders_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    network = folder / "MMAudio"
    model = write_head_model(tmp_path / "model", network, hidden_dim=8)
    settings = json.loads((model / "head.json").read_text())
    (model / "head.json").write_text(json.dumps({**settings, "hidden_dim": 12}))
    with pytest.raises(
        ValueError, match=r"head\.safetensors does not fit the model: of \d+ tensors .* of another shape"
    ):
        load_pipeline(model)
    (model / "head.json").write_text(json.dumps({**settings, "layout": "binaural"}))
    with pytest.raises(ValueError, match=r"head\.json has layout 'binaural', but config\.json says 'foa'"):
        load_pipeline(model)
    (model / "head.json").unlink()
    with pytest.raises(ValueError, match=r"head\.json cannot be read .*; copy the head again, or train one"):
        load_pipeline(model)
    for generator, message in (
        (None, r"has generator None; name the MMAudio network that the head was trained on"),
        ("nowhere", r"has generator 'nowhere', which is no MMAudio network; name the one"),
        (str(folder / "ears"), r"which is no MMAudio network; name the one"),
        (
            "mmaudio_small_16k",
            "model needs the network it was trained on, but mmaudio_small_16k is not on this machine; "
            "'spatialfoley models fetch mmaudio_small_16k' gets it",
        ),
    ):
        (model / "config.json").write_text(json.dumps({"model_type": "visaudio-foa", "generator": generator}))
        with pytest.raises(ValueError, match=message):
            load_pipeline(model)
