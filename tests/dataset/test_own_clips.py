import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from spatialfoley.cli import run
from spatialfoley.dataset.own_clips import Recording, find_recordings, prepare_recordings
from spatialfoley.media.audio import write_audio
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.video import Video
from spatialfoley.pipeline import Pipeline, load_pipeline
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from tests.model_folders import write_tiny_model


def write_recording(
    folder: Path, name: str, duration_s: float, sound_from: Direction, camera: Direction | None = None
) -> None:
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(len(name))
    frames = generator.integers(0, 255, (round(duration_s * 20), 32, 48, 3), np.uint8)
    write_frames(folder / f"{name}.mp4", iter(frames), 20.0)
    noise = generator.standard_normal(round(duration_s * 48_000)) * 0.1
    write_audio(folder / f"{name}.foa.wav", SpatialAudio(encode(noise, sound_from.vector()), 48_000, "foa"))
    if camera is not None:
        angles = {"azimuth_deg": camera.azimuth_deg, "elevation_deg": camera.elevation_deg}
        (folder / f"{name}.json").write_text(json.dumps(angles))


def decoded_direction(pipe: Pipeline, codes: np.ndarray) -> np.ndarray:
    """How much Y and X follow W, after the codec."""
    w, y, _, x = pipe.codec.decode(torch.from_numpy(codes.astype(np.int64))[None])[0].numpy()
    return np.array([w @ y, w @ x]) / (w @ w)


@pytest.mark.parametrize("frame", ["camera", "world"])
def test_recordings_become_pieces_with_their_augmented_twins(tmp_path: Path, frame: str) -> None:
    pipe = load_pipeline(write_tiny_model(tmp_path / "model", field_frame=frame))
    folder = tmp_path / "recordings"
    write_recording(folder, "a", 2.5, Direction(90.0), camera=Direction(90.0))
    write_recording(folder, "long", 1.0, Direction(90.0))
    clips = prepare_recordings(folder, tmp_path / "out", pipe.features, pipe.codec, pipe.model.config, 1.0)
    assert len(clips) == 3
    arrays = clips.arrays
    assert arrays["codes"].shape == (3, 2, 50, 12)
    assert arrays["embedding"].shape == (3, 2, 20, 16)
    assert arrays["energy_map"].shape == (3, 2, 20, 49)
    faced, beside = (decoded_direction(pipe, arrays["codes"][index, 0]) for index in (0, 2))
    if frame == "camera":
        # A camera that faces the source hears it ahead; another hears it on the left, its mirror on the right.
        assert faced[1] > abs(faced[0])
        assert beside[0] > abs(beside[1])
        assert decoded_direction(pipe, arrays["codes"][2, 1])[0] < -abs(beside[1])
        assert np.allclose(arrays["direction"], [0, 0, 1], atol=1e-6)
    else:
        assert faced[0] > abs(faced[1])
        assert np.allclose(arrays["direction"][0, 0], [-1, 0, 0], atol=1e-6)
        # A quarter turn to the right brings the source and the camera from the left to the front.
        turned = decoded_direction(pipe, arrays["codes"][0, 1])
        assert turned[1] > abs(turned[0])
        assert np.allclose(arrays["direction"][0, 1], [0, 0, 1], atol=1e-6)


def test_own_recordings_can_be_trained_on_and_the_result_makes_sound(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    pipe = load_pipeline(model)
    write_recording(tmp_path / "recordings", "a", 2.0, Direction(30.0))
    prepare_recordings(
        tmp_path / "recordings", tmp_path / "clips", pipe.features, pipe.codec, pipe.model.config, 1.0
    )
    recipe = {
        "task": "visage", "output": str(tmp_path / "mine"), "steps": 2, "batch_size": 2,
        "data": {"folder": str(tmp_path / "clips")}, "model": pipe.model.config.to_dict(),
        "initialize_from": str(model / "model.safetensors"),
    }  # fmt: skip
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    assert run(["train", str(tmp_path / "mine.yaml")]) == 0
    for file in ("pipeline.json", "codec.json", "codec.safetensors", "features.json", "features.safetensors"):
        shutil.copy(model / file, tmp_path / "mine" / file)
    video = Video.from_frames(np.zeros((10, 32, 32, 3), np.uint8), 20.0)
    assert load_pipeline(tmp_path / "mine")(video).samples.shape == (4, 8_000)


def test_folders_that_hold_no_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no recordings; it needs videos with NAME\.foa\.wav"):
        find_recordings(tmp_path)
    write_recording(tmp_path, "a", 0.5, Direction(0.0))
    assert find_recordings(tmp_path) == [Recording(tmp_path / "a.mp4", tmp_path / "a.foa.wav")]
    (tmp_path / "a.json").write_text('{"azimuth_deg": 400}')
    with pytest.raises(ValueError, match="does not say where the camera looks"):
        find_recordings(tmp_path)
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(ValueError, match="needs exactly one video"):
        find_recordings(tmp_path)


def test_recordings_shorter_than_a_piece_are_refused(tmp_path: Path) -> None:
    pipe = load_pipeline(write_tiny_model(tmp_path / "model"))
    write_recording(tmp_path / "recordings", "a", 0.5, Direction(0.0))
    with pytest.raises(ValueError, match=r"duration_s is 5\.0, but no recording"):
        prepare_recordings(
            tmp_path / "recordings", tmp_path / "out", pipe.features, pipe.codec, pipe.model.config
        )
