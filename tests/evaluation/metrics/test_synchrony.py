import numpy as np
import pytest
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.synchrony import (
    OFFSETS_S,
    DesyncScore,
    ShiftResponse,
    desync_s,
    offsets_s,
    shift_response,
    window_starts,
)

FloatArray = NDArray[np.floating]
RATE_HZ = 1000


def logits_for(*seconds: float) -> FloatArray:
    """Noise in which the class of each offset stands out."""
    logits = np.random.default_rng(0).uniform(-1, 1, (len(seconds), 21))
    for clip, offset_s in enumerate(seconds):
        logits[clip, round((offset_s + 2) / 0.2)] = 1.5
    return logits


def test_grid_is_21_offsets_from_minus_2_to_2_seconds() -> None:
    assert OFFSETS_S.tolist() == [round(-2 + 0.2 * index, 1) for index in range(21)]


def test_logits_become_offsets() -> None:
    assert offsets_s(logits_for(-2.0, -0.4, 0.0, 0.2, 2.0)).tolist() == [-2.0, -0.4, 0.0, 0.2, 2.0]


def test_of_equal_logits_the_earliest_class_counts() -> None:
    assert offsets_s(np.zeros((1, 21))).tolist() == [-2.0]


def test_desync_is_the_mean_absolute_offset_over_both_windows() -> None:
    first, last = logits_for(0.4, -1.0, 0.0), logits_for(-0.4, 0.2, 0.0)
    assert desync_s(first, last) == pytest.approx((0.4 + 1.0 + 0.0 + 0.4 + 0.2 + 0.0) / 6)


def test_early_and_late_do_not_cancel() -> None:
    assert desync_s(logits_for(1.0, -1.0), logits_for(-1.0, 1.0)) == pytest.approx(1.0)


def test_set_is_the_mean_of_its_clips() -> None:
    first, last = logits_for(0.4, -1.0, 2.0), logits_for(-0.4, 0.2, 0.6)
    clips = [DesyncScore(*pair) for pair in zip(offsets_s(first), offsets_s(last), strict=True)]
    assert desync_s(first, last) == pytest.approx(np.mean([clip.mean_abs_s for clip in clips]))


@pytest.mark.parametrize(("segments", "last"), [(14, 0), (24, 10), (40, 26)])
def test_windows_are_the_first_and_the_last_14_segments(segments: int, last: int) -> None:
    assert window_starts(segments) == (0, last)


def test_bad_input_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"the clip has 13 Synchformer segments .* DeSync needs 14, that is 4\.8 s"
    ):
        window_starts(13)
    with pytest.raises(ValueError, match=r"logits has shape \(1, 20\); give \(clips, 21\)"):
        offsets_s(np.zeros((1, 20)))
    with pytest.raises(ValueError, match="logits holds 21 NaN or infinite values"):
        offsets_s(np.full((1, 21), np.nan))
    with pytest.raises(ValueError, match=r"first_logits has shape \(2, 21\) and last_logits \(1, 21\)"):
        desync_s(np.zeros((2, 21)), np.zeros((1, 21)))
    with pytest.raises(ValueError, match="for the same clips, at least one"):
        desync_s(np.zeros((0, 21)), np.zeros((0, 21)))


def clicks() -> FloatArray:
    mono = np.zeros(6 * RATE_HZ)
    mono[[2300, 2900, 3100, 3700]] = 1.0
    return mono


def correlator(mono: FloatArray) -> float:
    """The class whose shift lays the sound best on the true one."""
    truth = clicks()
    by = [round(offset_s * RATE_HZ) for offset_s in OFFSETS_S]
    return float(offsets_s(np.array([[np.dot(np.roll(mono, shift), truth) for shift in by]]))[0])


def test_a_sound_that_is_delayed_on_purpose_is_found_late() -> None:
    found = shift_response(correlator, clicks(), RATE_HZ, [-1.6, -0.2, 0.0, 0.4, 2.0])
    assert found.offsets_s.tolist() == [1.6, 0.2, 0.0, -0.4, -2.0]
    assert found.right_share == 1.0
    assert found.slope == pytest.approx(-1.0)


def test_an_estimator_that_is_turned_or_deaf_shows() -> None:
    turned = shift_response(lambda mono: -correlator(mono), clicks(), RATE_HZ, [-1.0, 0.0, 1.0])
    assert turned.slope == pytest.approx(1.0)
    assert turned.right_share == pytest.approx(1 / 3)
    deaf = shift_response(lambda mono: 0.4, clicks(), RATE_HZ, [-1.0, 0.0, 1.0])
    assert deaf.slope == pytest.approx(0.0)


def test_one_class_beside_is_right() -> None:
    assert ShiftResponse(np.array([0.0, 1.0]), np.array([0.2, -0.6])).right_share == 0.5


def test_shifts_that_test_nothing_are_refused() -> None:
    for delays in ([0.4], [0.4, 0.4], [0.0, 2.2]):
        with pytest.raises(ValueError, match="give at least two different ones from -2 to 2 s"):
            shift_response(correlator, clicks(), RATE_HZ, delays)
    with pytest.raises(
        ValueError, match=r"mono has shape \(2000,\); give one waveform \(N,\) of more than 2 s"
    ):
        shift_response(correlator, np.zeros(2000), RATE_HZ, [0.0, 1.0])
