"""Two stages: one channel of any source, given its place. The real parts run, with the weights of the package."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley import weights
from spatialfoley.cli import run
from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.evaluation.suite.clips import SCORE_RATE_HZ, clip_truth, make_world_clip
from spatialfoley.evaluation.suite.scores import score_field
from spatialfoley.generators.spatializer.config import SpatializerConfig
from spatialfoley.generators.spatializer.unet import AudioSpatializer
from spatialfoley.media.audio import read_audio, write_audio
from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.video import Video, read_video
from spatialfoley.pipeline import load_pipeline
from spatialfoley.pipeline.batch import Job
from spatialfoley.pipeline.mono_sources import FolderSource, MonoRequest, one_channel
from spatialfoley.pipeline.requests import Request, fulfil, is_fulfilled
from spatialfoley.pipeline.spatializers import AudioSpatial, Spatialize, load_spatializer
from spatialfoley.pipeline.two_stage import TwoStagePipeline
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import listen_from
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.flow_folders import write_mmaudio_folder

RNG = np.random.default_rng(0)
MOST_BYTES = 3_000_000


def frames(seconds: float, rate_hz: int = 10) -> np.ndarray:
    return RNG.integers(0, 256, (round(seconds * rate_hz), 48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 1.2 s with a mono file of 44.1 kHz beside it."""
    folder = tmp_path_factory.mktemp("clips")
    write_frames(folder / "street.mp4", iter(frames(1.2)), 10)
    samples = RNG.normal(0, 0.1, (1, 52920)).astype(np.float32)
    write_audio(folder / "street.wav", SpatialAudio(samples, 44100, "mono"), "FLOAT")
    return folder / "street.mp4"


@pytest.fixture(scope="module")
def audio_spatial() -> Spatialize:
    return load_spatializer("audio-spatial")


def noise(seconds: float, rate_hz: int = 16000) -> SpatialAudio:
    samples = RNG.normal(0, 0.1, (1, round(seconds * rate_hz)))
    return SpatialAudio(samples.astype(np.float32), rate_hz, "mono")


def test_the_weights_are_small_and_registered() -> None:
    folder = weights.locate("audio-spatial")
    assert folder is not None
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) <= MOST_BYTES
    assert weights.info("audio-spatial").kind == "spatializer"
    assert weights.licence_line("audio-spatial") == (
        "audio-spatial (part of this package): licence MIT; commercial use allowed"
    )


def test_off_centre_it_is_nearer_to_the_truth_than_ambi_enc(audio_spatial: Spatialize) -> None:
    ambi_enc = load_spatializer("ambi-enc")
    errors_deg: dict[str, list[float]] = {"audio-spatial": [], "ambi-enc": []}
    for index in range(5):
        held_out = make_world_clip(index, 11, ("in_view",), 56, 20.0, 5.0)
        truth = clip_truth(held_out.scene)
        mono = SpatialAudio(truth.mono[None], SCORE_RATE_HZ, "mono")
        for stage in (audio_spatial, ambi_enc):
            field = stage(mono, held_out.video, held_out.camera)
            np.testing.assert_array_equal(field.samples[W], mono.samples[0])
            errors_deg[stage.name].append(score_field(truth, field.samples).angle_deg)
    medians = {name: float(np.median(errors)) for name, errors in errors_deg.items()}
    assert medians["audio-spatial"] < 10, errors_deg
    assert medians["audio-spatial"] < 0.6 * medians["ambi-enc"], errors_deg


def test_a_turned_camera_turns_the_field_exactly(audio_spatial: Spatialize) -> None:
    mono, video = noise(1.0), Video.from_frames(frames(1.0), 10)
    ahead = audio_spatial(mono, video)
    pose = CameraPose(50.0, 20.0, 10.0)
    np.testing.assert_allclose(
        listen_from(audio_spatial(mono, video, pose), pose).samples, ahead.samples, atol=1e-6
    )
    moving = CameraTrajectory([0.0, 1.0], [0.0, 90.0], [0.0, 0.0], [0.0, 0.0])  # type: ignore[arg-type]
    heard = listen_from(audio_spatial(mono, video, moving), moving)
    np.testing.assert_allclose(heard.samples, ahead.samples, atol=1e-6)


