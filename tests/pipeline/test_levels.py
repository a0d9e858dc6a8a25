import numpy as np
import pytest

from spatialfoley.media.audio import fit_length, resample, write_audio
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.pipeline.levels import brought_to, within_full_scale
from spatialfoley.spatial.foa import rotate
from spatialfoley.spatial.signal import SpatialAudio


def test_quiet_sound_is_not_touched() -> None:
    audio = SpatialAudio(np.full((2, 4), 1.0), 8000, "binaural")
    assert within_full_scale(audio) == (audio, 0.0)


def test_loud_channels_are_turned_down_together() -> None:
    audio = SpatialAudio(np.array([[2.0, 0.0], [0.5, -0.5]]), 8000, "binaural")
    quiet, gain_db = within_full_scale(audio)
    assert quiet.peak == pytest.approx(0.9999)
    assert gain_db == pytest.approx(-6.02, abs=0.01)
    assert quiet.samples[1, 0] / quiet.samples[0, 0] == pytest.approx(0.25)


def test_the_gain_of_a_field_does_not_depend_on_where_it_is_turned() -> None:
    field = SpatialAudio(np.random.default_rng(0).standard_normal((4, 500)), 8000, "foa")
    gains = [within_full_scale(rotate(field, yaw_deg=yaw))[1] for yaw in (0.0, 30.0, 45.0, 100.0)]
    assert gains == pytest.approx([gains[0]] * 4, abs=1e-5)
    assert within_full_scale(field)[0].peak <= 1


def loud_field(folder, rate_hz=16000, count=30_011):
    samples = np.random.default_rng(4).standard_normal((4, count)).astype(np.float32)
    audio = SpatialAudio(samples, rate_hz, "foa")
    write_audio(folder / "raw.wav", audio, "FLOAT")
    return audio, SoundFile.open(folder / "raw.wav")


def test_sound_on_disk_gets_the_gain_of_sound_in_memory(tmp_path) -> None:
    audio, sound = loud_field(tmp_path)
    (held, held_db), (read, read_db) = within_full_scale(audio), within_full_scale(sound)
    assert read_db == held_db < 0
    np.testing.assert_array_equal(read.read(0, read.frames), held.samples)


@pytest.mark.parametrize(
    ("rate_hz", "frames"), [(16000, 30_011), (48000, 90_033), (48000, 80_000), (44100, 90_000)]
)
def test_a_file_brought_to_a_rate_is_what_the_whole_in_memory_becomes(tmp_path, rate_hz, frames) -> None:
    audio, raw = loud_field(tmp_path)
    whole = fit_length(resample(audio.samples, 16000, rate_hz), frames)
    expected, expected_db = within_full_scale(SpatialAudio(whole, rate_hz, "foa"))
    made, gain_db = within_full_scale(brought_to(raw, tmp_path / "finished.wav", rate_hz, frames))
    assert (made.rate_hz, made.layout, made.frames, gain_db) == (rate_hz, "foa", frames, expected_db)
    np.testing.assert_array_equal(np.concatenate(list(made.blocks()), axis=1), expected.samples)
    assert (made.path == raw.path) == (rate_hz == 16000)
