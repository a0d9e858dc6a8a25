"""What two ears tell apart: level difference, time difference and coherence, over time.

The time difference is read below 800 Hz, where it is carried by the phase and where the two ears of a rendered
first-order field are as far apart in time as those of a head.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.short_time import HOP_S, analyse, frequencies_hz, hop_samples, synthesise

FloatArray = npt.NDArray[np.floating]

DELAY_BAND_HZ = (100.0, 800.0)
LONGEST_DELAY_S = 1e-3
_FINER = 16
"""Steps of the cross-correlation per sample."""


def interaural_levels_db(ears: FloatArray, rate_hz: int, windows_per_s: float | None) -> FloatArray:
    """Level of the left ear over that of the right one in dB, per window; positive for sound from the left.

    Args:
        ears: Left and right ear (2, N).
        rate_hz: Their rate.
        windows_per_s: None for one window over the whole sound.

    Returns:
        (M,); NaN where an ear is silent.
    """
    _require_ears(ears)
    energy = _windowed(np.abs(analyse(ears, hop_samples(rate_hz))) ** 2, windows_per_s).sum(axis=-1)
    heard = energy.min(axis=0) > 0
    ratio = np.divide(energy[0], energy[1], out=np.ones_like(energy[0]), where=heard)
    return np.where(heard, 10 * np.log10(ratio), np.nan)


def interaural_delays_s(ears: FloatArray, rate_hz: int, windows_per_s: float | None) -> FloatArray:
    """By how much the left ear is ahead of the right one, per window; positive for sound from the left.

    The peak of the cross-correlation of both ears, low-passed, within a millisecond.

    Args:
        ears: Left and right ear (2, N).
        rate_hz: Their rate.
        windows_per_s: None for one window over the whole sound.

    Returns:
        (M,) in seconds; NaN where an ear is silent.
    """
    _require_ears(ears)
    spectra = analyse(ears, hop_samples(rate_hz))
    cross = _windowed(spectra[0] * spectra[1].conj(), windows_per_s)
    return _peak_delays_s(cross, rate_hz)


def interaural_coherence(ears: FloatArray, rate_hz: int, windows_per_s: float | None) -> FloatArray:
    """Share of the ears' common energy that has one phase difference per frequency, per window, 0 to 1.

    |sum_k |<L R*>_k|| / sqrt(E_L E_R) with the average <> over the window's frames in each frequency: 1 for two
    filtered versions of one sound, near 0 for independent sounds.

    Returns:
        (M,); NaN where an ear is silent.
    """
    _require_ears(ears)
    spectra = analyse(ears, hop_samples(rate_hz))
    cross = np.abs(_windowed(spectra[0] * spectra[1].conj(), windows_per_s)).sum(axis=-1)
    energy = _windowed(np.abs(spectra) ** 2, windows_per_s).sum(axis=-1)
    whole = np.sqrt(energy[0] * energy[1])
    return np.divide(cross, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def left_right_distance(ears: FloatArray) -> float:
    """Mean absolute difference of the ears, each without its mean and scaled to its own peak (ViSAudio eq. 40).

    Every ear has its own scale, so it tells delays and shapes apart, not levels. Clips up to 0.01 count as mono
    in the paper's filter. The rate matters a little: compare at one rate.

    Args:
        ears: (2, N).

    Returns:
        Distance in [0, 2]; 0 for one channel given twice, and for silence.
    """
    _require_ears(ears)
    if not np.isfinite(ears).all():
        raise ValueError("ears holds NaN or infinity; repair the sound or the model that made it")
    centred = ears.astype(np.float64) - ears.mean(axis=1, keepdims=True)
    scaled = centred / (np.abs(centred).max(axis=1, keepdims=True) + 1e-9)
    return float(np.mean(np.abs(scaled[0] - scaled[1])))


def frame_delays_s(ears: FloatArray, rate_hz: int, smooth_frames: int = 9) -> FloatArray:
    """Delay as in `interaural_delays_s` for every short-time frame (T,), over some frames around each.

    Frames in which nothing sounds take the delay of the nearest that does, 0 where there is none.

    Args:
        ears: Left and right ear (2, N).
        rate_hz: Their rate.
        smooth_frames: Odd width of the raised cosine over which the cross-spectra are averaged.
    """
    _require_ears(ears)
    spectra = analyse(ears, hop_samples(rate_hz))
    cross = spectra[0] * spectra[1].conj()
    kernel = np.hanning(smooth_frames + 2)[1:-1]
    smooth = np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), 0, cross)
    delays_s = _peak_delays_s(smooth, rate_hz)
    known = np.flatnonzero(np.isfinite(delays_s))
    if known.size == 0:
        return np.zeros_like(delays_s)
    return delays_s[known[np.abs(np.arange(delays_s.size)[:, None] - known).argmin(axis=1)]]


def shift_ears(ears: FloatArray, rate_hz: int, delays_s: FloatArray) -> npt.NDArray[np.float32]:
    """Ears (2, N) with the left one later and the right one earlier by half a delay per frame (T,) each."""
    _require_ears(ears)
    hop = hop_samples(rate_hz)
    turn = np.exp(-1j * np.pi * frequencies_hz(hop, rate_hz) * np.asarray(delays_s)[:, None])
    spectra = analyse(ears, hop) * np.stack([turn, turn.conj()])
    return synthesise(spectra, ears.shape[-1])


def _peak_delays_s(cross: npt.NDArray[np.complexfloating], rate_hz: int) -> FloatArray:
    """Delay of the peak of cross-spectra (M, K) of left and right; NaN where they are zero."""
    hop = cross.shape[-1] - 1
    found = frequencies_hz(hop, rate_hz)
    low, high = DELAY_BAND_HZ
    banded = np.where((found >= low) & (found <= high), cross, 0)
    correlation = np.fft.irfft(banded, 2 * hop * _FINER, axis=-1)
    reach = int(LONGEST_DELAY_S * rate_hz * _FINER)
    near = np.concatenate([correlation[:, -reach:], correlation[:, : reach + 1]], axis=1)
    delays_s = (reach - near.argmax(axis=1)) / (rate_hz * _FINER)
    return np.where(np.abs(banded).max(axis=1) > 0, delays_s, np.nan)


def _windowed(values: npt.NDArray, windows_per_s: float | None) -> npt.NDArray:
    """Sums over the frames of each window: (..., T, K) -> (..., M, K); frames past the last window join it."""
    frames = values.shape[-2]
    per_window = frames if windows_per_s is None else max(1, round(1 / (windows_per_s * HOP_S)))
    starts = np.arange(0, max(1, frames - per_window // 2), per_window)
    return np.add.reduceat(values, starts, axis=-2)


def _require_ears(ears: FloatArray) -> None:
    if ears.ndim != 2 or ears.shape[0] != 2 or ears.shape[1] < 1:
        raise ValueError(f"ears has shape {np.shape(ears)}; it must be (2, samples), left and right")