def test_a_stretch_is_seen_and_turned_at_its_own_time(audio_spatial: Spatialize) -> None:
    video, mono = Video.from_frames(frames(4.0, 20), 20), noise(1.0)
    late = Video.from_frames(video.frames_at(2.0 + np.arange(40) / 20, crop=None), 20)
    np.testing.assert_allclose(
        audio_spatial(mono, video, start_s=2.0).samples[:, :8000],
        audio_spatial(mono, late).samples[:, :8000],
        atol=1e-5,
    )
    moving = CameraTrajectory([0.0, 4.0], [0.0, 180.0], [0.0, 0.0], [0.0, 0.0])  # type: ignore[arg-type]
    for name in ("ambi-enc", "ambi-enc-reference"):
        stage = load_spatializer(name)
        whole = stage(SpatialAudio(np.ones((1, 4000), np.float32), 1000, "mono"), video, moving).samples
        part = stage(
            SpatialAudio(np.ones((1, 500), np.float32), 1000, "mono"), video, moving, start_s=3.0
        ).samples
        np.testing.assert_allclose(part, whole[:, 3000:3500], atol=1e-6)


def test_sound_of_any_rate_and_length_keeps_its_w(audio_spatial: Spatialize) -> None:
    video = Video.from_frames(frames(2.0), 10)
    for rate_hz, samples in ((44100, 30001), (8000, 900), (16000, 1)):
        mono = SpatialAudio(RNG.normal(0, 0.1, (1, samples)).astype(np.float32), rate_hz, "mono")
        field = audio_spatial(mono, video)
        assert (field.layout, field.rate_hz, field.frames) == ("foa", rate_hz, samples)
        np.testing.assert_array_equal(field.samples[W], mono.samples[0])
    silent = audio_spatial(SpatialAudio(np.zeros((1, 20000), np.float32), 16000, "mono"), video)
    assert not silent.samples.any()


def test_a_network_for_ears_keeps_their_mean() -> None:
    torch.manual_seed(0)
    config = SpatializerConfig.tiny(channels="binaural", mask_scale=1.0)
    features = load_spatializer("audio-spatial").features  # type: ignore[attr-defined]
    stage = AudioSpatial(AudioSpatializer(config).eval(), features, {"name": "ears", "licence": "none"})
    mono = noise(0.8)
    ears = stage(mono, Video.from_frames(frames(0.8), 10))
    assert ears.layout == "binaural"
    np.testing.assert_allclose(ears.samples.mean(axis=0), mono.samples[0], atol=1e-6)
    assert np.abs(ears.samples[0] - ears.samples[1]).max() > 0


def test_a_network_in_world_axes_is_told_the_direction() -> None:
    torch.manual_seed(0)
    config = SpatializerConfig(unet_channels=(4, 4, 4, 4, 4), image_px=64)
    stage = AudioSpatial(AudioSpatializer(config).eval(), None, {"name": "world", "licence": "none"})
    mono, video = noise(0.8), Video.from_frames(frames(0.8), 10)
    ahead, left = (stage(mono, video, Direction(azimuth)).samples for azimuth in (0.0, 90.0))
    np.testing.assert_array_equal(ahead[W], left[W])
    assert np.abs(ahead - left).max() > 0


@pytest.mark.parametrize("layout", ["mono", "binaural", "foa"])
def test_one_channel_of_every_layout(layout: str) -> None:
    samples = np.arange(8, dtype=np.float32).reshape(-1, 2)[: {"mono": 1, "binaural": 2, "foa": 4}[layout]]
    expected = [[1, 2]] if layout == "binaural" else [[0, 1]]
    np.testing.assert_array_equal(one_channel(samples, layout), expected)
    with pytest.raises(
        ValueError, match=r"layout is '5\.1'; one channel is made of mono, stereo, binaural or foa"
    ):
        one_channel(samples, "5.1")


