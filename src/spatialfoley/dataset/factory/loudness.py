"""How loud a sound is to people: programme loudness after ITU-R BS.1770, in LUFS.

The weighting is applied to the spectrum of each block: its energy is what counts, not its phase. Blocks of 400 ms
that overlap by three quarters are gated at -70 LUFS and at 10 LU below what is left.

References:
    ITU-R BS.1770-5, annex 1: two filters, mean square of weighted channels, gates. The published coefficients are
    for 48 kHz; other rates take the analogue filters they stand for (as de Man, "Evaluation of implementations of
    the EBU R128 loudness measurement", AES 2018).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK_S, OVERLAP = 0.4, 0.75
SILENCE_LUFS = -70.0
RELATIVE_GATE_LU = 10.0
_OFFSET_DB = -0.691
_SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)
"""Corner in Hz, gain in dB and quality of the high shelf: the head."""
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)

FloatArray = npt.NDArray[np.float64]


def loudness_lufs(samples: npt.ArrayLike, rate_hz: int) -> float:
    """Integrated loudness; `SILENCE_LUFS` for what is quieter or shorter than a block.

    Args:
        samples: Channels of equal weight, shape (C, N) or (N,): one, or two of stereo or two ears; W of a field.
        rate_hz: Sample rate.
    """
    channels = np.atleast_2d(np.asarray(samples, dtype=np.float64))
    length = round(BLOCK_S * rate_hz)
    if channels.shape[1] < length:
        return SILENCE_LUFS
    energies = _block_energies(channels, length, rate_hz)
    loud = energies[_lufs(energies) > SILENCE_LUFS]
    if not len(loud):
        return SILENCE_LUFS
    gate = _lufs(loud.mean()) - RELATIVE_GATE_LU
    return max(SILENCE_LUFS, float(_lufs(loud[_lufs(loud) > gate].mean())))


def _block_energies(channels: FloatArray, length: int, rate_hz: int) -> FloatArray:
    """Weighted mean square of every block, summed over channels."""
    # One filter for the whole sound, padded so that its end does not come round to its beginning.
    padded = channels.shape[1] + rate_hz // 4
    weights = k_weighting(np.fft.rfftfreq(padded, 1.0 / rate_hz), rate_hz)
    weighted = np.fft.irfft(np.fft.rfft(channels, padded) * weights, padded)[:, : channels.shape[1]]
    sums = np.concatenate([[0.0], np.cumsum((weighted**2).sum(axis=0))])
    starts = np.arange(0, channels.shape[1] - length + 1, round(length * (1 - OVERLAP)))
    energies: FloatArray = (sums[starts + length] - sums[starts]) / length
    return energies


def k_weighting(frequencies_hz: npt.NDArray[np.floating], rate_hz: int) -> npt.NDArray[np.complex128]:
    """Response of both filters at frequencies, shape (F,)."""
    z = np.exp(-2j * np.pi * frequencies_hz / rate_hz)
    corner_hz, gain_db, quality = _SHELF
    k = np.tan(np.pi * corner_hz / rate_hz)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    shelf = (
        (high + band * k / quality + k * k)
        + 2 * (k * k - high) * z
        + (high - band * k / quality + k * k) * z * z
    ) / _denominator(k, quality, z)
    corner_hz, quality = _HIGH_PASS
    k = np.tan(np.pi * corner_hz / rate_hz)
    # The published numerator is 1, -2, 1 with the denominator scaled to begin with 1.
    scale = 1 + k / quality + k * k
    high_pass = (1 - 2 * z + z * z) * scale / _denominator(k, quality, z)
    response: npt.NDArray[np.complex128] = shelf * high_pass
    return response


def _denominator(k: float, quality: float, z: npt.NDArray[np.complex128]) -> npt.NDArray[np.complex128]:
    whole: npt.NDArray[np.complex128] = (
        (1 + k / quality + k * k) + 2 * (k * k - 1) * z + (1 - k / quality + k * k) * z * z
    )
    return whole


def _lufs(energy: FloatArray | float) -> FloatArray:
    levels: FloatArray = _OFFSET_DB + 10 * np.log10(np.maximum(energy, 1e-12))
    return levels
