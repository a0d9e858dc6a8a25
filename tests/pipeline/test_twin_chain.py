"""The tiny twins' chain with random weights: lengths, places, continuation, words and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.generators.visaudio.sampler import Known
from spatialfoley.media.video import Video
from spatialfoley.pipeline.flow_clip import FlowRequest
from spatialfoley.pipeline.stream import stream_sound
from spatialfoley.pipeline.twin_loading import is_twin_folder, load_twin
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.twin_folders import write_twin_folder

CASES = [
    ("parametric", "binaural", 2),
    ("parametric", "foa", 4),
    ("sign-factored", "binaural", 2),
    ("sign-factored", "foa", 4),
    ("published", "binaural", 2),
]


def _video(seconds: float, seed: int = 0) -> Video:
    frames = np.random.default_rng(seed).integers(0, 256, (round(seconds * 10), 32, 32, 3), dtype=np.uint8)
    return Video.from_frames(frames, 10.0)


@pytest.mark.parametrize(("form", "layout", "channels"), CASES)
@pytest.mark.parametrize("seconds", [0.3, 2.0])
def test_sound_is_as_long_as_the_video(
    tmp_path: Path, form: str, layout: str, channels: int, seconds: float
) -> None:
    pipe = load_twin(write_twin_folder(tmp_path / "model", form, layout))
    sound = pipe(_video(seconds), seed=3)
    assert (sound.layout, sound.rate_hz) == (layout, 16000)
    assert sound.samples.shape == (channels, round(seconds * 16000))
    assert sound.peak > 0
    assert np.array_equal(pipe(_video(seconds), seed=3).samples, sound.samples)
    assert not np.array_equal(pipe(_video(seconds), seed=4).samples, sound.samples)


def test_a_turned_camera_turns_the_field_and_leaves_ears_alone(tmp_path: Path) -> None:
    field = load_twin(write_twin_folder(tmp_path / "field", "parametric", "foa"))
    straight = field(_video(1.0))
    turned = field(_video(1.0), camera=Direction(90.0))
    assert np.allclose(turned.samples, rotate(straight, yaw_deg=90.0).samples, atol=1e-5)
    ears = load_twin(write_twin_folder(tmp_path / "ears", "parametric", "binaural"))
    assert np.array_equal(ears(_video(1.0)).samples, ears(_video(1.0), camera=Direction(90.0)).samples)


def test_a_camera_that_turns_on_counts_from_the_start_of_the_clip(tmp_path: Path) -> None:
    pipe = load_twin(write_twin_folder(tmp_path / "model", "parametric", "foa"))
    zeros = np.zeros(2)
    camera = CameraTrajectory(np.array([0.0, 9.0]), np.array([0.0, 180.0]), zeros, zeros)
    turned, straight = pipe(_video(9.0), camera=camera), pipe(_video(9.0))
    undone = rotate(straight, trajectory=camera)
    assert np.allclose(turned.samples, undone.samples, atol=1e-4)


@pytest.mark.parametrize(("form", "layout"), [("parametric", "binaural"), ("sign-factored", "foa")])
def test_a_long_clip_is_the_same_in_memory_and_streamed(tmp_path: Path, form: str, layout: str) -> None:
    pipe = load_twin(write_twin_folder(tmp_path / "model", form, layout))
    video, request = _video(9.0), FlowRequest(seed=1)
    windows = pipe.windows(video, request)
    assert len(windows.plan.starts) > 1
    stream_sound(windows, tmp_path / "long.wav", "test")
    streamed, _ = soundfile.read(tmp_path / "long.wav", dtype="float32")
    sound, gain_db = pipe.generate(video, request)
    assert np.allclose(streamed.T * 10 ** (gain_db / 20), sound.samples, atol=1e-6)


def test_windows_share_their_latents_where_they_overlap(tmp_path: Path) -> None:
    pipe = load_twin(write_twin_folder(tmp_path / "model", "sign-factored", "binaural"))
    windows = pipe.windows(_video(9.0), FlowRequest())
    first, second = windows.plan.window(0), windows.plan.window(1)
    made, carry = windows.make(first, None)
    known = Known(carry["latents"], carry["noise"])
    again, _ = windows.make(second, carry)
    shared = windows.plan.shared_with_next(0)
    assert known.frames == shared // (2 * 320)
    # Past the reach of the codec from the ends, both decode the same wave.
    inner = slice(shared // 4, -shared // 4)
    assert np.allclose(made[:, -shared:][:, inner], again[:, :shared][:, inner], atol=2e-3)


def test_words_that_are_not_known_change_nothing_and_say_so(tmp_path: Path) -> None:
    pipe = load_twin(write_twin_folder(tmp_path / "model", "parametric", "binaural"))
    plain = pipe(_video(0.5))
    with pytest.warns(
        UserWarning, match=r"text 'a violin' names none of the words that model knows \(bell, drum\)"
    ):
        assert np.array_equal(pipe(_video(0.5), text="a violin").samples, plain.samples)
    assert not np.array_equal(pipe(_video(0.5), text="bell").samples, plain.samples)
    assert not np.array_equal(pipe(_video(0.5), negative_text="bell").samples, plain.samples)
    with pytest.warns(
        UserWarning, match="negative_text acts through guidance, which is off; give guidance 2"
    ):
        pipe(_video(0.5), negative_text="bell", guidance=1.0)


def test_another_rate_is_the_same_sound_at_that_rate(tmp_path: Path) -> None:
    pipe = load_twin(write_twin_folder(tmp_path / "model", "parametric", "foa"))
    assert pipe(_video(1.0), rate_hz=48000).samples.shape == (4, 48000)


def test_a_folder_says_what_it_is(tmp_path: Path) -> None:
    folder = write_twin_folder(tmp_path / "model", "parametric", "foa")
    assert is_twin_folder(folder)
    assert not is_twin_folder(tmp_path)
    described = load_twin(folder).describe()
    assert described["form"] == "parametric"
    assert set(described["weights_sha256"]) == {"twin", "prior", "head", "codec", "features"}


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = write_twin_folder(tmp_path / "model", "parametric", "foa")
    settings = json.loads((folder / "head.json").read_text(encoding="utf-8"))
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(ValueError, match=r"bare has no twin.json; give the folder of a whole model"):
        load_twin(bare)
    (folder / "head.json").write_text(json.dumps({**settings, "colour": 1}), encoding="utf-8")
    with pytest.raises(ValueError, match="unknown settings colour; known are"):
        load_twin(folder)
    manifest = {"family": "twin", "name": "model", "sampling": {"speed": 3}}
    (folder / "head.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "pipeline.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ValueError, match=r"model has impossible sampling: .*speed"):
        load_twin(folder)
