"""Clips with a fixed camera: it looks where the sound is, and everything says the same of where that is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Rejected, load_stage, reference
from spatialfoley.media.mux import write_frames
from spatialfoley.media.video import read_video
from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.projection import perspective
from spatialfoley.spatial.ytambigen import AmbigenIndex, index_to_direction
from tests.dataset.stages.recordings import (
    RATE_HZ,
    bright_direction,
    built,
    dotted_panorama,
    frames_of,
    outcome_of,
    record_of,
    recorded,
    sound_of,
)

SMALL = {"clip_s": 1.0, "hop_s": 1.5, "size_px": 64, "rate_hz": 16000}
LEFT_UP = Direction(77.0, 31.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    recorded(folder, LEFT_UP)
    return folder


def test_picture_sound_index_and_facts_agree(folder: Path) -> None:
    clips = built(folder, record_of(folder), "ytambigen_clips", **SMALL)
    assert [clip.id for clip in clips] == ["r-00000000", "r-00001500", "r-00003000"]
    for clip in clips:
        facts = clip.facts
        looks = Direction(facts["azimuth_deg"], facts["elevation_deg"])
        assert angle_between_deg(looks.vector(), LEFT_UP.vector()) < 1.5
        assert index_to_direction(AmbigenIndex(*facts["camera_index"])) == looks
        assert facts["camera_index"] == [29, 51]
        peak = Direction(facts["peak_azimuth_deg"], facts["peak_elevation_deg"])
        assert angle_between_deg(peak.vector(), LEFT_UP.vector()) < 0.5
        pictures = frames_of(folder, clip)
        assert pictures.shape == (4, 64, 64, 3)
        for picture in pictures:
            assert angle_between_deg(bright_direction(picture), [1.0, 0.0, 0.0]) < 2.0
        assert {key: facts[key] for key in ("licence", "duration_s", "field_frame", "rate_hz")} == {
            "licence": "CC0-1.0", "duration_s": 1.0, "field_frame": "world", "rate_hz": 16000,
        }  # fmt: skip


def test_the_field_is_that_of_the_recording(folder: Path) -> None:
    clips = built(folder, record_of(folder), "ytambigen_clips", **SMALL)
    whole = soundfile.read(folder / "field.flac", dtype="float32")[0].T
    for clip in clips:
        first = round(clip.facts["start_s"] * RATE_HZ)
        np.testing.assert_array_equal(sound_of(folder, clip, "foa"), whole[:, first : first + RATE_HZ])
    (resampled,) = built(
        folder, record_of(folder), "ytambigen_clips", **{**SMALL, "clip_s": 4.0, "rate_hz": 48000}
    )
    assert sound_of(folder, resampled, "foa").shape == (4, 4 * 48000)
    assert soundfile.info(folder / resampled.file("foa").path).samplerate == 48000


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_frames_are_kept_without_loss(folder: Path, kind: str) -> None:
    clip = built(folder, record_of(folder), "ytambigen_clips", **SMALL, frames=kind)[0]
    path = folder / clip.file("frames").path
    frames = np.load(path) if kind == "npy" else load_file(path)["frames"]
    looks = Direction(clip.facts["azimuth_deg"], clip.facts["elevation_deg"])
    panoramas = read_video(folder / "panorama.mp4").frames_at([0.0, 0.25, 0.5, 0.75], (128, 256), crop=None)
    expected = perspective(panoramas, looks, 90.0, 64)
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - expected).max() <= 2
    assert (
        np.abs(frames_of(folder, clip).astype(int) - frames).mean() < 2
    )  # the view is the same, but for the codec


def test_the_published_variants_look_where_the_published_code_looks(folder: Path) -> None:
    """Its maps read 31° as less, and the cell's number is the index, one degree beside the cell."""
    clip = built(
        folder, record_of(folder), "ytambigen_clips", **SMALL, maps="reference", projection="reference"
    )[0]
    elevation, azimuth = clip.facts["camera_index"]
    assert 29 < elevation <= 34
    assert azimuth in (50, 51)
    assert frames_of(folder, clip).shape == (4, 64, 64, 3)


