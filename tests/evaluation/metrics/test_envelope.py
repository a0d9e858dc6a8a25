import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.evaluation.metrics.envelope import envelope_l1, rms_envelope

RATE_HZ = 16000
TIMES_S = np.arange(RATE_HZ) / RATE_HZ
TONE = np.sin(2 * np.pi * 1000 * TIMES_S)[None]
NOISE = np.random.default_rng(0).normal(size=(1, RATE_HZ))


def test_the_envelope_of_a_tone_is_its_rms() -> None:
    envelope = rms_envelope(0.5 * TONE, RATE_HZ)
    # 23.2 ms frames every 5.8 ms: 372 and 93 samples at 16 kHz, whole frames only.
    assert envelope.shape == (1, 1 + (RATE_HZ - 372) // 93)
    np.testing.assert_allclose(envelope, 0.5 / np.sqrt(2), rtol=0.01)


def test_the_running_sum_is_the_sum_of_each_frame() -> None:
    envelope = rms_envelope(NOISE, RATE_HZ)[0]
    for frame in (0, 1, 77, len(envelope) - 1):
        assert envelope[frame] == pytest.approx(
            np.sqrt(np.mean(NOISE[0, 93 * frame : 93 * frame + 372] ** 2))
        )


def test_known_differences() -> None:
    square = np.ones((1, RATE_HZ))
    silence = np.zeros((1, RATE_HZ))
    assert envelope_l1(TONE, TONE, RATE_HZ) == 0
    assert envelope_l1(silence, silence, RATE_HZ) == 0
    assert envelope_l1(square, silence, RATE_HZ) == 1
    assert envelope_l1(square, TONE, RATE_HZ) == pytest.approx(1 - 1 / np.sqrt(2), abs=0.002)
    half = square * (TIMES_S < 0.5)
    # A frame across the step has the root of the share that sounds.
    assert envelope_l1(square, half, RATE_HZ) == pytest.approx(0.5, abs=0.02)


def test_one_peak_for_all_channels() -> None:
    both = np.concatenate([np.ones((1, RATE_HZ)), 0.5 * np.ones((1, RATE_HZ))])
    left = both * [[1.0], [0.0]]
    assert envelope_l1(both, left, RATE_HZ) == pytest.approx(0.25)


def test_a_late_blow_is_as_far_off_as_a_missing_one() -> None:
    blow = np.exp(-TIMES_S / 0.1)[None] * NOISE
    late = np.roll(blow, RATE_HZ // 2, axis=1)
    early = np.roll(blow, RATE_HZ // 100, axis=1)
    assert envelope_l1(blow, late, RATE_HZ) > 5 * envelope_l1(blow, early, RATE_HZ)


@given(seed=st.integers(0, 2**31), gain=st.floats(1e-4, 1e4))
@settings(max_examples=25, deadline=None)
def test_it_is_symmetric_within_bounds_and_blind_to_level(seed: int, gain: float) -> None:
    first, second = np.random.default_rng(seed).normal(size=(2, 2, 4000))
    score = envelope_l1(first, second, RATE_HZ)
    assert 0 <= score <= 1
    assert envelope_l1(gain * second, first, RATE_HZ) == pytest.approx(score, abs=1e-9)


def test_bad_input_is_named() -> None:
    broken = TONE.copy()
    broken[0, 3] = np.nan
    with pytest.raises(ValueError, match="estimate holds NaN or infinite samples"):
        envelope_l1(TONE, broken, RATE_HZ)
    with pytest.raises(ValueError, match="reference has 100 samples, less than one frame of 372 at 16000 Hz"):
        envelope_l1(TONE[:, :100], TONE, RATE_HZ)
    with pytest.raises(ValueError, match=r"estimate has shape \(1, 8000\), reference \(1, 16000\)"):
        envelope_l1(TONE, TONE[:, :8000], RATE_HZ)
    with pytest.raises(ValueError, match=r"reference has shape \(16000,\); it must be \(channels, samples\)"):
        envelope_l1(TONE[0], TONE, RATE_HZ)
    with pytest.raises(ValueError, match="rate_hz is 0"):
        envelope_l1(TONE, TONE, 0)
