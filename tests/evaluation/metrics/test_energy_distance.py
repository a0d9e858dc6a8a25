import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.evaluation.metrics.energy_distance import energy_map_l1, points_distance
from spatialfoley.evaluation.metrics.energy_points import Variant, field_points
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.foa import encode

RATE_HZ = 1000
NOISE = np.random.default_rng(1).normal(0, 0.1, 2 * RATE_HZ)
VARIANTS: tuple[Variant, ...] = ("correct", "reference")


def wave(azimuth_deg: float, elevation_deg: float = 0.0, signal: np.ndarray = NOISE) -> np.ndarray:
    return encode(signal, unit_vectors(azimuth_deg, elevation_deg))


def omni() -> np.ndarray:
    return np.stack([NOISE, 0 * NOISE, 0 * NOISE, 0 * NOISE])


def test_known_distances() -> None:
    # Maps are 1 + cos(angle) and 1 - cos(angle) or 1, and the mean of |cos| over the sphere is 1/2.
    assert energy_map_l1(wave(20), wave(20), RATE_HZ) == pytest.approx(0, abs=1e-9)
    assert energy_map_l1(wave(0), wave(180), RATE_HZ) == pytest.approx(0.5, abs=1e-3)
    assert energy_map_l1(wave(0, 90), wave(0, -90), RATE_HZ) == pytest.approx(0.5, abs=1e-3)
    assert energy_map_l1(wave(0), omni(), RATE_HZ) == pytest.approx(0.25, abs=1e-3)


@given(
    azimuth_deg=st.floats(-180, 180),
    elevation_deg=st.floats(-90, 90),
    gain=st.floats(1e-3, 1e3),
    variant=st.sampled_from(VARIANTS),
)
@settings(max_examples=25, deadline=None)
def test_it_is_a_distance_and_level_does_not_matter(
    azimuth_deg: float, elevation_deg: float, gain: float, variant: Variant
) -> None:
    first, second = wave(10, 5), wave(azimuth_deg, elevation_deg)
    there = energy_map_l1(first, second, RATE_HZ, 5, variant)
    back = energy_map_l1(second, gain * first, RATE_HZ, 5, variant)
    assert there is not None
    assert there == pytest.approx(back, abs=1e-6)
    # The reference maps hold plane waves at a contrast above that of a cardioid.
    assert 0 <= there <= (0.501 if variant == "correct" else 0.8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_silence_is_counted(variant: Variant) -> None:
    silent = np.zeros((4, 2 * RATE_HZ))
    assert energy_map_l1(silent, wave(0), RATE_HZ, 5, variant) is None
    half = wave(30, signal=NOISE * (np.arange(2 * RATE_HZ) < RATE_HZ))
    truth, found = (field_points(field, RATE_HZ, 5, variant) for field in (half, wave(30)))
    score = points_distance(truth, found)
    assert (score.windows, score.scored, score.reference_silent) == (10, 5, 5)
    assert score.l1 == pytest.approx(0, abs=1e-9)
    back = points_distance(found, truth)
    assert (back.scored, back.estimate_flat) == (10, 5)
    # Silence says as little about where as sound from everywhere does.
    flat = energy_map_l1(wave(30), omni(), RATE_HZ, 5, variant)
    assert energy_map_l1(wave(30), silent, RATE_HZ, 5, variant) == pytest.approx(flat, abs=1e-9)
    assert back.l1 == pytest.approx(flat / 2, abs=1e-6)


def test_bad_input_is_named() -> None:
    broken = wave(0)
    broken[0, 0] = np.inf
    with pytest.raises(ValueError, match="estimate holds NaN or infinite samples"):
        energy_map_l1(wave(0), broken, RATE_HZ)
    with pytest.raises(ValueError, match=r"estimate has shape \(4, 9\), reference \(4, 10\)"):
        energy_map_l1(np.ones((4, 10)), np.ones((4, 9)), RATE_HZ)
    with pytest.raises(ValueError, match=r"reference has shape \(2, 10\); energy maps need FOA"):
        energy_map_l1(np.ones((2, 10)), np.ones((2, 10)), RATE_HZ)
