"""Loudness after BS.1770: its own reference values."""

import numpy as np
import pytest

from spatialfoley.dataset.factory.loudness import SILENCE_LUFS, k_weighting, loudness_lufs


def sine(frequency_hz: float, level: float, rate_hz: int, duration_s: float = 5.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000])
def test_a_full_scale_sine_of_997_hz_reads_minus_3_01(rate_hz: int) -> None:
    """The recommendation's own check, and -23 LUFS for two channels at -23 dB (EBU Tech 3341, case 1)."""
    assert loudness_lufs(sine(997, 1.0, rate_hz), rate_hz) == pytest.approx(-3.01, abs=0.05)
    both = np.stack([sine(1000, 10 ** (-23 / 20), rate_hz)] * 2)
    assert loudness_lufs(both, rate_hz) == pytest.approx(-23.0, abs=0.1)


def test_filters_are_the_published_ones_at_48_khz() -> None:
    """Numerators and denominators of BS.1770's tables 1 and 2."""
    frequencies_hz = np.array([20.0, 100.0, 1000.0, 5000.0, 15000.0])
    z = np.exp(-2j * np.pi * frequencies_hz / 48000)

    def ratio(b: tuple[float, ...], a: tuple[float, ...]) -> np.ndarray:
        return np.polyval(b[::-1], z) / np.polyval(a[::-1], z)

    shelf = ratio(
        (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
    )
    high_pass = ratio((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
    assert np.allclose(k_weighting(frequencies_hz, 48000), shelf * high_pass, rtol=1e-5)


def test_gates_leave_pauses_out() -> None:
    """EBU Tech 3341, case 3, in short: at -36 dB, six times as long at -23, and again at -36."""
    quiet, loud = (
        np.stack([sine(1000, 10 ** (level / 20), 16000, s)] * 2) for level, s in ((-36, 2), (-23, 12))
    )
    assert loudness_lufs(np.concatenate([quiet, loud, quiet], axis=1), 16000) == pytest.approx(-23.0, abs=0.1)
    pause = np.zeros((2, 160000))
    assert loudness_lufs(np.concatenate([pause, loud, pause], axis=1), 16000) == pytest.approx(-23.0, abs=0.1)


def test_silence_and_scraps_have_a_floor() -> None:
    assert loudness_lufs(np.zeros((1, 48000)), 48000) == SILENCE_LUFS
    assert loudness_lufs(np.ones((1, 100)), 48000) == SILENCE_LUFS
