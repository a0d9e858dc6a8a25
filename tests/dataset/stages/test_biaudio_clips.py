"""Clips with a camera that turns: picture, field and ears stay together."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from av.video.frame import VideoFrame

from spatialfoley.dataset.biaudio.rendering import heard_by_camera, read_stretch
from spatialfoley.dataset.biaudio.trajectories import camera_of, draw_trajectory
from spatialfoley.dataset.clip_cutting import Recording, seen
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Passed, Workspace, load_stage, seed_of
from spatialfoley.dataset.sources.world import WorldSource
from spatialfoley.kernels.panorama_view import PanoramaView
from spatialfoley.media.frame_sources import FileSource
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.media.video import Video, read_video
from spatialfoley.spatial.direction import CameraPose, Direction, angle_between_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.world import make_scene, render_view
from tests.dataset.stages.recordings import (
    RATE_HZ,
    bright_direction,
    built,
    dotted_panorama,
    frames_of,
    noise,
    record_of,
    recorded,
    sound_of,
)

SMALL = {"clip_s": 2.0, "hop_s": 2.0, "size_px": 64, "rate_hz": 16000}
BEHIND = Direction(-150.0, 20.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    recorded(folder, BEHIND)
    return folder


def peak_of(field: np.ndarray) -> np.ndarray:
    return peak_vectors(energy_map(covariance(field)))


def test_picture_and_sound_agree_for_100_random_poses(tmp_path: Path) -> None:
    """A bright dot and a plane wave, through what the stage shows and plays."""
    rng = np.random.default_rng(0)
    view = PanoramaView(96)
    mono = noise(1600)
    for _ in range(100):
        pose = CameraPose(*rng.uniform([-180, -90, -180], [180, 90, 180]))
        in_camera = unit_vectors(*rng.uniform([-35, -35], [35, 35]))
        source = pose.matrix() @ in_camera
        soundfile.write(tmp_path / "field.wav", encode(mono, source).T, 16000, subtype="FLOAT")
        sound = SoundFile.open(tmp_path / "field.wav", "foa")
        picture = Video.from_frames(dotted_panorama(source, 120, 5.0)[None], 10.0)
        camera = CameraTrajectory.static(pose)
        recording = Recording(Record("r", "r"), picture, sound)
        ((_, shown),) = seen(recording, 0.0, 0.1, camera, view)
        field, ears = heard_by_camera(read_stretch(sound, 0.0, 0.1, 16000), camera, 16000)
        bright, heard = bright_direction(shown), peak_of(field.samples)
        assert angle_between_deg(bright, heard) < 2.0
        assert angle_between_deg(bright, in_camera) < 1.0
        left, right = np.sum(np.square(ears.samples, dtype=np.float64), axis=1)
        if abs(in_camera[1]) > 0.1:
            assert (left > right) == (in_camera[1] > 0)


def test_clips_turn_together_with_their_sound(folder: Path) -> None:
    clips = built(folder, record_of(folder), "biaudio_clips", **SMALL)
    assert [clip.id for clip in clips] == ["r-00000000", "r-00002000"]
    for clip in clips:
        assert set(clip.files) == {"view", "binaural", "foa"}
        camera = camera_of(clip.facts["camera"])
        drawn = draw_trajectory(
            Direction(clip.facts["peak_azimuth_deg"], clip.facts["peak_elevation_deg"]),
            2.0,
            seed_of(0, clip.id),
        )
        np.testing.assert_allclose(camera.angles_at([0, 2]), drawn.angles_at([0, 2]), atol=2e-3)
        field = sound_of(folder, clip, "foa")
        pictures = frames_of(folder, clip)
        assert (field.shape, pictures.shape) == ((4, 32000), (10, 64, 64, 3))
        assert sound_of(folder, clip, "binaural").shape == (2, 32000)
        for number, picture in enumerate(pictures):
            time_s = number / 5
            expected = camera.pose_at(time_s).matrix().T @ BEHIND.vector()
            around = round(time_s * RATE_HZ)
            heard = peak_of(field[:, max(0, around - 400) : around + 400])
            assert angle_between_deg(heard, expected) < 2.0
            if picture.max() > 150:  # in view
                assert angle_between_deg(bright_direction(picture), expected) < 2.5
        assert pictures[0].max() > 150  # a trajectory begins with the source in view


def test_a_clip_of_the_world_shows_and_plays_what_is_true(tmp_path: Path) -> None:
    """Against the world's own renderer, which knows nothing of panoramas, and its own truth."""
    source = WorldSource(
        1, first_seed=4, duration_s=3.0, scene="in_view", height_px=256, frame_rate_hz=8.0, rate_hz=16000
    )
    space = Workspace(tmp_path, "fetch")
    (record,) = source.records()
    fetched = source.fetch(record, space)
    assert isinstance(fetched, Passed)
    taken = load_stage("take_foa", {}).run(fetched.records[0], Workspace(tmp_path, "take"))
    assert isinstance(taken, Passed)
    (clip,) = built(tmp_path, taken.records[0], "biaudio_clips", **{**SMALL, "clip_s": 3.0, "size_px": 96})
    camera = camera_of(clip.facts["camera"])
    scene = make_scene(4, kind="in_view", camera="static", duration_s=3.0)
    times_s = np.arange(24) / 8
    expected = render_view(replace(scene, camera=camera, camera_kind="turning"), times_s, 96)
    found = frames_of(tmp_path, clip)
    assert found.shape == expected.shape
    error = np.abs(found.astype(int) - expected).mean()
    assert error < 6.0
    assert error < 0.4 * np.abs(found.astype(int) - expected[:, :, ::-1]).mean()
    assert error < 0.4 * np.abs(found.astype(int) - expected[:, ::-1]).mean()
    field = sound_of(tmp_path, clip, "foa").astype(np.float64)
    world = sound_of(tmp_path, taken.records[0], "foa")
    turned = np.stack(
        [camera.pose_at(k / 16000).matrix().T @ world[[3, 1, 2], k] for k in range(0, 48000, 97)]
    )
    np.testing.assert_allclose(field[[3, 1, 2]][:, ::97], turned.T, atol=1e-5)


