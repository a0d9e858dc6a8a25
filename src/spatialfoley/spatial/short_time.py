"""Short-time spectra with perfect reconstruction: sine windows of two hops, one frame per hop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HOP_S = 0.02


def hop_samples(rate_hz: int) -> int:
    """Samples between two frames, 20 ms."""
    return round(HOP_S * rate_hz)


def analyse(samples: npt.NDArray[np.floating], hop: int) -> npt.NDArray[np.complex64]:
    """Spectra (C, T, hop + 1) of samples (C, N); frame t is centred on sample t hop, T = ceil(N / hop) + 1."""
    tail = -samples.shape[-1] % hop
    padded = np.pad(samples, ((0, 0), (hop, hop + tail))).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop, axis=-1)[:, ::hop]
    return np.fft.rfft(frames * _window(hop), axis=-1).astype(np.complex64)


def synthesise(spectra: npt.NDArray[np.complexfloating], count: int) -> npt.NDArray[np.float32]:
    """Samples (C, count) of spectra (C, T, hop + 1), as `analyse` makes them."""
    hop = spectra.shape[-1] - 1
    frames = np.fft.irfft(spectra, 2 * hop, axis=-1) * _window(hop)
    channels, number = frames.shape[:2]
    samples = np.zeros((channels, (number + 1) * hop), np.float32)
    blocks = samples.reshape(channels, number + 1, hop)
    blocks[:, :-1] += frames[..., :hop]
    blocks[:, 1:] += frames[..., hop:]
    return samples[:, hop : hop + count]


def frequencies_hz(hop: int, rate_hz: float) -> npt.NDArray[np.floating]:
    """Frequency of each bin (hop + 1,)."""
    return np.arange(hop + 1) * (rate_hz / (2 * hop))


def _window(hop: int) -> npt.NDArray[np.float32]:
    return np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32)