def test_tiny_visage_at_the_centre_of_the_view(clip: Path) -> None:
    pipe = load_pipeline("tiny-visage+ambi-enc")
    assert isinstance(pipe, TwoStagePipeline)
    video = read_video(clip)
    field = pipe(video, Direction(90.0), seed=3)
    assert (field.layout, field.frames) == ("foa", round(video.duration_s * field.rate_hz))
    np.testing.assert_allclose(field.samples[Y], field.samples[W], atol=1e-6)
    np.testing.assert_allclose(field.samples[[Z, X]], 0, atol=1e-6)
    alone = load_pipeline("tiny-visage")(video, Direction(90.0), seed=3)
    scale = np.abs(field.samples[W]).max() / np.abs(alone.samples[W]).max()
    np.testing.assert_allclose(field.samples[W], scale * alone.samples[W], atol=1e-5)
    assert pipe(video, seed=3, guidance_visual=2.0, top_k=8).frames == field.frames
    with pytest.raises(
        ValueError, match=r"tiny-visage\+ambi-enc has no setting text; it has seed, rate_hz, guid"
    ):
        pipe(video, text="bell")


def test_two_ears_become_one_channel_and_two_ears_again(clip: Path) -> None:
    pipe, video = load_pipeline("tiny-visaudio+duplicate"), read_video(clip)
    ears = pipe(video, seed=1, text="bell", steps=2)
    assert ears.layout == "binaural"
    np.testing.assert_array_equal(ears.samples[0], ears.samples[1])
    alone = load_pipeline("tiny-visaudio")(video, seed=1, text="bell", steps=2)
    np.testing.assert_allclose(ears.samples[0], alone.samples.mean(axis=0), atol=1e-4 + 0.1 * alone.peak)
    assert load_pipeline("tiny-visaudio+audio-spatial")(video, rate_hz=8000).samples.shape == (4, 9600)


def test_mmaudio_with_a_place(clip: Path, tmp_path: Path) -> None:
    name = write_mmaudio_folder(tmp_path / "mmaudio")
    pipe, video = load_pipeline(f"{name}+ambi-enc-reference"), read_video(clip)
    field = pipe(video, Direction(90.0), text="rain", steps=1, seed=2)
    mono = load_pipeline(name)(video, text="rain", steps=1, seed=2)
    scale = np.abs(field.samples[W]).max() / np.abs(mono.samples).max()
    np.testing.assert_allclose(field.samples[W], scale * mono.samples[0], atol=1e-5)
    np.testing.assert_allclose(field.samples[Y], -np.sqrt(2) * field.samples[W], atol=1e-5)


def test_a_long_clip_in_windows_is_what_it_is_in_memory(tmp_path: Path) -> None:
    write_frames(tmp_path / "long.mp4", iter(frames(7.0)), 10)
    pipe, video = load_pipeline("tiny-visaudio+audio-spatial"), read_video(tmp_path / "long.mp4")
    assert isinstance(pipe, TwoStagePipeline)
    request = Request(seed=5, outputs=("foa",), steps=2)
    job = Job(tmp_path / "long.mp4", "long")
    files = fulfil(request, job, tmp_path, pipe)
    sidecar = json.loads(files["sidecar"].read_text())
    assert sidecar["sound"]["windows"] > 1
    whole, _ = pipe.generate(video, MonoRequest(5, steps=2))
    np.testing.assert_allclose(read_audio(files["foa"]).samples, whole.samples, atol=1e-5)
    assert is_fulfilled(request, job, tmp_path, pipe)


