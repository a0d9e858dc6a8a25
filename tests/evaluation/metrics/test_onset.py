import numpy as np
import pytest

from spatialfoley.evaluation.metrics.onset import MATCH_WINDOW_S, OnsetSettings, detect_onsets, match_onsets

RATE_HZ = 16000


def strokes(times_s: list[float], decay_s: float = 0.1, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    sound = rng.normal(0, noise, time_s.size) if noise else np.zeros(time_s.size)
    for start_s in times_s:
        after = time_s - start_s
        sound += 0.5 * np.where(after >= 0, np.exp(-after / decay_s), 0) * np.sin(2 * np.pi * 700 * after)
    return sound


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_strokes_are_found_within_ten_milliseconds(noise: float) -> None:
    times_s = [0.31, 0.9, 1.234, 2.6]
    np.testing.assert_allclose(detect_onsets(strokes(times_s, noise=noise), RATE_HZ), times_s, atol=0.01)


def test_sound_from_the_first_sample_begins_at_zero() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 500 * np.arange(RATE_HZ) / RATE_HZ)
    np.testing.assert_allclose(detect_onsets(tone, RATE_HZ), [0.0], atol=0.01)


def test_slow_swell_is_no_onset() -> None:
    ramp = np.linspace(0.01, 1, 2 * RATE_HZ) * np.sin(np.arange(2 * RATE_HZ))
    later = detect_onsets(ramp, RATE_HZ)
    assert later[later > 0.1].size == 0


def test_double_chirp_is_one_onset() -> None:
    np.testing.assert_allclose(detect_onsets(strokes([1.0, 1.11], 0.015), RATE_HZ), [1.0], atol=0.01)
    fine = OnsetSettings(gap_s=0.05)
    np.testing.assert_allclose(
        detect_onsets(strokes([1.0, 1.11], 0.015), RATE_HZ, fine), [1.0, 1.11], atol=0.01
    )


def test_silence_has_no_onsets() -> None:
    assert detect_onsets(np.zeros(RATE_HZ), RATE_HZ).size == 0
    assert detect_onsets(np.zeros(0), RATE_HZ).size == 0


def test_level_does_not_matter() -> None:
    sound = strokes([0.5, 1.5])
    np.testing.assert_allclose(detect_onsets(1e-3 * sound, RATE_HZ), detect_onsets(sound, RATE_HZ))


def test_matching_counts_misses_and_false_alarms() -> None:
    score = match_onsets(np.array([0.5, 1.0, 2.0]), np.array([0.53, 0.98, 1.5]))
    np.testing.assert_allclose(sorted(score.errors_s), [-0.02, 0.03])
    assert (score.misses, score.false_alarms) == (1, 1)
    assert score.median_abs_error_s == pytest.approx((0.03 + MATCH_WINDOW_S) / 2)


def test_each_onset_is_used_once() -> None:
    score = match_onsets(np.array([1.0, 1.1]), np.array([1.06]))
    assert (len(score.errors_s), score.misses, score.false_alarms) == (1, 1, 0)
    assert score.errors_s[0] == pytest.approx(-0.04)


def test_striking_all_the_time_is_not_punctual() -> None:
    score = match_onsets(np.array([1.0, 2.0]), np.arange(0.0, 3.0, 0.2))
    assert score.misses == 0
    assert score.median_abs_error_s == MATCH_WINDOW_S


def test_nothing_found_costs_the_match_window() -> None:
    score = match_onsets(np.array([1.0]), np.zeros(0))
    assert score.median_abs_error_s == MATCH_WINDOW_S
    assert match_onsets(np.zeros(0), np.zeros(0)).median_abs_error_s is None


def test_field_instead_of_waveform_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mono has shape \(4, 10\)"):
        detect_onsets(np.zeros((4, 10)), RATE_HZ)
    with pytest.raises(ValueError, match="mono holds NaN or infinite samples"):
        detect_onsets(np.full(RATE_HZ, np.nan), RATE_HZ)
