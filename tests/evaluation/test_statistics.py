import numpy as np
import pytest

from spatialfoley.evaluation.statistics import bootstrap_interval, wilson_interval


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