def test_the_command_writes_all_files_and_says_how(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [
        "generate",
        str(clip),
        "--model",
        "tiny-visage+ambi-enc",
        "--azimuth-deg",
        "-90",
        "--out",
        str(out),
    ]
    assert run(command) == 0
    assert {path.name for path in out.iterdir()} == {
        "street.foa.wav",
        "street.binaural.wav",
        "street.mp4",
        "street.energy.mp4",
        "street.json",
    }
    model = json.loads((out / "street.json").read_text())["model"]
    assert model["model"] == "tiny-visage+ambi-enc"
    assert model["licence"] == "tiny-visage: MIT; ambi-enc: none: a formula"
    assert set(model["weights_sha256"]) == {"generator", "features", "codec"}
    field = read_audio(out / "street.foa.wav").samples
    np.testing.assert_allclose(field[Y], -field[W], atol=1e-6)


def test_a_folder_of_another_systems_sound(clip: Path, tmp_path: Path) -> None:
    name = f"folder:{clip.parent}+audio-spatial"
    out = tmp_path / "out"
    assert run(["generate", str(clip), "--model", name, "--out", str(out), "--outputs", "foa"]) == 0
    mono, field = read_audio(clip.with_suffix(".wav")), read_audio(out / "street.foa.wav")
    assert field.rate_hz == 44100
    np.testing.assert_allclose(field.samples[W], mono.samples[0], atol=2e-7)
    record = json.loads((out / "street.json").read_text())
    assert record["request"]["mono_file"]["name"] == "street.wav"
    assert set(record["model"]["weights_sha256"]) == {"spatializer"}
    pipe, job = load_pipeline(name), Job(clip, "street")
    request = Request(outputs=("foa",))
    assert is_fulfilled(request, job, out, pipe)
    write_audio(clip.with_suffix(".wav"), mono.scaled(0.5), "FLOAT")
    assert not is_fulfilled(request, job, out, pipe), "the sound was made from another file"


def test_a_stretch_of_a_folders_sound(clip: Path) -> None:
    mono = read_audio(clip.with_suffix(".wav")).samples
    ears = load_pipeline(f"folder:{clip.parent}+duplicate")(read_video(clip, 0.3, 0.5))
    np.testing.assert_array_equal(ears.samples[0], mono[0, 13230 : 13230 + 22050])


def test_what_a_folder_lacks_is_named(tmp_path: Path, clip: Path) -> None:
    source = FolderSource(tmp_path)
    video = read_video(clip)
    with pytest.raises(
        ValueError, match=r"has no sound for street.mp4; it needs street.wav, or the same name"
    ):
        source.windows(video, MonoRequest(), Direction(0.0), lambda part: None)
    short = SpatialAudio(np.zeros((1, 4000), np.float32), 8000, "mono")
    write_audio(tmp_path / "street.wav", short)
    with pytest.raises(
        ValueError, match=r"street.wav lasts 0.500 s, but the clip ends at 1.200 s; give sound"
    ):
        source.windows(video, MonoRequest(), Direction(0.0), lambda part: None)
    write_audio(tmp_path / "street.wav", SpatialAudio(np.zeros((6, 9600), np.float32), 8000, "5.1"))
    with pytest.raises(ValueError, match=r"street.wav has 6 channels; give 1, 2, or 4"):
        source.windows(video, MonoRequest(), Direction(0.0), lambda part: None)
    with pytest.raises(
        ValueError, match=r"finds sound by the name of the video, but this video is frames in memory"
    ):
        source.windows(Video.from_frames(frames(1.0), 10), MonoRequest(), Direction(0.0), lambda part: None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "tiny-visage+nowhere",
            r"spatializer is 'nowhere', .* give ambi-enc, ambi-enc-reference, audio-spatial, dup",
        ),
        ("nothing+ambi-enc", r"model is 'nothing', no folder and no known name; give tiny-visage, "),
        ("tiny-visage+", r"model is 'tiny-visage\+', with one stage of two; give MONO\+SPATIALIZER"),
        ("folder:/nowhere/at/all+duplicate", r"folder:/nowhere/at/all names no folder"),
        (
            "ambi-enc",
            r"model is 'ambi-enc', with one stage of two; give MONO\+SPATIALIZER such as tiny-visage\+",
        ),
        ("folder:sounds", r"model is 'folder:sounds', with one stage of two; give MONO\+SPATIALIZER"),
        ("tiny-visage+ambi-enc+duplicate", r"but tiny-visage\+ambi-enc is no single model"),
    ],
)
def test_unknown_stages_are_named(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_pipeline(name)


def test_a_folder_that_is_no_spatializer_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"a folder without config.json; give one of the task audio_spatial, or one"
    ):
        load_spatializer(tmp_path)


def test_settings_of_other_families_are_refused(clip: Path, tmp_path: Path) -> None:
    job = Job(clip, "street")
    with pytest.raises(
        ValueError, match=r"text is 'bell', but tiny-visage\+ambi-enc makes a sound field and has no"
    ):
        fulfil(Request(text="bell"), job, tmp_path, load_pipeline("tiny-visage+ambi-enc"))
    with pytest.raises(
        ValueError, match=r"azimuth_deg is 30.0, but tiny-visage\+duplicate makes binaural sound"
    ):
        fulfil(Request(azimuth_deg=30.0), job, tmp_path, load_pipeline("tiny-visage+duplicate"))
    with pytest.raises(ValueError, match=r"outputs is foa, but tiny-visage\+duplicate makes binaural sound"):
        fulfil(Request(outputs=("foa",)), job, tmp_path, load_pipeline("tiny-visage+duplicate"))
