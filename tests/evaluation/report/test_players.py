import base64
import io

import numpy as np
import pytest
import soundfile

from spatialfoley.evaluation.report.players import audio_url, common_gain, ears_of, encode_sound
from spatialfoley.spatial.direction import CameraPose
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory
from tests.evaluation.report.conftest import clicks_from


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples), axis=-1))


@pytest.mark.parametrize("rate_hz", [16000, 44100, 11000])
def test_players_keep_length_place_in_time_and_level_difference(rate_hz):
    rng = np.random.default_rng(0)
    count = round(1.5 * rate_hz)
    left = 0.2 * rng.normal(size=count) * np.exp(-20 * (np.arange(count) / rate_hz % 0.5))
    samples = np.stack([left, 0.3 * np.roll(left, 8)]).astype(np.float32)
    kind, data = encode_sound(samples, rate_hz)
    assert kind == "audio/mpeg"
    heard, heard_rate_hz = soundfile.read(io.BytesIO(data), always_2d=True)
    assert heard.shape[1] == 2
    assert heard.shape[0] / heard_rate_hz == pytest.approx(1.5, abs=1e-3)
    gap_db = np.diff(level_db(heard.T)) - np.diff(level_db(samples))
    assert abs(gap_db[0]) < 0.1
    if heard_rate_hz == rate_hz:
        spectra = np.fft.rfft(heard[:, 0], 2 * count) * np.conj(np.fft.rfft(samples[0], 2 * count))
        assert np.fft.irfft(spectra).argmax() == 0


def test_without_an_mp3_writer_sounds_are_wav(monkeypatch):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "Microsoft"})
    samples = np.linspace(-0.5, 0.5, 100, dtype=np.float32)[None]
    kind, data = encode_sound(samples, 11000)
    assert kind == "audio/wav"
    heard, rate_hz = soundfile.read(io.BytesIO(data))
    assert rate_hz == 11000
    np.testing.assert_allclose(heard, samples[0], atol=2**-15)


def test_an_address_holds_the_whole_sound():
    samples = np.zeros((1, 1600), np.float32)
    head, data = audio_url(samples, 16000).split(",")
    assert head == "data:audio/mpeg;base64"
    assert base64.b64decode(data) == encode_sound(samples, 16000)[1]


def test_fields_are_heard_from_the_camera():
    field = clicks_from(90.0, elevation_deg=0.0)
    ahead = ears_of(field, None)
    turned = ears_of(field, CameraTrajectory.static(CameraPose(yaw_deg=180)))
    assert np.diff(level_db(ahead))[0] < -3
    assert np.diff(level_db(turned))[0] > 3
    ears = SpatialAudio(ahead, field.rate_hz, "binaural")
    assert ears_of(ears, None) is ears.samples


def test_both_sounds_of_a_clip_share_one_gain_below_full_scale():
    ears = {"truth": np.array([[0.1, -0.2]], np.float32), "estimate": np.array([[2.0]], np.float32)}
    assert 2.0 * common_gain(ears) == pytest.approx(0.89)
    assert common_gain({"truth": np.zeros((1, 4), np.float32)}) == 1.0
