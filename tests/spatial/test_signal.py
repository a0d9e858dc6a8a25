import numpy as np
import pytest

from spatialfoley.spatial.signal import LAYOUT_CHANNELS, SpatialAudio, require_layout


@pytest.mark.parametrize(("layout", "channels"), LAYOUT_CHANNELS.items())
def test_every_layout_takes_its_channels(layout, channels):
    audio = SpatialAudio(np.full((channels, 800), -0.5), 16000, layout)
    assert audio.samples.dtype == np.float32
    assert audio.duration_s == 0.05
    assert audio.peak == 0.5


def test_no_samples_are_allowed():
    assert SpatialAudio(np.zeros((4, 0)), 16000, "foa").peak == 0.0


def broken():
    samples = np.zeros((4, 10))
    samples[2, 7] = np.nan
    return samples


@pytest.mark.parametrize(
    ("samples", "rate_hz", "layout", "message"),
    [
        (np.zeros((2, 10)), 16000, "foa", r"shape \(2, 10\); layout 'foa' needs \(4, samples\)"),
        (np.zeros(10), 16000, "mono", r"shape \(10,\)"),
        (broken(), 16000, "foa", "nan at channel 2, sample 7"),
        (np.zeros((1, 10)), 0, "mono", "rate_hz is 0"),
        (np.zeros((1, 10)), 22050.5, "mono", "rate_hz is 22050.5"),
        (np.zeros((1, 10)), 16000, "quad", "layout is 'quad'"),
    ],
)
def test_wrong_sound_is_named(samples, rate_hz, layout, message):
    with pytest.raises(ValueError, match=message):
        SpatialAudio(samples, rate_hz, layout)


def test_required_layout():
    with pytest.raises(ValueError, match="foa has layout 'mono'; it must be 'foa'"):
        require_layout(SpatialAudio(np.zeros((1, 1)), 16000, "mono"), "foa", "foa")
