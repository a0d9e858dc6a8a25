"""One sound and where it is, band by band: signed ratios for ambisonics, gains and a delay for two ears.

A field made this way is coherent by construction: every channel is the same sound, filtered. It works with any mono
sound, whatever made it; it cannot place two sounds that share a band at one moment in two places.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.interaural import frame_delays_s, shift_ears
from spatialfoley.spatial.short_time import analyse, frequencies_hz, hop_samples, synthesise

FloatArray = npt.NDArray[np.floating]

BAND_EDGES_HZ = (500.0, 1500.0, 4000.0)
BANDS = len(BAND_EDGES_HZ) + 1
RATIO_LIMIT = 1.3
EAR_GAIN_LIMIT_DB = 24.0
SMOOTH_FRAMES = 5

_TRANSITION_OCTAVES = 0.5
_SILENCE = 1e-9


def band_weights(hop: int, rate_hz: float) -> npt.NDArray[np.float64]:
    """Weight (BANDS, hop + 1) of every bin in every band: they sum to 1 and cross over within half an octave."""
    octaves = np.log2(np.maximum(frequencies_hz(hop, rate_hz), 1.0))
    above = [
        np.sin(np.pi / 2 * np.clip((octaves - np.log2(edge)) / _TRANSITION_OCTAVES + 0.5, 0, 1)) ** 2
        for edge in BAND_EDGES_HZ
    ]
    steps = [np.ones_like(octaves), *above, np.zeros_like(octaves)]
    return np.stack([lower - upper for lower, upper in pairwise(steps)])


def field_ratios(foa: FloatArray, rate_hz: int) -> npt.NDArray[np.float32]:
    """Signed ratios of Y, Z, X to W that explain a field best.

    Args:
        foa: Field (4, N).
        rate_hz: Its rate.

    Returns:
        (3, BANDS, T) within ±RATIO_LIMIT, T short-time frames; 0 where W is silent.
    """
    spectra = analyse(foa, hop_samples(rate_hz))
    weights = band_weights(spectra.shape[-1] - 1, rate_hz)
    products = _smooth(np.einsum("ctk,bk->cbt", (spectra[1:] * spectra[:1].conj()).real, weights))
    energy = _smooth(np.einsum("tk,bk->bt", np.abs(spectra[0]) ** 2, weights))
    return np.clip(products / (energy + _SILENCE), -RATIO_LIMIT, RATIO_LIMIT).astype(np.float32)


def apply_field_ratios(mono: FloatArray, ratios: FloatArray, rate_hz: int) -> npt.NDArray[np.float32]:
    """The field (4, N) in which W is a mono sound (N,) and Y, Z, X follow it by ratios (3, BANDS, T)."""
    spectrum = analyse(mono[None], hop_samples(rate_hz))
    weights = band_weights(spectrum.shape[-1] - 1, rate_hz)
    gains = np.einsum("cbt,bk->ctk", _frames_of(ratios, spectrum.shape[1]), weights)
    return np.concatenate([mono[None], synthesise(spectrum * gains, mono.shape[-1])]).astype(np.float32)


def ear_parameters(
    ears: FloatArray, mono: FloatArray, rate_hz: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Gains of both ears over a mono sound, and by how much the left one is ahead.

    Args:
        ears: Left and right ear (2, N).
        mono: What they hear, without a direction (N,).
        rate_hz: Their rate.

    Returns:
        Gains in dB (2, BANDS, T) within ±EAR_GAIN_LIMIT_DB, 0 where nothing sounds, and delays in seconds (T,).
    """
    hop = hop_samples(rate_hz)
    weights = band_weights(hop, rate_hz)
    heard, known = (
        _smooth(np.einsum("ctk,bk->cbt", np.abs(analyse(sound, hop)) ** 2, weights))
        for sound in (ears, mono[None])
    )
    gains_db = 10 * np.log10((heard + _SILENCE) / (known + _SILENCE))
    limited = np.clip(gains_db, -EAR_GAIN_LIMIT_DB, EAR_GAIN_LIMIT_DB)
    return limited.astype(np.float32), frame_delays_s(ears, rate_hz).astype(np.float32)


def apply_ear_parameters(
    mono: FloatArray, gains_db: FloatArray, delays_s: FloatArray, rate_hz: int
) -> npt.NDArray[np.float32]:
    """Two ears (2, N) that hear a mono sound (N,) with gains (2, BANDS, T) and delays (T,)."""
    spectrum = analyse(mono[None], hop_samples(rate_hz))
    weights = band_weights(spectrum.shape[-1] - 1, rate_hz)
    gains = 10 ** (np.einsum("cbt,bk->ctk", _frames_of(gains_db, spectrum.shape[1]), weights) / 20)
    ears = synthesise(spectrum * gains, mono.shape[-1])
    return shift_ears(ears, rate_hz, -_frames_of(delays_s, spectrum.shape[1]))


def _frames_of(values: FloatArray, frames: int) -> FloatArray:
    """Values (..., T) with the last one held up to so many frames, or cut."""
    missing = frames - values.shape[-1]
    if missing <= 0:
        return values[..., :frames]
    return np.concatenate([values, np.repeat(values[..., -1:], missing, axis=-1)], axis=-1)


def _smooth(values: FloatArray) -> FloatArray:
    """Mean over SMOOTH_FRAMES around each of (..., T)."""
    half = SMOOTH_FRAMES // 2
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(half, half)], mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, SMOOTH_FRAMES, axis=-1).mean(axis=-1)
