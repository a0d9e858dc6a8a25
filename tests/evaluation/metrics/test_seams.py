import numpy as np
import pytest

from spatialfoley.evaluation.metrics.seams import middles_s, step_between, steps_at
from spatialfoley.media.audio import write_audio
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.spatial.signal import SpatialAudio

RATE_HZ = 16000


def tone(hz, level=0.1, count=800):
    return (level * np.sin(2 * np.pi * hz * np.arange(count) / RATE_HZ))[None].astype(np.float32)


def test_the_same_sound_has_no_step():
    assert step_between(tone(400), tone(400)) == (0.0, 0.0)


def test_half_the_amplitude_is_six_decibels():
    level_db, spectral_db = step_between(tone(400), tone(400, 0.05))
    assert level_db == pytest.approx(6.02, abs=0.01)
    assert 0 < spectral_db < 6.1


def test_another_tone_of_the_same_level_is_a_spectral_step_only():
    level_db, spectral_db = step_between(tone(400), tone(4000))
    assert level_db < 0.01
    assert spectral_db > 5


def test_silence_is_no_moment_and_an_onset_is_a_large_step():
    assert step_between(0 * tone(400), 1e-3 * tone(400)) is None
    assert step_between(0 * tone(400), tone(400))[0] == pytest.approx(
        10 * np.log10((0.005 + 1e-8) / 1e-8), abs=0.1
    )


def test_a_cut_is_found_at_its_moment_and_nowhere_else(tmp_path):
    noise = np.random.default_rng(0).standard_normal((4, 10 * RATE_HZ)) * 0.05
    noise[:, 5 * RATE_HZ :] *= 4
    write_audio(tmp_path / "cut.wav", SpatialAudio(noise, RATE_HZ, "foa"), "FLOAT")
    sound = SoundFile.open(tmp_path / "cut.wav")
    at_the_cut = steps_at(sound, [5.0]).summary()
    elsewhere = steps_at(sound, middles_s([5.0], 10.0)).summary()
    assert at_the_cut["level_step_db_median"] == pytest.approx(12.0, abs=1.0)
    assert elsewhere["level_step_db_p95"] < 1.5
    assert elsewhere["moments"] == elsewhere["in_sound"] == 10
    assert at_the_cut["spectral_step_db_median"] > elsewhere["spectral_step_db_p95"]


def test_ends_and_silent_sounds_have_no_steps(tmp_path):
    write_audio(tmp_path / "silent.wav", SpatialAudio(np.zeros((2, RATE_HZ)), RATE_HZ, "binaural"), "FLOAT")
    found = steps_at(SoundFile.open(tmp_path / "silent.wav"), [0.0, 0.5, 1.0])
    assert found.summary() == {
        "moments": 1,
        "in_sound": 0,
        "level_step_db_median": None,
        "level_step_db_p95": None,
        "spectral_step_db_median": None,
        "spectral_step_db_p95": None,
    }


def test_middles_lie_between_the_joins():
    assert middles_s([4.0], 10.0) == pytest.approx([1.2, 1.6, 2.0, 2.4, 2.8, 5.8, 6.4, 7.0, 7.6, 8.2])
