import numpy as np
import pytest

from spatialfoley.evaluation.metrics.statistics import (
    bootstrap_interval,
    correlation_interval,
    crossed_correlation_interval,
    crossed_interval,
    wilson_interval,
)


def test_wilson_interval_of_a_known_case() -> None:
    # 8 of 10: textbook values 0.490 and 0.943.
    interval = wilson_interval(8, 10)
    assert (interval.value, interval.count) == (0.8, 10)
    assert (interval.low, interval.high) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))


def test_wilson_interval_of_no_success_is_not_empty() -> None:
    interval = wilson_interval(0, 100)
    assert interval.low == pytest.approx(0, abs=1e-12)
    assert interval.high == pytest.approx(0.037, abs=1e-3)
    assert wilson_interval(0, 0) is None


def test_bootstrap_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    interval = bootstrap_interval(values, np.mean)
    half = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_bootstrap_covers_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        interval = bootstrap_interval(rng.normal(0, 1, 60), np.median, draws=400)
        inside += interval.low <= 0 <= interval.high
    assert 0.90 < inside / 300 < 0.99


def test_bootstrap_is_reproducible_and_exact_without_spread() -> None:
    values = [1.0, 5.0, 2.0, 9.0]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    flat = bootstrap_interval([4.0, 4.0, 4.0])
    assert (flat.value, flat.low, flat.high) == (4, 4, 4)
    assert bootstrap_interval([]) is None


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="values holds NaN"):
        bootstrap_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match=r"successes is 5; it must lie in \[0, trials = 4\]"):
        wilson_interval(5, 4)


def moments(x: np.ndarray, y: np.ndarray) -> list[float]:
    return [len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]


def test_correlation_of_all_pairs_and_within_clips() -> None:
    rng = np.random.default_rng(3)
    clips = [(mean + rng.normal(size=8), mean) for mean in rng.normal(0, 5, 40)]
    # Every clip is right on average and opposite in what changes within it.
    pairs = [(x, 2 * mean - x) for x, mean in clips]
    sums = [moments(x, y) for x, y in pairs]
    whole = correlation_interval(sums)
    x, y = (np.concatenate(side) for side in zip(*pairs, strict=True))
    assert whole.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert 0.8 < whole.low < whole.value < whole.high < 1
    assert whole.count == 40
    assert correlation_interval(sums, within=True).value == pytest.approx(-1)


def test_correlation_of_what_does_not_vary_is_none() -> None:
    still = moments(np.full(9, 0.3), np.arange(9.0))
    assert correlation_interval([still]) is None
    assert correlation_interval([]) is None
    assert correlation_interval([[0.0] * 6]) is None
    assert correlation_interval([still, moments(np.full(9, 2.0), np.arange(9.0))], within=True) is None
    with pytest.raises(ValueError, match=r"moments has shape \(2, 5\); it must be \(clips, 6\)"):
        correlation_interval(np.zeros((2, 5)))


def test_runs_widen_the_interval_of_clips() -> None:
    rng = np.random.default_rng(4)
    clips, runs = rng.normal(0, 1, 200), np.array([-2.0, 0.0, 2.0])
    alike, apart = np.tile(clips, (3, 1)), clips + runs[:, None]
    narrow, wide = crossed_interval(alike, np.nanmean), crossed_interval(apart, np.nanmean)
    assert narrow.value == pytest.approx(wide.value)
    assert narrow.high - narrow.low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.15)
    assert wide.high - wide.low > 3
    assert wide.count == 600


def test_undefined_values_are_passed_over() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 3.0]])
    interval = crossed_interval(values)
    assert (interval.value, interval.count) == (3, 3)
    assert crossed_interval(np.full((2, 3), np.nan)) is None
    with pytest.raises(ValueError, match=r"values has shape \(3,\); it must be \(runs, clips\)"):
        crossed_interval(np.zeros(3))


def test_crossed_correlation_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 30, 10))
    y = x + rng.normal(size=x.shape)
    sums = [[moments(*pair) for pair in zip(*run, strict=True)] for run in zip(x, y, strict=True)]
    interval = crossed_correlation_interval(sums, draws=400)
    assert interval.value == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1])
    assert 0.6 < interval.low < interval.value < interval.high < 0.8
    assert interval.count == 90
    single = crossed_correlation_interval(sums[:1], within=True, draws=50)
    assert single.value == pytest.approx(correlation_interval(sums[0], within=True).value)
    assert crossed_correlation_interval(np.zeros((2, 3, 6))) is None
    with pytest.raises(ValueError, match=r"moments has shape \(3, 6\); it must be \(runs, clips, 6\)"):
        crossed_correlation_interval(np.zeros((3, 6)))
