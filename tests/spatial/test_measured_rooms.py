"""Measured and simulated room responses with known direction: nobody who made them knew our code."""

import numpy as np
import pytest
import soundfile

from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_vectors
from spatialfoley.spatial.foa import from_fuma
from spatialfoley.spatial.statistics import directionality, intensity_directions
from tests.parity.cases import shared_folder

FOLDER = shared_folder() / "data" / "srir"
BAND_HZ = (200.0, 1500.0)  # where the directional channels of the measured array are valid


def direct_sound(name):
    """The first 2 ms around the onset of W in the valid band, shape (4, N)."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{path} is missing (set SPATIALFOLEY_SHARED_DIR)")
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    onset = int(np.abs(samples[:, 0]).argmax())
    around = round(0.002 * rate_hz)
    window = samples[max(onset - around, 0) : onset + around].T * np.hanning(min(onset, around) + around)
    spectrum = np.fft.rfft(window, 4 * window.shape[1])
    frequency_hz = np.fft.rfftfreq(4 * window.shape[1], 1 / rate_hz)
    spectrum[:, (frequency_hz < BAND_HZ[0]) | (frequency_hz > BAND_HZ[1])] = 0.0
    return np.fft.irfft(spectrum)


@pytest.mark.parametrize(
    ("name", "azimuth_deg"), [("S000", 0.0), ("S060", -60.0), ("S150", -150.0), ("S270", 90.0)]
)
def test_measured_direct_sound_comes_from_its_label(name, azimuth_deg):
    cov = covariance(direct_sound(f"R3VIVAL_lab100abs_{name}_1.5m_foa_ambix.flac"))
    label = Direction(azimuth_deg).vector()
    assert angle_between_deg(intensity_directions(cov), label) < 5.0
    assert angle_between_deg(peak_vectors(energy_map(cov)), label) < 5.0
    assert directionality(cov) > 0.8


def test_fuma_room_comes_from_its_label():
    cov = covariance(from_fuma(direct_sound("room_1_bf.wav")))
    assert angle_between_deg(peak_vectors(energy_map(cov)), Direction(13.8).vector()) < 1.0
    assert directionality(cov) > 0.99
