"""The sound field of a recording, out of whatever holds it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.dataset.factory.config import StageSpec
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import (
    ItemProblem,
    Outcome,
    Passed,
    Rejected,
    Workspace,
    load_stage,
    reference,
)
from spatialfoley.dataset.factory.work import Problem, run_stage
from spatialfoley.spatial.foa import to_fuma
from tests.media.clips import shared_data
from tests.media.tracks import RATE_HZ, field, order, write_track


def take(folder: Path, facts: dict[str, object] | None = None, **files: Path) -> Outcome:
    record = Record("r", "r", {role: reference(path) for role, path in files.items()}, facts or {})
    return load_stage("take_foa", {}).run(record, Workspace(folder, "take"))


def taken(outcome: Outcome) -> Record:
    assert isinstance(outcome, Passed), outcome
    return outcome.records[0]


def samples_of(folder: Path, record: Record, role: str = "foa") -> np.ndarray:
    path = folder / record.file(role).path
    with soundfile.SoundFile(path) as file:
        assert (file.format, file.subtype) == ("FLAC", "PCM_24")
        assert ("AmbiX ACN SN3D" in file.comment) == (role == "foa")
        return file.read(dtype="float64", always_2d=True).T


def wav(path: Path, samples: np.ndarray, subtype: str = "PCM_24", rate_hz: int = RATE_HZ) -> Path:
    soundfile.write(path, samples.T, rate_hz, subtype=subtype)
    return path


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_whole_numbers_come_out_as_they_went_in(tmp_path: Path, subtype: str) -> None:
    path = wav(tmp_path / "a.wav", field(), subtype, 44100)
    record = taken(take(tmp_path, sound=path))
    np.testing.assert_array_equal(samples_of(tmp_path, record), soundfile.read(path)[0].T)
    assert set(record.files) == {"sound", "foa"}
    assert record.facts == {
        "convention": "ambix",
        "rate_hz": 44100,
        "sound_duration_s": round(24000 / 44100, 6),
        "sound_codec": subtype.lower(),
        "sound_layout": "4 channels",
        "sound_channels": 4,
    }


def test_fuma_becomes_ambix(tmp_path: Path) -> None:
    ambix = field()
    path = wav(tmp_path / "a.wav", to_fuma(ambix), "FLOAT")
    record = taken(take(tmp_path, {"convention": "fuma"}, sound=path))
    np.testing.assert_allclose(samples_of(tmp_path, record), ambix, atol=2e-7)
    assert (record.facts["convention"], record.facts["source_convention"]) == ("ambix", "fuma")
    assert taken(take(tmp_path, {"convention": "unknown"}, sound=path)).facts["convention"] == "unknown"


def test_head_locked_stereo_is_kept_beside_the_field(tmp_path: Path) -> None:
    samples = field(6)
    record = taken(take(tmp_path, sound=wav(tmp_path / "a.wav", samples)))
    np.testing.assert_allclose(samples_of(tmp_path, record), samples[:4], atol=2e-7)
    np.testing.assert_allclose(samples_of(tmp_path, record, "headlocked"), samples[4:], atol=2e-7)
    samples[4:] = 0
    assert "headlocked" not in taken(take(tmp_path, sound=wav(tmp_path / "b.wav", samples))).files


@pytest.mark.parametrize("channels", [4, 6])
def test_the_track_of_a_video_begins_with_its_picture(tmp_path: Path, channels: int) -> None:
    samples = field(channels)
    layout = {4: "ambisonic 1", 6: "ambisonic 1+stereo"}[channels]
    path = write_track(
        tmp_path / "a.mkv",
        samples,
        "libopus",
        layout,
        options={"mapping_family": "2"},
        picture_s=1.0,
        late_s=0.2,
    )
    record = taken(take(tmp_path, panorama=path))
    found = samples_of(tmp_path, record)
    late = round(0.2 * RATE_HZ)
    assert abs(found.shape[1] - late - samples.shape[1]) <= 0.002 * RATE_HZ
    assert not found[:, : late - 100].any()
    assert order(samples[:4], found[:, found.shape[1] - samples.shape[1] :]) == [0, 1, 2, 3]
    assert record.facts["sound_layout"] == layout


def test_sound_above_full_scale_is_turned_down_as_a_whole(tmp_path: Path) -> None:
    loud = 40 * field()
    peak = np.abs(loud).max()
    record = taken(take(tmp_path, sound=wav(tmp_path / "a.wav", loud, "FLOAT")))
    np.testing.assert_allclose(samples_of(tmp_path, record), loud / peak, atol=2e-7)
    assert record.facts["gain_db"] == pytest.approx(-20 * np.log10(peak), abs=1e-3)


def test_other_sounds_are_rejected_with_their_channels(tmp_path: Path) -> None:
    surround = write_track(tmp_path / "a.mp4", field(6), "aac", "5.1")
    stereo = wav(tmp_path / "b.wav", field(2))
    assert take(tmp_path, sound=stereo) == Rejected(
        "channels", "its sound has 2 channels; FOA has 4, or 6 with head-locked stereo", {"channels": 2}
    )
    outcome = take(tmp_path, sound=surround)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.numbers) == ("channels", {"channels": 6})
    assert "aac are loudspeakers (5.1): the fourth holds low frequencies only" in outcome.sentence
    outcome = take(tmp_path, {"convention": "n3d"}, sound=stereo)
    assert isinstance(outcome, Rejected)
    assert outcome.sentence == "its sound is said to be n3d; FOA is one of ambix, fuma, unknown"
    with pytest.raises(ItemProblem, match="record r has neither a sound nor a panorama"):
        take(tmp_path)
    # A file beside the video that is no field does not hide the field inside.
    video = write_track(tmp_path / "c.mkv", field(), "pcm_s24le", "4.0", picture_s=0.5)
    assert taken(take(tmp_path, sound=stereo, panorama=video)).facts["sound_channels"] == 4


def test_what_cannot_be_decoded_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + bytes(200))
    record = Record("r", "r", {"sound": reference(path)})
    problem = run_stage(StageSpec("take_foa"), "take", record.to_json(), str(tmp_path))
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.transient) == ("corrupt", False)
    assert "\n" not in problem.sentence
    assert not list((tmp_path / "work").rglob("*.flac"))


def test_real_recordings_are_taken_or_refused(tmp_path: Path) -> None:
    folder = shared_data()
    caf = folder / "foa" / "AmbixMetronome.caf"
    record = taken(take(tmp_path, sound=caf))
    np.testing.assert_array_equal(samples_of(tmp_path, record), soundfile.read(caf)[0].T)
    for path, channels in (("foa/HOA3_rec1_01-08ch.ogg", 8), ("video360/richoh1_0_1.mp4", 1)):
        outcome = take(tmp_path, sound=folder / path)
        assert isinstance(outcome, Rejected)
        assert outcome.numbers == {"channels": channels}
    assert take(tmp_path, panorama=folder / "video360" / "richoh1_0_3.mp4") == Rejected(
        "channels", "it has no sound", {"channels": 0}
    )
