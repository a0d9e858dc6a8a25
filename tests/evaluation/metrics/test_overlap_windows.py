import numpy as np
import pytest

from spatialfoley.evaluation.metrics.energy_points import field_points
from spatialfoley.evaluation.metrics.overlap_windows import (
    OVERLAP_WINDOWS,
    SCORE_RATE_HZ,
    VARIANTS,
    all_points,
)


@pytest.mark.parametrize("count", [5 * SCORE_RATE_HZ, 2 * SCORE_RATE_HZ + 5000, SCORE_RATE_HZ])
def test_all_windows_at_once_are_the_windows_one_by_one(count: int) -> None:
    field = np.random.default_rng(count).normal(0, 0.1, (4, count)).astype(np.float32)
    found = all_points(field)
    assert set(found) == {(name, variant) for name in OVERLAP_WINDOWS for variant in VARIANTS}
    for (name, variant), points in found.items():
        expected = field_points(field, SCORE_RATE_HZ, OVERLAP_WINDOWS[name], variant)
        assert points.variant == variant
        np.testing.assert_allclose(points.points, expected.points, rtol=1e-12)
        np.testing.assert_allclose(points.energy, expected.energy, rtol=1e-12)


def test_short_and_broken_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="samples has 9000 samples, less than one window of 16000"):
        all_points(np.zeros((4, 9000), np.float32))
    with pytest.raises(ValueError, match="samples holds NaN"):
        all_points(np.full((4, SCORE_RATE_HZ), np.nan))
    with pytest.raises(ValueError, match=r"samples has shape \(2, 16000\)"):
        all_points(np.zeros((2, SCORE_RATE_HZ)))
