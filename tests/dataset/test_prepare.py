"""From videos and their sound to clip tensors: known directions, resumed runs, refusals with a reason."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley import weights
from spatialfoley.cli import run
from spatialfoley.codecs.tiny import token_to_ratio
from spatialfoley.dataset.clip_encoding import ClipEncoder, clip_yaws_deg, turned_right
from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors
from spatialfoley.dataset.manifest import read_clip_manifest
from spatialfoley.dataset.prepare import prepare_clips
from spatialfoley.dataset.preparing import Prepared
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.media.audio import write_audio
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.video import Video
from spatialfoley.pipeline.loading import load_encoders
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.ytambigen import (
    AmbigenIndex,
    index_to_direction,
    network_vector,
    quarter_turn_right_index,
)
from spatialfoley.training.loop import train
from spatialfoley.training.settings import read_recipe
from spatialfoley.training.tasks import make_task
from tests.model_folders import write_published_model, write_tiny_model

RATE_HZ = 16000
CLIP_S = 0.5
LEVELS = 3
SOURCE = Direction(60.0, 20.0)
RECIPE = Path(__file__).parents[2] / "recipes" / "tiny_visage.yaml"


@pytest.fixture(scope="module")
def camera_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of half-second clips that generates around the camera."""
    return write_tiny_model(
        tmp_path_factory.mktemp("m") / "camera", max_source_length=10, max_target_length=51
    )


