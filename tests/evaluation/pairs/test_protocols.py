import numpy as np
import pytest

from spatialfoley.evaluation.pairs.protocols import (
    fit_duration,
    length_problem,
    protocol,
    restore_length,
    truth_duration_s,
)
from spatialfoley.spatial.signal import SpatialAudio
from tests.evaluation.pairs.sounds import RATE_HZ, mono, sound


def test_visage_takes_the_first_80000_samples_or_pads() -> None:
    rules = protocol("visage")
    assert truth_duration_s(mono(7.0), rules) == truth_duration_s(mono(2.0), rules) == 5.0
    assert length_problem(0.3, 5.0, rules) == length_problem(9.0, 5.0, rules) == ""
    longer = sound(np.arange(96000, dtype=np.float32)[None] / 96000, "mono")
    assert fit_duration(longer, 5.0).samples.shape == (1, 80000)
    np.testing.assert_array_equal(fit_duration(longer, 5.0).samples, longer.samples[:, :80000])
    padded = fit_duration(mono(2.0), 5.0).samples
    assert padded.shape == (1, 80000)
    assert not padded[:, 32000:].any()


def test_visaudio_cuts_to_eight_seconds_and_does_not_pad() -> None:
    rules = protocol("visaudio")
    assert truth_duration_s(mono(10.0), rules) == 8.0
    assert truth_duration_s(mono(6.0), rules) == 6.0
    assert length_problem(10.0, 8.0, rules) == ""
    assert "lasts 5.00 s and its truth 8.00 s; they may differ by 0.50 s" in length_problem(5.0, 8.0, rules)


@pytest.mark.parametrize(
    ("truth_s", "estimate_s", "fits"),
    [(5, 4.5, True), (5, 5.51, False), (60, 60.5, True), (60, 59, False), (2, 2.2, True), (2, 2.3, False),
     (0.3, 0.4, True), (0.3, 0.45, False)],
)  # fmt: skip
def test_ours_allows_half_a_second_or_a_tenth(truth_s: float, estimate_s: float, fits: bool) -> None:
    assert (length_problem(estimate_s, truth_s, protocol("ours")) == "") == fits


def test_sound_of_compressed_video_is_stretched_back() -> None:
    rate_hz, played_hz = RATE_HZ, 800.0
    times_s = np.arange(5 * rate_hz) / rate_hz
    tone = np.sin(2 * np.pi * played_hz * times_s).astype(np.float32)
    tone[: 2 * rate_hz] = 0  # begins at 2 s of 5, which is 3.2 s of 8
    restored = restore_length(SpatialAudio(tone[None], rate_hz, "mono"), 8.0)
    assert restored.samples.shape == (1, 8 * rate_hz)
    begins = np.flatnonzero(np.abs(restored.samples[0]) > 0.5)[0] / rate_hz
    assert begins == pytest.approx(3.2, abs=0.01)
    spectrum = np.abs(np.fft.rfft(restored.samples[0]))
    assert np.argmax(spectrum) / 8 == pytest.approx(played_hz * 5 / 8, abs=1)
    with pytest.raises(ValueError, match="duration_s is 0; it must be longer than one sample"):
        restore_length(restored, 0)


def test_protocols_say_which_figures_they_tell() -> None:
    visage, ours = protocol("visage"), protocol("ours")
    assert visage.tells_distance("vggish")
    assert not visage.tells_distance("passt")
    assert visage.tells_divergence("passt")
    # A listener that the paper did not use tells all it can.
    assert visage.tells_distance("world")
    assert visage.tells_divergence("world")
    assert ours.tells_distance("cnn14")
    with pytest.raises(ValueError, match="protocol is 'mine'; it must be one of ours, visage, visaudio"):
        protocol("mine")
