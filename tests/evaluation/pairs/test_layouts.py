from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.evaluation.pairs.layouts import compared_form, conversion, in_form, read_sound
from spatialfoley.media.audio import write_audio
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import to_fuma
from tests.evaluation.pairs.sounds import RATE_HZ, ears, mono, sound, wave, write


def test_the_surround_mix_has_the_coefficients_of_bs775() -> None:
    for channel, gains in enumerate(
        [(1, 0), (0, 1), (0.5**0.5, 0.5**0.5), (0, 0), (0.5**0.5, 0), (0, 0.5**0.5)]
    ):
        samples = np.zeros((6, 8), np.float32)
        samples[channel] = 0.5
        mixed = in_form(sound(samples, "5.1"), "ears").samples
        np.testing.assert_allclose(mixed[:, 0], 0.5 * np.array(gains), atol=1e-7)


def test_fuma_files_become_ambix(tmp_path: Path) -> None:
    field = wave(40, 20)
    path = tmp_path / "a.wav"
    soundfile.write(path, to_fuma(field.samples).T, RATE_HZ, subtype="FLOAT")
    np.testing.assert_allclose(read_sound(path, "fuma").samples, field.samples, atol=1e-6)


def test_four_channels_are_a_field_only_where_the_file_says_so(tmp_path: Path) -> None:
    field = wave(40)
    silent = tmp_path / "a.flac"
    soundfile.write(silent, field.samples.T, RATE_HZ)
    with pytest.raises(
        ValueError, match=r"a\.flac has 4 channels and does not say their order; give its folder as"
    ):
        read_sound(silent)
    assert read_sound(silent, "foa").layout == "foa"
    named = silent.rename(tmp_path / "b.foa.flac")
    assert read_sound(named).layout == "foa"
    write_audio(tmp_path / "c.wav", field)
    assert read_sound(tmp_path / "c.wav").layout == "foa"


def test_wrong_channels_and_broken_samples_are_named_with_the_file(tmp_path: Path) -> None:
    stereo = write(tmp_path / "a.wav", sound(np.zeros((2, 100), np.float32), "stereo"))
    with pytest.raises(ValueError, match=r"a\.wav has 2 channels; layout foa needs 4: give the layout"):
        read_sound(stereo, "foa")
    bad = tmp_path / "b.wav"
    samples = np.zeros((100, 2), np.float32)
    samples[7, 1] = np.nan
    soundfile.write(bad, samples, RATE_HZ, subtype="FLOAT")
    with pytest.raises(
        ValueError, match=r"b\.wav holds NaN or infinite samples \(nan at channel 1, sample 7\)"
    ):
        read_sound(bad)
    seven = tmp_path / "c.wav"
    soundfile.write(seven, np.zeros((100, 7), np.float32), RATE_HZ)
    with pytest.raises(ValueError, match=r"c\.wav has 7 channels"):
        read_sound(seven)
    (tmp_path / "d.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"d\.wav"):
        read_sound(tmp_path / "d.wav")


def test_sounds_meet_in_the_poorest_form_that_both_have() -> None:
    field, two, one = wave(30), ears(30), mono()
    assert compared_form(field, field) == "field"
    assert compared_form(field, two) == compared_form(two, field) == compared_form(field, one) == "ears"
    assert compared_form(one, field) == compared_form(one, two) == "mono"


def test_a_field_is_heard_from_the_camera() -> None:
    facing = in_form(wave(60), "ears", Direction(60.0)).samples
    np.testing.assert_allclose(facing, render_binaural(wave(0)).samples, atol=1e-6)
    np.testing.assert_allclose(in_form(wave(60), "ears").samples, render_binaural(wave(60)).samples)


def test_one_channel_is_given_to_both_ears_and_ears_are_mixed_to_one() -> None:
    one = mono()
    np.testing.assert_array_equal(in_form(one, "ears").samples, np.repeat(one.samples, 2, axis=0))
    two = ears(50)
    np.testing.assert_allclose(in_form(two, "mono").samples[0], two.samples.mean(axis=0))
    np.testing.assert_array_equal(in_form(wave(50), "mono").samples[0], wave(50).samples[0])


def test_what_was_done_is_said() -> None:
    assert conversion(wave(0), "field") == conversion(ears(0), "ears") == ""
    assert conversion(wave(0), "ears") == "field rendered to two ears at the camera"
    assert conversion(mono(), "ears") == "one channel given to both ears"
    assert "BS.775" in conversion(sound(np.zeros((6, 9), np.float32), "5.1"), "ears")
    with pytest.raises(ValueError, match="layout 'mono'; a field cannot be made of it"):
        in_form(mono(), "field")