@pytest.fixture(scope="module")
def world_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in world axes, as the published model."""
    sizes = {"max_source_length": 10, "max_target_length": 51}
    return write_tiny_model(tmp_path_factory.mktemp("m") / "world", field_frame="world", **sizes)


def clip_encoder(model: Path, mono: bool = False) -> ClipEncoder:
    parts = load_encoders(model, "cpu")
    return ClipEncoder(parts.features, parts.codec, parts.config, parts.description, mono)


def write_video(path: Path, duration_s: float = CLIP_S) -> Path:
    rng = np.random.default_rng(len(path.name))
    write_frames(path, iter(rng.integers(0, 255, (round(duration_s * 20), 32, 48, 3), np.uint8)), 20.0)
    return path


def write_field(path: Path, duration_s: float = CLIP_S, rate_hz: int = RATE_HZ, gain: float = 0.1) -> Path:
    noise = np.random.default_rng(1).standard_normal(round(duration_s * rate_hz)) * gain
    write_audio(path, SpatialAudio(encode(noise, SOURCE.vector()), rate_hz, "foa"), subtype="FLOAT")
    return path


def write_manifest(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "clips.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prepared(folder: Path, model: Path, *rows: dict[str, object]) -> Prepared:
    return prepare_clips(
        read_clip_manifest(write_manifest(folder, *rows)), clip_encoder(model), folder / "out"
    )


def direction_in_codes(codes: np.ndarray) -> np.ndarray:
    """Unit vector (x, y, z) of the mean ratios of Y, Z, X to W in codes (S, K)."""
    ratios = token_to_ratio(torch.from_numpy(codes.astype(np.int64))[:, LEVELS::LEVELS]).mean(0).numpy()
    vector = ratios[[2, 0, 1]]
    return vector / np.linalg.norm(vector)


def turned(direction: Direction, yaw_deg: float) -> np.ndarray:
    return Direction(direction.azimuth_deg + yaw_deg, direction.elevation_deg).vector()


def test_around_the_camera_the_sound_is_heard_from_it_and_mirrored(
    camera_model: Path, tmp_path: Path
) -> None:
    write_video(tmp_path / "street.mp4")
    write_field(tmp_path / "street.foa.wav", rate_hz=48000)
    done = prepared(tmp_path, camera_model, {"video": "street.mp4", "azimuth_deg": 40})
    assert (done.made, done.reused, done.rejected) == (1, 0, 0)
    clips = ClipTensors(done.folders["train"])
    described = {name: (array.shape, array.dtype.name) for name, array in clips.arrays.items()}
    assert described == {
        "codes": ((1, 2, 25, 12), "int16"),
        "embedding": ((1, 2, 10, 16), "float16"),
        "energy_map": ((1, 2, 10, 49), "float16"),
        "direction": ((1, 2, 3), "float32"),
    }
    codes = clips.arrays["codes"][0]
    heard = turned(SOURCE, -40)
    assert np.allclose(direction_in_codes(codes[0]), heard, atol=0.02)
    assert np.allclose(direction_in_codes(codes[1]), heard * [1, -1, 1], atol=0.02)
    assert (clips.arrays["direction"] == [0, 0, 1]).all()
    assert not np.array_equal(clips.arrays["embedding"][0, 0], clips.arrays["embedding"][0, 1])


def test_in_the_world_the_field_and_the_direction_turn_right(world_model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "street.mp4")
    write_field(tmp_path / "street.foa.wav")
    done = prepared(tmp_path, world_model, {"video": "street.mp4", "azimuth_deg": 40, "elevation_deg": -10})
    clips = ClipTensors(done.folders["train"])
    codes = clips.arrays["codes"][0]
    assert np.allclose(direction_in_codes(codes[0]), SOURCE.vector(), atol=0.02)
    assert np.allclose(direction_in_codes(codes[1]), turned(SOURCE, -90), atol=0.02)
    facing = clips.arrays["direction"][0]
    assert np.allclose(facing[0], network_vector(Direction(40, -10)), atol=1e-6)
    assert np.allclose(facing[1], network_vector(Direction(-50, -10)), atol=1e-6)
    assert np.array_equal(clips.arrays["embedding"][0, 0], clips.arrays["embedding"][0, 1])


def test_in_the_world_any_yaw_turns_field_and_direction_alike(world_model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "street.mp4")
    write_field(tmp_path / "street.foa.wav")
    rows = read_clip_manifest(
        write_manifest(tmp_path, {"video": "street.mp4", "azimuth_deg": 40, "elevation_deg": -10})
    )
    turning = dataclasses.replace(clip_encoder(world_model), turns=3)
    done = prepare_clips(rows, turning, tmp_path / "out")
    arrays = ClipTensors(done.folders["train"]).arrays
    assert arrays["codes"].shape[:2] == (1, 4)
    yaws_deg = [0.0, *clip_yaws_deg("street.mp4 0", 3)]
    assert len({round(yaw_deg / 5) for yaw_deg in yaws_deg}) == 4
    for variant, yaw_deg in enumerate(yaws_deg):
        heard = direction_in_codes(arrays["codes"][0, variant])
        assert np.allclose(heard, turned(SOURCE, yaw_deg), atol=0.03)
        assert np.allclose(
            arrays["direction"][0, variant], network_vector(Direction(40 + yaw_deg, -10)), atol=1e-6
        )
        assert np.array_equal(arrays["embedding"][0, 0], arrays["embedding"][0, variant])
    with pytest.raises(ValueError, match="holds clips of another model"):
        prepare_clips(rows, clip_encoder(world_model), tmp_path / "out")


def test_yaws_of_clips_cover_the_circle() -> None:
    yaws_deg = np.concatenate([clip_yaws_deg(f"clip{number}.mp4 5", 2) for number in range(400)])
    assert np.histogram(yaws_deg, bins=8, range=(-180, 180))[0].min() > 70
    assert np.array_equal(clip_yaws_deg("a 0", 5)[:2], clip_yaws_deg("a 0", 2))


@pytest.mark.parametrize(
    ("model", "mono", "turns", "message"),
    [
        (
            "camera_model",
            False,
            2,
            "turns is 2, but the model works in the camera's axes, so there is nothing",
        ),
        ("world_model", True, 2, "turns is 2, but mono sound has no direction"),
        ("world_model", False, -1, "turns is -1; it must be at least 0"),
    ],
)
def test_turns_of_nothing_are_refused(
    model: str, mono: bool, turns: int, message: str, request: pytest.FixtureRequest
) -> None:
    encoder = clip_encoder(request.getfixturevalue(model), mono)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(encoder, turns=turns)


def test_models_without_a_direction_have_no_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_manifest(tmp_path, {"video": "street.mp4"})
    assert run(["dataset", "prepare", str(manifest), "--model", "mmaudio_medium_44k", "--turns", "2"]) != 0
    assert "mmaudio_medium_44k has no setting --turns; leave it out" in " ".join(
        capsys.readouterr().err.split()
    )


def test_the_turned_vector_is_that_of_the_published_index() -> None:
    for elevation, azimuth in ((44.5, 89.5), (20.0, 30.0), (60.0, 150.0)):
        index = AmbigenIndex(elevation, azimuth)
        expected = network_vector(index_to_direction(quarter_turn_right_index(index)))
        assert np.allclose(turned_right(network_vector(index_to_direction(index))), expected, atol=1e-6)


def test_a_panorama_is_seen_in_the_clips_direction(world_model: Path) -> None:
    """A picture that is red where azimuth 90 lies: only a camera that looks there sees it."""
    panorama = np.zeros((10, 64, 128, 3), np.uint8)
    panorama[:, :, 16:48, 0] = 255
    seen: list[np.ndarray] = []

    class Watched:
        size_px = 16

        def __call__(self, frames: np.ndarray) -> object:
            seen.append(frames)
            return features(np.zeros((len(frames), 56, 56, 3), np.uint8))

    encoder = clip_encoder(world_model)
    features = encoder.features
    watching = dataclasses.replace(encoder, features=Watched())  # type: ignore[arg-type]
    sound = np.full((4, round(CLIP_S * RATE_HZ)), 0.1, np.float32)
    for azimuth_deg in (90.0, 0.0):
        watching.encode(Video.from_frames(panorama, 20.0), 0.0, sound, Direction(azimuth_deg))
    assert seen[0][..., 0].min() > 200
    assert seen[1][:, 4:12, 4:12, 0].max() < 50


def test_a_recording_is_cut_into_clips_of_the_models_length(camera_model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", 1.3)
    write_field(tmp_path / "sound.wav", 1.3)
    rows = [
        {"video": "long.mp4", "audio": "sound.wav", "split": "train"},
        {"video": "long.mp4", "audio": "sound.wav", "split": "valid", "start_s": 0.7},
    ]
    done = prepared(tmp_path, camera_model, *rows)
    assert {split: len(ClipTensors(folder)) for split, folder in done.folders.items()} == {
        "train": 2,
        "valid": 1,
    }
    starts = [
        json.loads(line)["start_s"] for line in (tmp_path / "out/train/clips.jsonl").read_text().splitlines()
    ]
    assert starts == [0.0, CLIP_S]


def test_mono_for_pre_training(tmp_path: Path) -> None:
    model = write_published_model(tmp_path / "visage")
    write_video(tmp_path / "a.mp4", 5.0)
    noise = np.random.default_rng(0).standard_normal((2, 5 * RATE_HZ)) * 0.1
    write_audio(tmp_path / "a.wav", SpatialAudio(noise, RATE_HZ, "stereo"))
    rows = read_clip_manifest(write_manifest(tmp_path, {"video": "a.mp4", "audio": "a.wav"}))
    done = prepare_clips(rows, clip_encoder(model, mono=True), tmp_path / "out")
    clips = ClipTensors(done.folders["train"])
    assert clips.arrays["codes"].shape == (1, 1, 250, 3)
    assert clips.arrays["embedding"].shape == (1, 1, 20, 16)


def test_the_published_encoders_need_no_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with pytest.raises(ValueError, match="is not on this machine; 'spatialfoley models fetch"):
        load_encoders("visage", "cpu")
    folder = write_published_model(tmp_path / "visage")
    weights.import_folder("dac_44khz", folder / "dac")
    weights.import_folder("clip-vit-b-32", folder / "clip")
    encoder = clip_encoder(Path("visage"))
    assert encoder.config == VisageConfig()
    assert (encoder.video_frames, encoder.codec_frames, encoder.clip_s) == (20, 430, 5.0)
    with pytest.raises(ValueError, match=r"but the model wants .*; use the files of one model"):
        encoder.refuse_misfit()


def test_a_codec_of_fields_takes_no_mono(camera_model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    rows = read_clip_manifest(write_manifest(tmp_path, {"video": "a.mp4"}))
    with pytest.raises(ValueError, match=r"tokens need \[batch, 4, time\]"):
        prepare_clips(rows, clip_encoder(camera_model, mono=True), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_used_is_recorded_and_the_rest_goes_on(
    camera_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "silent", "two", "short", "gone", "brief"):
        write_video(tmp_path / f"{name}.mp4", 0.3 if name == "short" else CLIP_S)
    for name in ("good", "short", "text"):
        write_field(tmp_path / f"{name}.foa.wav")
    write_field(tmp_path / "silent.foa.wav", gain=0.0)
    write_field(tmp_path / "brief.foa.wav", duration_s=0.2)
    write_audio(
        tmp_path / "two.foa.wav", SpatialAudio(np.full((2, 8000), 0.1, np.float32), RATE_HZ, "stereo")
    )
    (tmp_path / "text.mp4").write_text("no video")
    names = ("short", "silent", "two", "gone", "brief", "text", "missing", "good")
    rows = [{"video": f"{name}.mp4"} for name in names]
    rows.append({"video": "good.mp4", "start_s": 0.2})
    manifest = write_manifest(tmp_path, *rows)
    arguments = [
        "dataset",
        "prepare",
        str(manifest),
        "--model",
        str(camera_model),
        "--out",
        str(tmp_path / "out"),
    ]
    assert run([*arguments, "--device", "cpu"]) == 1
    assert "1 clips made, 0 made before, 8 rejected" in capsys.readouterr().out
    assert len(ClipTensors(tmp_path / "out" / "train")) == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    reasons = {(Path(line["video"]).stem, line["line"]): line["reason"] for line in lines}
    assert len(reasons) == 8
    for (name, line), said in {
        ("short", 1): "lasts 0.30 s; a clip needs 0.5 s",
        ("silent", 2): "is silent from 0 s on; there is nothing to learn",
        ("two", 3): "has 2 channels; ambisonics need 4 (W, Y, Z, X)",
        ("gone", 4): "gone.foa.wav does not exist; name the sound in the column audio",
        ("brief", 5): "ends at 0.20 s, before the clip from 0 to 0.5 s",
        ("text", 6): "text.mp4",
        ("missing", 7): "missing.mp4",
        ("good", 9): "start_s is 0.2 and a clip lasts 0.5 s",
    }.items():
        assert said in reasons[name, line]
    write_manifest(tmp_path, {"video": "good.mp4"})
    assert run([*arguments, "--device", "cpu"]) == 0
    assert "0 clips made, 1 made before, 0 rejected" in capsys.readouterr().out
    assert not (tmp_path / "out" / "rejected.jsonl").exists()
    write_manifest(tmp_path, {"video": "gone.mp4"})
    assert run([*arguments, "--device", "cpu"]) == 2
    assert "none of 1 rows gave a clip; the reasons are in" in capsys.readouterr().err


def test_a_killed_run_goes_on_where_it_stopped(camera_model: Path, tmp_path: Path) -> None:
    class Killed(ClipEncoder):
        def encode(self, video: Video, start_s: float, sound: np.ndarray, camera: Direction) -> ClipArrays:
            if start_s > 0.6:
                raise KeyboardInterrupt
            return super().encode(video, start_s, sound, camera)

    write_video(tmp_path / "long.mp4", 1.5)
    write_field(tmp_path / "long.foa.wav", 1.5)
    rows = read_clip_manifest(write_manifest(tmp_path, {"video": "long.mp4"}))
    encoder = clip_encoder(camera_model)
    fields = {field.name: getattr(encoder, field.name) for field in dataclasses.fields(encoder)}
    with pytest.raises(KeyboardInterrupt):
        prepare_clips(rows, Killed(**fields), tmp_path / "out")
    assert not (tmp_path / "out" / "train").exists()
    done = prepare_clips(rows, encoder, tmp_path / "out")
    assert (done.made, done.reused) == (1, 2)
    whole = prepare_clips(rows, encoder, tmp_path / "whole")
    for name, array in ClipTensors(whole.folders["train"]).arrays.items():
        assert np.array_equal(ClipTensors(done.folders["train"]).arrays[name], array)


def test_clips_of_two_models_are_not_mixed(camera_model: Path, world_model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    write_field(tmp_path / "a.foa.wav")
    prepared(tmp_path, camera_model, {"video": "a.mp4"})
    with pytest.raises(ValueError, match=r"holds clips of another model .*; choose another folder"):
        prepared(tmp_path, world_model, {"video": "a.mp4"})


def test_a_generator_trains_on_prepared_clips(camera_model: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 1.0)
    write_field(tmp_path / "a.foa.wav", 1.0)
    folder = prepared(tmp_path, camera_model, {"video": "a.mp4"}).folders["train"]
    published = json.loads((camera_model / "config.json").read_text())
    settings = read_recipe(RECIPE, ["steps=2", "batch_size=2", f"output={tmp_path / 'run'}"])
    settings = dataclasses.replace(
        settings,
        data={"folder": str(folder)},
        model=published,
        initialize_from=str(camera_model / "model.safetensors"),
    )
    run_folder = train(make_task(settings), settings)
    assert (run_folder / "model.safetensors").is_file()


def test_help_needs_neither_torch_nor_numpy() -> None:
    code = "from spatialfoley.cli import run; run(['dataset', 'prepare', '--help'])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "MANIFEST" in done.stdout
    assert not set(done.stderr.split()) & {"torch", "numpy", "av", "transformers"}
