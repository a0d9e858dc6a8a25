"""Clips of ordinary views: picture and sound of the same moments."""

from pathlib import Path

import numpy as np
import pytest

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Passed, Rejected, Workspace, load_stage, reference
from spatialfoley.dataset.stages.view_clips import ViewClips
from spatialfoley.media.audio import read_audio, write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.media.video import read_video
from spatialfoley.spatial.signal import SpatialAudio

RATE_HZ, SECONDS = 8000, 5
STAGE = ViewClips(clip_s=2, hop_s=2, height_px=16, rate_hz=RATE_HZ, crf=0)


def sound(channels: int = 2) -> np.ndarray:
    """Every second another level, to be told apart; the right ear the other way round."""
    seconds = np.repeat(np.arange(1, SECONDS + 1) / 10, RATE_HZ)
    tone = np.sin(np.arange(SECONDS * RATE_HZ) * 0.2) * seconds
    return np.stack([tone, -tone])[:channels].astype(np.float32)


def recording(folder: Path, channels: int = 2, **facts: object) -> Record:
    """A view whose pictures get brighter with every second, and its sound beside it."""
    frames = (np.full((32, 64, 3), 40 * (number // 4), np.uint8) for number in range(4 * SECONDS))
    write_frames(folder / "view.mp4", frames, 4, crf=0)
    layout = "stereo" if channels == 2 else "mono"
    write_audio(folder / "sound.wav", SpatialAudio(sound(channels), RATE_HZ, layout), "FLOAT")
    files = {"view": reference(folder / "view.mp4"), "sound": reference(folder / "sound.wav")}
    return Record("set-one", "set-one", files, {"convention": "binaural", "caption": "a cello", **facts})


def cut(record: Record, folder: Path, stage: ViewClips = STAGE) -> tuple[Record, ...]:
    outcome = stage.run(record, Workspace(folder, "cut"))
    assert isinstance(outcome, Passed), outcome
    return outcome.records


def test_picture_and_sound_are_of_the_same_moments(tmp_path: Path) -> None:
    clips = cut(recording(tmp_path), tmp_path)
    assert [clip.id for clip in clips] == ["set-one-00000000", "set-one-00002000"]
    second = clips[1]
    assert set(second.files) == {"view", "binaural"}
    assert (second.facts["start_s"], second.facts["duration_s"], second.facts["caption"]) == (
        2.0,
        2,
        "a cello",
    )
    space = Workspace(tmp_path, "cut")
    heard = read_audio(space.path(second.file("binaural")), "binaural")
    assert heard.rate_hz == RATE_HZ
    np.testing.assert_allclose(heard.samples, sound()[:, 2 * RATE_HZ : 4 * RATE_HZ], atol=2e-7)
    seen = read_video(space.path(second.file("view")))
    assert (seen.width, seen.height, seen.duration_s) == (32, 16, 2.0)
    brightness = seen.frames_at([0.1, 1.1], crop=None).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(brightness, [80, 120], atol=3)


def test_listed_clips_are_cut_where_the_list_says(tmp_path: Path) -> None:
    listed = [{"start_s": 1.5, "split": "test", "caption": "rain"}, {"start_s": 4.0}]
    (clip,) = cut(recording(tmp_path, clips=listed), tmp_path)
    assert (clip.id, clip.facts["split"], clip.facts["caption"]) == ("set-one-00001500", "test", "rain")
    heard = read_audio(Workspace(tmp_path, "cut").path(clip.file("binaural")))
    begin = RATE_HZ * 3 // 2
    np.testing.assert_allclose(heard.samples, sound()[:, begin : begin + 2 * RATE_HZ], atol=2e-7)


def test_a_part_of_a_clip_is_known_by_its_place_in_the_recording(tmp_path: Path) -> None:
    clip = Record(
        "set-one-00030000", "set-one", recording(tmp_path).files, {"convention": "stereo", "start_s": 30.0}
    )
    parts = cut(clip, tmp_path)
    assert [(part.id, part.facts["start_s"]) for part in parts] == [
        ("set-one-00030000", 30.0),
        ("set-one-00032000", 32.0),
    ]
    assert set(parts[0].files) == {"view", "stereo"}


def test_sound_inside_the_video_is_resampled_and_mixed_where_one_channel_is_wanted(tmp_path: Path) -> None:
    frames = iter(np.zeros((4 * SECONDS, 32, 64, 3), np.uint8))
    write_frames(tmp_path / "in.mkv", frames, 4, SpatialAudio(sound() * [[1], [-0.5]], RATE_HZ, "stereo"))
    record = Record("v", "v", {"view": reference(tmp_path / "in.mkv")}, {"convention": "mono"})
    stage = ViewClips(clip_s=2, hop_s=2, height_px=16, rate_hz=16000)
    first, _ = cut(record, tmp_path, stage)
    heard = read_audio(Workspace(tmp_path, "cut").path(first.file("mono")))
    assert heard.samples.shape == (1, 32000)
    mean = sound()[0] * 0.75
    level = np.sqrt(np.mean(heard.samples[0, 2000:14000] ** 2)) / np.sqrt(np.mean(mean[1000:7000] ** 2))
    assert level == pytest.approx(1.0, abs=0.05)


def test_what_cannot_be_a_view_with_two_ears_is_rejected(tmp_path: Path) -> None:
    space = Workspace(tmp_path, "cut")
    mono = STAGE.run(recording(tmp_path, channels=1), space)
    assert isinstance(mono, Rejected)
    assert mono.sentence == "its sound has 1 channels, and it is said to be binaural"
    field = STAGE.run(recording(tmp_path, convention="ambix"), space)
    assert isinstance(field, Rejected)
    assert field.sentence == "its sound is said to be ambix; views have one of binaural, stereo, mono"
    record = recording(tmp_path)
    silent = STAGE.run(record.without_files("sound"), space)
    assert isinstance(silent, Rejected)
    assert silent.sentence == "it has no sound"
    with pytest.raises(ItemProblem, match="record set-one has no view; a source gives it"):
        STAGE.run(record.without_files("view"), space)
    short = ViewClips(clip_s=6).run(record, space)
    assert isinstance(short, Rejected)
    assert short.reason == "short"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"clip_s": 0}, "clip_s is 0; give seconds above 0"),
        ({"crf": 60}, r"crf is 60; give 0 \(lossless\) to 51"),
        ({"height_px": 1}, "height_px is 1; it must be at least 2"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_stage("view_clips", settings)
