import numpy as np
import pytest

from spatialfoley.evaluation.metrics.statistics import Interval, crossed_interval
from spatialfoley.evaluation.study.paired import (
    distance_change,
    distance_interval,
    drawn_distances,
    paired_change,
    verdict,
)

RNG = np.random.default_rng(5)


def test_a_row_against_itself_has_changed_nothing() -> None:
    row = RNG.normal(size=(3, 40))
    change = paired_change(row, row, same_runs=True)
    assert (change.interval.value, change.interval.low, change.interval.high) == (0, 0, 0)
    assert (change.interval.count, change.agreeing, change.pairs) == (40, 0, 3)


def test_what_all_clips_share_is_no_uncertainty_of_a_step() -> None:
    difficulty = RNG.normal(size=60)
    row = np.tile(difficulty, (3, 1))
    change = paired_change(row, row + 0.25)
    assert change.interval.low == pytest.approx(0.25)
    assert change.interval.high == pytest.approx(0.25)
    assert (change.agreeing, change.pairs) == (3, 3)
    own = crossed_interval(row, np.nanmean)
    assert own.high - own.low > 0.4


def test_runs_of_two_trainings_are_drawn_apart_and_the_same_runs_together() -> None:
    luck = np.array([[-1.0], [0.0], [1.0]])
    row = np.tile(luck, (1, 20))
    together, apart = (paired_change(row, row + 0.5, same_runs=same).interval for same in (True, False))
    assert (together.low, together.high) == (pytest.approx(0.5), pytest.approx(0.5))
    assert apart.low < -0.5
    assert apart.high > 1.5
    assert apart.value == 0.5


def test_a_step_that_one_seed_contradicts_says_so() -> None:
    earlier = np.zeros((3, 10))
    later = earlier + np.array([[0.3], [0.2], [-0.1]])
    change = paired_change(earlier, later)
    assert (change.agreeing, change.pairs) == (2, 3)


def test_medians_ratios_and_missing_values() -> None:
    seconds = np.array([[1.0, 2.0, 3.0, 4.0, np.nan]])
    third = np.array([[1 / 3, 2 / 3, 1.0, np.nan, 5.0]])
    faster = paired_change(third, seconds, np.nanmedian, ratio=True)
    # Clips that one row knows nothing of are left out for both: medians of 1, 2, 3 and their thirds.
    assert faster.interval.value == pytest.approx(3)
    assert (faster.interval.low, faster.interval.high) == (pytest.approx(3), pytest.approx(3))
    assert faster.interval.count == 3
    assert paired_change([[np.nan, 1.0]], [[1.0, np.nan]]) is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"earlier has shape \(1, 2\), later \(1, 3\); both must be"):
        paired_change(np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="there are 2 earlier and 3 later runs"):
        paired_change(np.zeros((2, 4)), np.zeros((3, 4)), same_runs=True)
    with pytest.raises(ValueError, match="earlier has 3 distances of a run, later 2; draw the same sets"):
        distance_change([np.zeros(3)], [np.zeros(2)], clips=4)


def test_a_shifted_set_is_its_shift_away_whatever_clips_are_drawn() -> None:
    truth = RNG.normal(size=(12, 2, 1, 4))
    near, far = (drawn_distances(truth, truth + shift, draws=20) for shift in (0.5, 1.0))
    # |d|² of a shift in four dimensions.
    assert near == pytest.approx(np.full(21, 4 * 0.25))
    assert far == pytest.approx(np.full(21, 4.0))
    change = distance_change([near, near], [far, far], clips=12)
    assert change.interval.value == pytest.approx(3)
    assert (change.interval.low, change.interval.high) == (pytest.approx(3), pytest.approx(3))
    assert (change.interval.count, change.agreeing, change.pairs) == (12, 2, 2)
    row = distance_interval([near, far], clips=12)
    assert (row.value, row.count) == (pytest.approx(2.5), 24)
    assert (row.low, row.high) == (pytest.approx(1, abs=0.5), pytest.approx(4, abs=0.5))


def test_rows_move_alike_when_clips_are_drawn_anew() -> None:
    truth = RNG.normal(size=(40, 1, 1, 3))
    noise = RNG.normal(size=truth.shape)
    first, second = (drawn_distances(truth, truth + noise + shift) for shift in (1.0, 1.1))
    change, own = distance_change([first], [second], 40).interval, distance_interval([first], 40)
    assert change.low < change.value < change.high
    assert change.high - change.low < 0.3 * (own.high - own.low)


@pytest.mark.parametrize(
    ("low", "high", "wanted", "limit", "said"),
    [
        (0.1, 0.3, "above", 0.0, "holds"),
        (-0.1, 0.3, "above", 0.0, "cannot be told"),
        (-0.3, -0.1, "above", 0.0, "does not hold"),
        (0.0, 0.0, "above", 0.0, "cannot be told"),
        (2.5, 2.9, "above", 3.0, "does not hold"),
        (-0.3, -0.1, "below", 0.0, "holds"),
        (0.1, 0.3, "below", 0.0, "does not hold"),
        (-0.01, 0.02, "within", 0.02, "holds"),
        (0.0, 0.0, "within", 0.0, "holds"),
        (-0.01, 0.03, "within", 0.02, "cannot be told"),
        (-0.08, -0.03, "within", 0.02, "does not hold"),
    ],
)
def test_an_interval_says_whether_a_claim_holds(
    low: float, high: float, wanted: str, limit: float, said: str
) -> None:
    assert verdict(Interval((low + high) / 2, low, high, 9), wanted, limit) == said  # type: ignore[arg-type]


def test_nothing_is_said_without_an_interval_or_of_unknown_wishes() -> None:
    assert verdict(None, "above") == "cannot be told"
    with pytest.raises(ValueError, match="wanted is 'higher'; it must be one of above, below, within"):
        verdict(None, "higher")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"limit is -1; a change lies within ±limit"):
        verdict(None, "within", -1)
