import numpy as np
import pytest

from spatialfoley.evaluation.metrics.frechet import frechet_distance, frechet_interval, small_sample_note

RNG = np.random.default_rng(2)


def gaussian(clips: int, dimensions: int, mean: float = 0.0, scale: float = 1.0) -> np.ndarray:
    """Sample whose mean and covariance are exactly mean and scale² on the diagonal."""
    drawn = RNG.normal(size=(clips, dimensions))
    drawn -= drawn.mean(axis=0)
    left, _, right = np.linalg.svd(drawn, full_matrices=False)
    return mean + scale * np.sqrt(clips - 1) * left @ right


def by_general_root(x: np.ndarray, y: np.ndarray) -> float:
    """The usual way: eigenvalues of a product that is not symmetric."""
    S1, S2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root_trace = np.sqrt(np.clip(np.linalg.eigvals(S1 @ S2).real, 0, None)).sum()
    gap = x.mean(axis=0) - y.mean(axis=0)
    return float(gap @ gap + np.trace(S1) + np.trace(S2) - 2 * root_trace)


@pytest.mark.parametrize(("clips", "dimensions"), [(12, 5), (200, 5)])
def test_gaussians_have_the_known_distance(clips: int, dimensions: int) -> None:
    x, y = gaussian(clips, dimensions), gaussian(clips, dimensions, mean=0.5, scale=3.0)
    assert frechet_distance(x, y) == pytest.approx(dimensions * (0.5**2 + (3 - 1) ** 2), rel=1e-6)


@pytest.mark.parametrize(("n", "m", "dimensions"), [(8, 9, 20), (40, 30, 20), (15, 300, 20), (100, 90, 20)])
def test_it_is_the_usual_distance(n: int, m: int, dimensions: int) -> None:
    mix = RNG.normal(size=(dimensions, dimensions))
    x, y = RNG.normal(size=(n, dimensions)) @ mix, RNG.normal(0.3, 2.0, size=(m, dimensions))
    assert frechet_distance(x, y) == pytest.approx(by_general_root(x, y), rel=1e-5)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


@pytest.mark.parametrize("clips", [5, 60])
def test_a_set_is_no_distance_from_itself(clips: int) -> None:
    x = RNG.normal(size=(clips, 10))
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + 2) == pytest.approx(40, abs=1e-6)


def test_interval_holds_the_value_and_narrows_with_clips() -> None:
    few, many = (
        frechet_interval(RNG.normal(size=(clips, 4)), RNG.normal(1.0, 1.0, size=(clips, 4)), draws=100)
        for clips in (20, 500)
    )
    for interval in (few, many):
        assert interval.low <= interval.value <= interval.high
    assert many.high - many.low < (few.high - few.low) / 2
    assert many.value == pytest.approx(4, abs=0.8)
    assert many.count == 500


def test_few_clips_are_said_to_be_few() -> None:
    assert small_sample_note(400, 336) is None
    assert "200 clips in 336 dimensions" in (small_sample_note(200, 336) or "")


def test_bad_sets_are_refused() -> None:
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"estimate has shape \(1, 3\); it must be \(clips, dimensions\)"):
        frechet_distance(x, x[:1])
    with pytest.raises(ValueError, match="reference has 3 dimensions, estimate 2"):
        frechet_distance(x, x[:, :2])
    with pytest.raises(ValueError, match="reference holds NaN"):
        frechet_distance(np.full((4, 3), np.nan), x)
    with pytest.raises(ValueError, match="reference has 4 clips, estimate 3; give pairs"):
        frechet_interval(x, x[:3])
