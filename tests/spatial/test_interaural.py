"""Known delays, levels and coherence of two ears, and spectra that come back as they were."""

import numpy as np
import pytest

from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.interaural import (
    frame_delays_s,
    interaural_coherence,
    interaural_delays_s,
    interaural_levels_db,
    shift_ears,
)
from spatialfoley.spatial.short_time import analyse, synthesise
from spatialfoley.spatial.signal import SpatialAudio

RATE_HZ = 16000


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, RATE_HZ)).astype(np.float32) * 0.1


@pytest.mark.parametrize("count", [1, 319, 320, 4321])
def test_spectra_of_any_length_come_back(noise: np.ndarray, count: int) -> None:
    samples = noise[:, :count]
    assert np.allclose(synthesise(analyse(samples, 320), count), samples, atol=1e-6)


@pytest.mark.parametrize("samples", [-6, 0, 3, 10])
def test_a_delay_of_whole_samples_is_found(noise: np.ndarray, samples: int) -> None:
    ears = np.stack([noise[0], np.roll(noise[0], samples)])  # the right ear later: sound from the left
    assert interaural_delays_s(ears, RATE_HZ, None)[0] == pytest.approx(samples / RATE_HZ, abs=1e-5)
    assert np.median(frame_delays_s(ears, RATE_HZ)) == pytest.approx(samples / RATE_HZ, abs=1e-5)


def test_a_louder_left_ear_is_positive(noise: np.ndarray) -> None:
    levels_db = interaural_levels_db(np.stack([2 * noise[0], noise[0]]), RATE_HZ, 2.0)
    assert levels_db == pytest.approx(6.0206, abs=1e-3)
    assert len(levels_db) == 2


def test_coherence_is_one_of_filtered_versions_and_low_of_independent_noise(noise: np.ndarray) -> None:
    same = np.stack([noise[0], -0.3 * np.roll(noise[0], 4)])
    assert interaural_coherence(same, RATE_HZ, None)[0] > 0.98
    assert interaural_coherence(noise, RATE_HZ, None)[0] < 0.2


def test_silence_has_no_difference(noise: np.ndarray) -> None:
    silent = np.stack([noise[0], np.zeros_like(noise[0])])
    for measure in (interaural_levels_db, interaural_delays_s, interaural_coherence):
        assert np.isnan(measure(silent, RATE_HZ, None)).all()
    assert not frame_delays_s(np.zeros((2, 999)), RATE_HZ).any()


def test_shifting_by_the_delay_aligns_the_ears(noise: np.ndarray) -> None:
    ears = np.stack([noise[0], np.roll(noise[0], 8)])
    aligned = shift_ears(ears, RATE_HZ, frame_delays_s(ears, RATE_HZ))
    assert interaural_delays_s(aligned, RATE_HZ, None)[0] == pytest.approx(0, abs=1e-5)
    # Each ear moved by four samples towards the other.
    assert np.allclose(aligned[0, 100:-100], np.roll(noise[0], 4)[100:-100], atol=0.02)


@pytest.mark.parametrize("azimuth_deg", [90, 45, -45, -90])
def test_rendered_ears_hear_the_side(noise: np.ndarray, azimuth_deg: float) -> None:
    field = SpatialAudio(encode(noise[0], unit_vectors(azimuth_deg, 0.0)), RATE_HZ, "foa")
    ears = render_binaural(field).samples
    side = np.sign(azimuth_deg)
    assert interaural_levels_db(ears, RATE_HZ, None)[0] * side > 3
    assert interaural_delays_s(ears, RATE_HZ, None)[0] * side > 300e-6


def test_ears_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ears has shape \(3, 5\); it must be \(2, samples\)"):
        interaural_levels_db(np.zeros((3, 5)), RATE_HZ, None)
