"""From a log-mel spectrogram back to a wave without weights: what any vocoder has to invent, invented plainly.

Magnitudes come by non-negative least squares, phases by the fast Griffin-Lim iteration from a given start. It
stands in for a vocoder in what a mel spectrogram does not hold: the sign of a wave and its fine time.

References:
    Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NIPS 2000 (multiplicative update).
    Griffin and Lim, "Signal Estimation from Modified Short-Time Fourier Transform", IEEE TASSP 1984. Perraudin,
    Balazs and Søndergaard, "A Fast Griffin-Lim Algorithm", WASPAA 2013.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.codecs.mel import MelConfig, mel_filters

MAGNITUDE_STEPS = 60
PHASE_STEPS = 32
_MOMENTUM = 0.99
_TINY = 1e-9


def linear_magnitudes(mel: Tensor, config: MelConfig, steps: int = MAGNITUDE_STEPS) -> Tensor:
    """Magnitudes of the transform's bins that explain a log-mel spectrogram, none of them negative.

    Args:
        mel: (..., mel_bands, T), as `MelSpectrogram` of the same config makes it.
        config: The front end.
        steps: Multiplicative updates.

    Returns:
        (..., fft_samples // 2 + 1, T); bins that no band covers are 0.
    """
    if mel.ndim < 2 or mel.shape[-2] != config.mel_bands:
        raise ValueError(f"mel has shape {tuple(mel.shape)}; it must be (..., {config.mel_bands}, frames)")
    bands = 10.0**mel if config.log == "log10" else mel.exp()
    filters = mel_filters(config)
    wanted = filters.T @ bands
    found = wanted / (filters.T @ filters.sum(1))[:, None].clamp(min=_TINY)
    for _ in range(steps):
        found = found * wanted / (filters.T @ (filters @ found)).clamp(min=_TINY**2)
    return found


def random_phases(config: MelConfig, frames: int, seed: int) -> Tensor:
    """Unit phasors (fft_samples // 2 + 1, frames), complex, to start from."""
    turns = torch.rand(config.fft_samples // 2 + 1, frames, generator=torch.Generator().manual_seed(seed))
    return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)


def invent_phases(magnitudes: Tensor, phases: Tensor, config: MelConfig, steps: int = PHASE_STEPS) -> Tensor:
    """A wave whose short-time magnitudes come near the given ones.

    The iteration is the same for every channel and scales with it: channels of proportional magnitudes that start
    from the same phases end as the same wave, scaled.

    Args:
        magnitudes: (..., fft_samples // 2 + 1, T).
        phases: Unit phasors to start from, complex; of a shape that broadcasts to that of the magnitudes.
        config: The front end.
        steps: Iterations.

    Returns:
        Samples (..., T * hop_samples).
    """
    bins = config.fft_samples // 2 + 1
    if magnitudes.ndim < 2 or magnitudes.shape[-2] != bins:
        raise ValueError(f"magnitudes has shape {tuple(magnitudes.shape)}; it must be (..., {bins}, frames)")
    flat = magnitudes.reshape(-1, *magnitudes.shape[-2:])
    target = phases.broadcast_to(magnitudes.shape).reshape(flat.shape)
    window = torch.hann_window(config.fft_samples)
    before = torch.zeros_like(target)
    for _ in range(steps):
        consistent = _spectrum(_wave(flat * target, window, config), window, config)
        ahead = consistent + _MOMENTUM * (consistent - before)
        target, before = ahead / ahead.abs().clamp(min=_TINY**2), consistent
    padding = config.padding_samples
    wave = _wave(flat * target, window, config)[:, padding:]
    return wave[:, : flat.shape[-1] * config.hop_samples].reshape(*magnitudes.shape[:-2], -1)


def _spectrum(wave: Tensor, window: Tensor, config: MelConfig) -> Tensor:
    return torch.stft(
        wave, config.fft_samples, config.hop_samples, window=window, center=False, return_complex=True
    )


def _wave(spectrum: Tensor, window: Tensor, config: MelConfig) -> Tensor:
    """Overlap-add that undoes `_spectrum`: (B, F, T) -> (B, (T - 1) hop + fft)."""
    frames = torch.fft.irfft(spectrum, config.fft_samples, dim=1) * window[:, None]
    weight = window.square()[:, None].expand(1, -1, spectrum.shape[-1])
    length = (spectrum.shape[-1] - 1) * config.hop_samples + config.fft_samples
    summed, weights = (
        functional.fold(part, (1, length), (1, config.fft_samples), stride=(1, config.hop_samples))[:, 0, 0]
        for part in (frames, weight)
    )
    # At the outermost samples, cut off in the end, the window is nothing and there is nothing to divide.
    return summed / weights.clamp(min=1e-7)
