import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.evaluation.metrics.frechet import (
    frechet_distance,
    frechet_estimate,
    frechet_interval,
    small_sample_note,
)

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


def test_a_dimension_without_spread_is_no_obstacle() -> None:
    # Covariances of many clips are then singular: rank 3 in 6 dimensions, and one side flat.
    x, y = RNG.normal(size=(50, 3)), RNG.normal(1.0, 2.0, size=(40, 3))
    wide = [np.pad(one, ((0, 0), (0, 3))) for one in (x, y)]
    assert frechet_distance(*wide) == pytest.approx(frechet_distance(x, y), rel=1e-6)
    assert frechet_distance(wide[0], np.ones((40, 6))) == pytest.approx(
        np.sum((x.mean(axis=0) - 1) ** 2) + 3 + np.trace(np.cov(x, rowvar=False)), rel=1e-6
    )


@pytest.mark.parametrize("n", [260, 300])
def test_many_clips_of_more_dimensions(n: int) -> None:
    # Above 256 rows the singular values come from eigenvalues of the squared product.
    x, y = RNG.normal(size=(n, 310)), RNG.normal(0.1, 1.5, size=(280, 310))
    expected = np.linalg.norm((x - x.mean(0)) @ (y - y.mean(0)).T, "nuc") / np.sqrt((n - 1) * 279)
    gap = x.mean(axis=0) - y.mean(axis=0)
    traces = np.sum(np.var(x, axis=0, ddof=1)) + np.sum(np.var(y, axis=0, ddof=1))
    assert frechet_distance(x, y) == pytest.approx(gap @ gap + traces - 2 * expected, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-5)


@given(seed=st.integers(0, 2**31), n=st.integers(2, 12), m=st.integers(2, 12), dimensions=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_it_is_a_symmetric_distance_that_turning_does_not_change(
    seed: int, n: int, m: int, dimensions: int
) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, dimensions)), rng.normal(1.0, 2.0, size=(m, dimensions))
    turn = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    distance = frechet_distance(x, y)
    assert distance >= 0
    assert frechet_distance(y, x) == pytest.approx(distance, rel=1e-6, abs=1e-6)
    assert frechet_distance(x @ turn + 3, y @ turn + 3) == pytest.approx(distance, rel=1e-6, abs=1e-6)


def test_ears_are_averaged_and_frames_are_pooled() -> None:
    x, y = RNG.normal(size=(2, 9, 2, 5, 4))
    frames = [frechet_distance(x[:, ear].reshape(-1, 4), y[:, ear].reshape(-1, 4)) for ear in range(2)]
    assert frechet_distance(x, y) == pytest.approx(np.mean(frames))
    assert frechet_distance(x[:, :, 0], y[:, :, 0]) == pytest.approx(
        np.mean([frechet_distance(x[:, ear, 0], y[:, ear, 0]) for ear in range(2)])
    )
    assert frechet_estimate(list(x), list(y)) == frechet_estimate(x, y)


def test_clips_may_have_different_numbers_of_frames() -> None:
    x = [RNG.normal(size=(1, frames, 3)) for frames in (1, 4, 2, 5)]
    y = [RNG.normal(1.0, 1.0, size=(1, frames, 3)) for frames in (2, 3, 2, 5)]
    together = [np.concatenate(one, axis=1)[0] for one in (x, y)]
    found = frechet_estimate(x, y)
    assert found.value == pytest.approx(frechet_distance(*together))
    assert (found.clips, found.dimensions, found.interval.count) == (4, 3, 4)


@pytest.mark.parametrize(("clips", "dimensions"), [(10, 4), (10, 30)])
def test_interval_and_estimate_are_those_of_leaving_clips_out(clips: int, dimensions: int) -> None:
    x, y = RNG.normal(size=(clips, dimensions)), RNG.normal(1.0, 2.0, size=(clips, dimensions))
    left_out = np.array([frechet_distance(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(clips)])
    found = frechet_estimate(x, y)
    assert found.value == pytest.approx(frechet_distance(x, y), rel=1e-9)
    assert found.unbiased == pytest.approx(clips * found.value - (clips - 1) * left_out.mean(), rel=1e-6)
    error = np.sqrt((clips - 1) / clips * np.sum((left_out - left_out.mean()) ** 2))
    # 2.262 is the 97.5 % point of Student's t at 9 degrees of freedom.
    assert found.interval.high - found.value == pytest.approx(2.262 * error, rel=2e-3)
    around = found.unbiased_interval
    assert (around.value, around.count) == (found.unbiased, clips)
    assert around.high - around.value == pytest.approx(around.value - around.low)
    assert around.high - around.value == pytest.approx(found.interval.high - found.value)


def test_the_estimate_has_no_bias_from_few_clips() -> None:
    # Two isotropic Gaussians of scales 1 and 1.5 in 24 dimensions, 0.1 apart: 24 (0.01 + 0.25) = 6.24.
    estimates = [
        frechet_estimate(RNG.normal(size=(60, 24)), RNG.normal(0.1, 1.5, size=(60, 24))) for _ in range(12)
    ]
    assert np.mean([one.value for one in estimates]) > 11
    assert np.mean([one.unbiased for one in estimates]) == pytest.approx(6.24, abs=0.8)
    assert all("of the Fréchet distance" in (one.warning or "") for one in estimates)
    assert all("only 60 clips" in (one.warning or "") for one in estimates)


def test_warnings_speak_of_rank_and_of_bias_only_where_there_is_one() -> None:
    x, y = RNG.normal(size=(2, 40, 50))
    assert "40 clips in 50 dimensions, too few for a covariance of full rank" in (
        frechet_estimate(x, y).warning or ""
    )
    frames = x.reshape(20, 1, 2, 50), y.reshape(20, 1, 2, 50)
    assert "20 clips (40 frames) in 50 dimensions" in (frechet_estimate(*frames).warning or "")
    many = RNG.normal(size=(400, 3))
    assert frechet_estimate(many, many + 5).warning is None


def test_the_same_seed_gives_the_same_groups() -> None:
    x, y = RNG.normal(size=(2, 100, 4))
    assert frechet_interval(x, y, seed=1) == frechet_interval(x, y, seed=1)
    assert frechet_interval(x, y, seed=1) != frechet_interval(x, y, seed=2)


def test_interval_holds_the_value_and_narrows_with_clips() -> None:
    few, many = (
        frechet_interval(RNG.normal(size=(clips, 4)), RNG.normal(1.0, 1.0, size=(clips, 4)))
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
    with pytest.raises(ValueError, match="groups is 1; give 2 or more"):
        frechet_estimate(x, x, groups=1)
    with pytest.raises(ValueError, match=r"reference has shape \(4, 1, 1, 1, 3\)"):
        frechet_distance(x[:, None, None, None], x)
    with pytest.raises(ValueError, match="reference has 2 ears, estimate 1; give the same"):
        frechet_distance(np.zeros((4, 2, 3)), x)
    with pytest.raises(ValueError, match=r"estimate has clips of shapes \[\(1, 2, 3\), \(2, 2, 3\)\]"):
        frechet_distance(x, [np.zeros((1, 2, 3)), np.zeros((2, 2, 3))])
