import numpy as np
import pytest

from spatialfoley.evaluation.metrics.direction import (
    CHANCE_DEG,
    intensity_ratio,
    intensity_window_directions,
    left_right_confusion,
    spatial_coherence,
    weighted_angle_deg,
    window_directions,
)
from spatialfoley.evaluation.metrics.energy_overlap import covariances_over_time
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode

RATE_HZ = 1000
RNG = np.random.default_rng(5)
NOISE = RNG.normal(0, 0.1, 2 * RATE_HZ)
CELL_DEG = 1.5


def covariances(field: np.ndarray) -> np.ndarray:
    return covariances_over_time(field, RATE_HZ, 2)


def truth(azimuth_deg: float, elevation_deg: float = 0.0) -> np.ndarray:
    return np.tile(unit_vectors(azimuth_deg, elevation_deg), (4, 1))


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (-120, 35), (30, -60), (180, 10)])
def test_plane_wave_peaks_where_it_comes_from(azimuth: float, elevation: float) -> None:
    stack = covariances(encode(NOISE, unit_vectors(azimuth, elevation)))
    assert weighted_angle_deg(truth(azimuth, elevation), window_directions(stack)) < CELL_DEG
    assert intensity_ratio(stack) == pytest.approx(1)
    assert spatial_coherence(stack) == pytest.approx(1)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (90, 0), (-120, 35), (30, -60), (180, 10)])
def test_intensity_points_at_a_plane_wave_without_a_grid(azimuth: float, elevation: float) -> None:
    estimate = intensity_window_directions(covariances(encode(NOISE, unit_vectors(azimuth, elevation))))
    assert weighted_angle_deg(truth(azimuth, elevation), estimate) < 1e-3
    assert left_right_confusion(truth(azimuth, elevation), estimate) in (None, 0)


def test_of_two_sources_intensity_is_the_mean_and_the_peak_lies_nearer_to_the_stronger_one() -> None:
    other = RNG.normal(0, 0.1, 2 * RATE_HZ)
    other -= (other @ NOISE) / (NOISE @ NOISE) * NOISE
    other *= 0.5 * np.linalg.norm(NOISE) / np.linalg.norm(other)
    field = encode(NOISE, unit_vectors(50, 0)) + encode(other, unit_vectors(-50, 0))
    whole = covariances_over_time(field, RATE_HZ, None)
    # Energies 1 and 1/4: the mean of the unit vectors leans by atan(tan 50° · 0.75 / 1.25).
    between = np.degrees(np.arctan(np.tan(np.radians(50)) * 0.6))
    intensity = intensity_window_directions(whole)
    assert weighted_angle_deg(unit_vectors(between, 0)[None], intensity) == pytest.approx(0, abs=0.01)
    assert weighted_angle_deg(unit_vectors(50, 0)[None], window_directions(whole)) < 0.6 * (50 - between)


def test_silence_has_no_intensity() -> None:
    estimate = intensity_window_directions(covariances(np.zeros((4, 2 * RATE_HZ))))
    assert np.isnan(estimate.peak).all()
    assert weighted_angle_deg(truth(0), estimate) == CHANCE_DEG


def test_source_at_a_right_angle_is_90_degrees_off() -> None:
    estimate = window_directions(covariances(encode(NOISE, unit_vectors(90, 0))))
    assert weighted_angle_deg(truth(0), estimate) == pytest.approx(90, abs=CELL_DEG)


def test_windows_count_by_the_energy_of_the_estimate() -> None:
    gain = np.where(np.arange(2 * RATE_HZ) < RATE_HZ, 1.0, 3.0)
    half = np.where(np.arange(2 * RATE_HZ)[:, None] < RATE_HZ, unit_vectors(0, 0), unit_vectors(90, 0))
    steady = np.sign(NOISE) * 0.1
    estimate = window_directions(covariances(encode(steady * gain, half)))
    assert weighted_angle_deg(truth(0), estimate) == pytest.approx(0.9 * 90, abs=CELL_DEG)


def test_mirrored_field_is_on_the_wrong_side() -> None:
    estimate = window_directions(covariances(encode(NOISE, unit_vectors(-40, 0))))
    assert left_right_confusion(truth(40), estimate) == pytest.approx(1)
    assert left_right_confusion(truth(-40), estimate) == pytest.approx(0)
    assert left_right_confusion(truth(5), estimate) is None


def test_silence_has_defined_scores() -> None:
    stack = covariances(np.zeros((4, 2 * RATE_HZ)))
    estimate = window_directions(stack)
    assert weighted_angle_deg(truth(40), estimate) == CHANCE_DEG
    assert left_right_confusion(truth(40), estimate) is None
    assert intensity_ratio(stack) is None
    assert spatial_coherence(stack) is None


def test_sound_without_a_direction_is_chance() -> None:
    omni = np.stack([NOISE, 0 * NOISE, 0 * NOISE, 0 * NOISE])
    estimate = window_directions(covariances(omni))
    assert weighted_angle_deg(truth(40), estimate) == CHANCE_DEG
    assert left_right_confusion(truth(40), estimate) is None


def test_independent_channels_are_incoherent() -> None:
    stack = covariances(RNG.normal(0, 0.1, (4, 2 * RATE_HZ)))
    assert spatial_coherence(stack) < 0.02
    assert intensity_ratio(stack) < 0.15


def test_two_equal_opposite_sources_are_diffuse() -> None:
    first, second = RNG.normal(0, 0.1, (2, 40 * RATE_HZ))
    field = encode(first, unit_vectors(0, 0)) + encode(second, unit_vectors(180, 0))
    assert intensity_ratio(covariances_over_time(field, RATE_HZ, None)) < 0.02


def test_one_direction_per_window_is_needed() -> None:
    estimate = window_directions(covariances(encode(NOISE, unit_vectors(0, 0))))
    with pytest.raises(ValueError, match=r"reference has shape \(3, 3\), the estimate's peaks \(4, 3\)"):
        weighted_angle_deg(truth(0)[:3], estimate)


def test_what_is_not_finite_is_refused_not_taken_for_silence() -> None:
    broken = np.full((2, 4, 4), np.nan)
    for figure in (intensity_ratio, spatial_coherence):
        with pytest.raises(ValueError, match="covariances holds NaN or infinity"):
            figure(broken)
    for directions in (window_directions, intensity_window_directions):
        with pytest.raises(ValueError, match="cov holds NaN or infinity"):
            directions(broken)
    estimate = window_directions(np.stack([np.eye(4)] * 2))
    with pytest.raises(ValueError, match="reference holds NaN or infinite directions"):
        weighted_angle_deg(np.full((2, 3), np.nan), estimate)