def test_listed_clips_are_cut_as_they_are_listed(folder: Path) -> None:
    listed = [
        {"start_s": 2.25, "camera_index": [44, 0], "published": "abc_2"},
        {"start_s": 0.5},
        {"start_s": 3.5},  # reaches beyond the end
    ]
    clips = built(folder, record_of(folder, clips=listed), "ytambigen_clips", **SMALL)
    assert [clip.facts["start_s"] for clip in clips] == [2.25, 0.5]
    assert clips[0].facts["camera_index"] == [44, 0]
    assert clips[0].facts["published"] == "abc_2"
    assert "clips" not in clips[0].facts
    assert clips[0].facts["clips_beyond_end"] == [3.5]
    assert frames_of(folder, clips[0]).max() < 40  # looks to the back
    assert clips[1].facts["camera_index"] == [29, 51]


def test_builds_are_the_same_every_time(folder: Path) -> None:
    first, again = (
        built(folder, record_of(folder), "ytambigen_clips", **SMALL, frames="npy") for _ in range(2)
    )
    assert first == again


def test_a_field_without_direction_is_left_out_with_its_number(tmp_path: Path) -> None:
    recorded(tmp_path, Direction(0.0))
    omni = np.zeros((4, 4 * RATE_HZ), np.float32)
    omni[0] = soundfile.read(tmp_path / "field.flac", dtype="float32")[0][:, 0]
    soundfile.write(tmp_path / "field.flac", omni.T, RATE_HZ, subtype="PCM_24")
    clips = built(tmp_path, record_of(tmp_path), "ytambigen_clips", **SMALL)
    assert "peak_azimuth_deg" not in clips[0].facts
    assert angle_between_deg(Direction(clips[0].facts["azimuth_deg"]).vector(), [1, 0, 0]) <= 1.0
    left_out = outcome_of(tmp_path, clips[0], "has_direction")
    assert left_out == Rejected(
        "undirected",
        "its energy differs by 0.000 over all directions; at least 0.02 is wanted",
        {"peak_contrast": 0.0},
    )
    assert built(tmp_path, clips[0], "has_direction", least_contrast=0.0) == (clips[0],)


def test_a_directed_clip_stays(folder: Path) -> None:
    clip = built(folder, record_of(folder), "ytambigen_clips", **SMALL)[0]
    assert clip.facts["peak_contrast"] > 0.99
    assert built(folder, clip, "has_direction") == (clip,)
    with pytest.raises(ItemProblem, match="record r has no peak_contrast; a builder of clips measures it"):
        outcome_of(folder, record_of(folder), "has_direction")


def test_recordings_that_cannot_be_cut(folder: Path, tmp_path: Path) -> None:
    short = outcome_of(folder, record_of(folder), "ytambigen_clips", clip_s=4.5)
    assert short == Rejected(
        "short", "it lasts 4.00 s, too short for a clip of 4.5 s", {"duration_s": 4.0, "clip_s": 4.5}
    )
    write_frames(tmp_path / "panorama.mp4", [dotted_panorama(LEFT_UP.vector())[:, :180]] * 20, 5)
    square = record_of(folder).with_(files={"panorama": reference(tmp_path / "panorama.mp4")})
    outcome = outcome_of(folder, square, "ytambigen_clips", **SMALL)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.numbers) == ("projection", {"width": 180, "height": 180})
    with pytest.raises(ItemProblem, match="record r has no foa; the stage take_foa gives it"):
        outcome_of(folder, Record("r", "r", {"panorama": square.file("panorama")}), "ytambigen_clips")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"clip_s": 0}, "clip_s is 0; give seconds above 0"),
        ({"size_px": 0}, "size_px is 0"),
        ({"fov_deg": 200}, "fov_deg is 200"),
        ({"maps": "fuma"}, "maps is 'fuma'; it must be one of sn3d, reference"),
        ({"projection": "flat"}, "variant is 'flat'"),
        ({"frames": "png"}, "frames is 'png'; it must be one of none, npy, safetensors"),
        ({"crf": 60}, "crf is 60"),
        ({"rate_hz": 0}, "rate_hz is 0; give a number above 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_stage("ytambigen_clips", settings)
    with pytest.raises(ValueError, match="least_contrast is 2"):
        load_stage("has_direction", {"least_contrast": 2})
