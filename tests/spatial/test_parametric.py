"""A sound and its place, band by band: a plane wave comes back as itself, ears keep their differences."""

import numpy as np
import pytest

from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.interaural import interaural_delays_s, interaural_levels_db
from spatialfoley.spatial.parametric import (
    BANDS,
    apply_ear_parameters,
    apply_field_ratios,
    band_weights,
    ear_parameters,
    field_ratios,
)
from spatialfoley.spatial.signal import SpatialAudio

RATE_HZ = 16000


@pytest.fixture
def mono() -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(RATE_HZ) * 0.1).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000])
def test_the_bands_of_any_rate_sum_to_one(rate_hz: int) -> None:
    weights = band_weights(rate_hz // 50, rate_hz)
    assert weights.shape == (BANDS, rate_hz // 50 + 1)
    assert np.allclose(weights.sum(axis=0), 1)
    assert weights.min() >= 0


@pytest.mark.parametrize(("azimuth_deg", "elevation_deg"), [(0, 0), (90, 0), (-120, 30), (10, -60)])
def test_a_plane_wave_is_its_ratios(mono: np.ndarray, azimuth_deg: float, elevation_deg: float) -> None:
    vector = unit_vectors(azimuth_deg, elevation_deg)
    field = encode(mono, vector).astype(np.float32)
    ratios = field_ratios(field, RATE_HZ)
    expected = vector[[1, 2, 0]]  # Y, Z, X
    assert np.allclose(ratios, expected[:, None, None], atol=1e-3)
    assert np.allclose(apply_field_ratios(mono, ratios, RATE_HZ), field, atol=1e-3)


def test_two_sources_in_two_bands_keep_their_places() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    low, high = np.sin(2 * np.pi * 200 * time_s), np.sin(2 * np.pi * 6000 * time_s)
    field = encode(low, unit_vectors(90, 0)) + encode(high, unit_vectors(-90, 0))
    ratios = field_ratios(field.astype(np.float32), RATE_HZ)[0]  # of Y
    assert np.allclose(ratios[0, 5:-5], 1, atol=0.01)
    assert np.allclose(ratios[-1, 5:-5], -1, atol=0.01)


def test_silence_comes_from_nowhere() -> None:
    silence = np.zeros((4, 999), np.float32)
    assert not field_ratios(silence, RATE_HZ).any()
    gains_db, delays_s = ear_parameters(silence[:2], silence[0], RATE_HZ)
    assert not gains_db.any()
    assert not delays_s.any()


@pytest.mark.parametrize("azimuth_deg", [90, 30, -60])
def test_ears_made_of_their_parameters_hear_the_same_place(mono: np.ndarray, azimuth_deg: float) -> None:
    field = encode(mono, unit_vectors(azimuth_deg, 0)).astype(np.float32)
    ears = render_binaural(SpatialAudio(field, RATE_HZ, "foa")).samples
    made = apply_ear_parameters(mono, *ear_parameters(ears, mono, RATE_HZ), RATE_HZ)
    difference_db = interaural_levels_db(made, RATE_HZ, None) - interaural_levels_db(ears, RATE_HZ, None)
    difference_s = interaural_delays_s(made, RATE_HZ, None) - interaural_delays_s(ears, RATE_HZ, None)
    assert abs(difference_db[0]) < 0.5
    assert abs(difference_s[0]) < 20e-6


def test_neutral_parameters_change_nothing(mono: np.ndarray) -> None:
    frames = RATE_HZ // 320 + 1
    ears = apply_ear_parameters(mono, np.zeros((2, BANDS, frames)), np.zeros(frames), RATE_HZ)
    assert np.allclose(ears, mono, atol=1e-5)


def test_short_numbers_are_held_to_the_end(mono: np.ndarray) -> None:
    field = apply_field_ratios(mono, np.full((3, BANDS, 3), 0.5), RATE_HZ)
    assert np.allclose(field[1:], 0.5 * mono, atol=1e-5)
