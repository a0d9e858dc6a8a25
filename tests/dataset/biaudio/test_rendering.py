"""What a turning camera hears: in front what it faces, without steps, without edges."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from spatialfoley.dataset.biaudio.rendering import heard_by_camera, read_stretch
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import CameraPose, unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

RATE_HZ = 48000
FRONT = CameraTrajectory.static(CameraPose())


def tone(duration_s: float, frequency_hz: float = 400.0) -> np.ndarray:
    times_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)


def kept(folder: Path, field: np.ndarray, rate_hz: int = RATE_HZ) -> SoundFile:
    soundfile.write(folder / "field.wav", field.T, rate_hz, subtype="FLOAT")
    return SoundFile.open(folder / "field.wav", "foa")


def test_what_the_camera_follows_stays_in_front(tmp_path: Path) -> None:
    """A source that goes round once in the time in which the camera does."""
    mono = tone(2.0)
    azimuth_deg = 180.0 * np.arange(mono.size) / RATE_HZ
    sound = kept(tmp_path, encode(mono, unit_vectors(azimuth_deg, np.full(mono.size, 10.0))))
    camera = CameraTrajectory([0.0, 1.0], [90.0, 270.0], [10.0, 10.0], [0.0, 0.0])
    field, ears = heard_by_camera(read_stretch(sound, 0.5, 1.0, RATE_HZ), camera, RATE_HZ)
    heard = mono[RATE_HZ // 2 : 3 * RATE_HZ // 2]
    np.testing.assert_allclose(field.samples, encode(heard, unit_vectors(0.0, 0.0)), atol=1e-4)
    # Before the clip the camera rests while the source moves: the filters ring on for 256 samples.
    np.testing.assert_allclose(ears.samples[0, 256:], ears.samples[1, 256:], atol=1e-4)
    assert (field.layout, ears.layout) == ("foa", "binaural")


def test_the_ear_at_the_side_of_the_source_hears_more(tmp_path: Path) -> None:
    sound = kept(tmp_path, encode(tone(1.0, 3000.0), unit_vectors(0.0, 0.0)))
    stretch = read_stretch(sound, 0.0, 1.0, RATE_HZ)
    for yaw_deg, louder in ((60.0, 1), (-60.0, 0)):  # turned left, the source is at the right
        ears = heard_by_camera(stretch, CameraTrajectory.static(CameraPose(yaw_deg)), RATE_HZ)[1]
        levels = np.sqrt(np.mean(ears.samples**2, axis=1))
        assert levels[louder] > 1.5 * levels[1 - louder]


def test_a_turning_camera_makes_no_zipper_noise(tmp_path: Path) -> None:
    """All that a turn of 80° in 2 s adds to a tone lies beside the tone."""
    sound = kept(tmp_path, encode(tone(2.0, 1000.0), unit_vectors(30.0, 0.0)))
    camera = CameraTrajectory([0.0, 2.0], [0.0, 80.0], [0.0, 10.0], [0.0, 5.0])
    field, ears = heard_by_camera(read_stretch(sound, 0.0, 2.0, RATE_HZ), camera, RATE_HZ)
    middle = slice(RATE_HZ // 2, 3 * RATE_HZ // 2)
    for channel in (*field.samples[1:], *ears.samples):
        power = np.abs(np.fft.rfft(channel[middle] * np.hanning(RATE_HZ))) ** 2
        power /= power.max()
        assert power[np.abs(np.arange(power.size) - 1000) > 40].max() < 1e-9


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(48000, 44100), (44100, 48000), (48000, 48000), (16000, 44100)]
)
def test_clips_join_as_if_never_cut(tmp_path: Path, from_hz: int, to_hz: int) -> None:
    rng = np.random.default_rng(0)
    smooth = np.convolve(rng.standard_normal(2 * from_hz), np.ones(8) / 8, "same").astype(np.float32) * 0.1
    sound = kept(tmp_path, encode(smooth, unit_vectors(70.0, 0.0)), from_hz)
    whole = heard_by_camera(read_stretch(sound, 0.0, 2.0, to_hz), FRONT, to_hz)
    halves = [
        heard_by_camera(read_stretch(sound, start_s, 1.0, to_hz), FRONT, to_hz) for start_s in (0.0, 1.0)
    ]
    for number in range(2):
        joined = np.concatenate([half[number].samples for half in halves], axis=1)
        assert joined.shape[1] == 2 * to_hz
        np.testing.assert_allclose(joined, whole[number].samples, atol=2e-5)


def test_two_ears_are_those_of_omnitone(tmp_path: Path) -> None:
    field = encode(tone(0.5), unit_vectors(50.0, 0.0))
    ears = heard_by_camera(read_stretch(kept(tmp_path, field), 0.0, 0.5, RATE_HZ), FRONT, RATE_HZ)[1]
    expected = render_binaural(SpatialAudio(field, RATE_HZ, "foa"))
    np.testing.assert_allclose(ears.samples, expected.samples, atol=1e-6)


def test_a_stretch_beyond_the_end_is_refused(tmp_path: Path) -> None:
    sound = kept(tmp_path, np.zeros((4, RATE_HZ), np.float32))
    with pytest.raises(ValueError, match=r"a stretch of 1 s from 0.5 s on is beyond the end of field.wav"):
        read_stretch(sound, 0.5, 1.0, RATE_HZ)