def test_seeds_draw_other_cameras_and_the_same_again(folder: Path) -> None:
    first, again, other = (
        built(folder, record_of(folder), "biaudio_clips", **SMALL, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first[0].facts["camera"] != other[0].facts["camera"]
    assert first[0].facts["camera"] != first[1].facts["camera"]


@pytest.mark.parametrize("stage", ["biaudio_clips", "ytambigen_clips"])
def test_a_recording_is_decoded_once_for_all_its_clips(
    folder: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[float] = []
    decode = FileSource.frames_from

    def counted(source: FileSource, time_s: float) -> Iterator[tuple[float, VideoFrame]]:
        entered.append(time_s)
        return decode(source, time_s)

    monkeypatch.setattr(FileSource, "frames_from", counted)
    clips = built(folder, record_of(folder), stage, **{**SMALL, "clip_s": 1.0, "hop_s": 1.0})
    assert len(clips) == 4
    assert entered == pytest.approx([0.0], abs=1e-4)


def test_frames_and_sound_at_other_rates(folder: Path) -> None:
    settings = {**SMALL, "frame_rate_hz": 12.5, "rate_hz": 44100, "keep_foa": False}
    clip = built(folder, record_of(folder), "biaudio_clips", **settings)[0]
    assert set(clip.files) == {"view", "binaural"}
    video = read_video(folder / clip.file("view").path)
    np.testing.assert_allclose(video.frame_times_s(), np.arange(25) / 12.5, atol=1e-3)
    assert video.duration_s == pytest.approx(2.0, abs=1e-3)
    info = soundfile.info(folder / clip.file("binaural").path)
    assert (info.samplerate, info.frames, info.channels) == (44100, 88200, 2)


def test_sound_that_is_too_loud_is_scaled_as_a_whole(tmp_path: Path) -> None:
    recorded(tmp_path, Direction(90.0))
    field = soundfile.read(tmp_path / "field.flac")[0]
    soundfile.write(tmp_path / "field.flac", field / np.abs(field).max(), RATE_HZ, subtype="PCM_24")
    for clip in built(tmp_path, record_of(tmp_path), "biaudio_clips", **SMALL):
        peak = np.abs(sound_of(tmp_path, clip, "binaural")).max()
        assert peak <= 1.0
        assert ("binaural_gain_db" in clip.facts) == (peak > 0.999)
        assert clip.facts.get("binaural_gain_db", -1.0) < 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hop_s": -1}, "hop_s is -1; give seconds above 0"),
        ({"frame_rate_hz": 0}, "frame_rate_hz is 0"),
        ({"maps": "x"}, "maps is 'x'; it must be one of sn3d, reference"),
        ({"crf": -1}, "crf is -1"),
        ({"rate_hz": -1}, "rate_hz is -1"),
        ({"projection": "x"}, "variant is 'x'"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_stage("biaudio_clips", settings)
