"""Log-mel front ends of the listening networks: what each of them was trained to see of a sound.

References:
    VGGish: Hershey et al., "CNN architectures for large-scale audio classification", 2017.
    CNN14: Kong et al., "PANNs", 2020; its front end is stored in its checkpoint and used as stored.
    PaSST: Koutini et al., "Efficient training of audio transformers with patchout", 2022, with the mel bands of
    the Kaldi toolkit.

What they compute with is made on the CPU, so that a network can be built without memory and be filled later.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.filter_bank import FilterBank

LISTENING_RATE_HZ = 16000
PASST_RATE_HZ = 32000

_VGGISH_FFT, _VGGISH_WINDOW, _VGGISH_HOP = 512, 400, 160
_VGGISH_OFFSET = 0.01

_CNN14_HOP = 160
_CNN14_LEAST_POWER = 1e-10

_PASST_FFT, _PASST_WINDOW, _PASST_HOP = 1024, 800, 320
_PASST_EMPHASIS = 0.97
_PASST_OFFSET = 1e-5
_PASST_SHIFT, _PASST_SPREAD = 4.5, 5.0


class VggishSpectrum(nn.Module):
    """Logarithm of mel magnitudes at 16 kHz: frames of 25 ms every 10 ms, none of them padded."""

    window: Tensor
    filters: Tensor

    def __init__(self, bands: int = 64) -> None:
        super().__init__()
        bank = FilterBank(
            LISTENING_RATE_HZ, _VGGISH_FFT, bands, 125.0, 7500.0, scale="htk", flanks="mel", unit_area=False
        )
        self.register_buffer("filters", bank.filters(), persistent=False)
        self.register_buffer("window", torch.hann_window(_VGGISH_WINDOW, device="cpu"), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Frames (C, 1 + (N - 400) // 160, bands) of samples (C, N), N ≥ 400."""
        frames = samples.unfold(-1, _VGGISH_WINDOW, _VGGISH_HOP) * self.window
        magnitudes = torch.fft.rfft(frames, _VGGISH_FFT).abs()
        return (magnitudes @ self.filters.T + _VGGISH_OFFSET).log()

    def patches(self, samples: Tensor, frames: int) -> Tensor:
        """Windows (C, windows, frames, bands) that do not overlap; what does not fill a window is not seen."""
        return self(samples).unfold(1, frames, frames).transpose(2, 3)

    @staticmethod
    def samples_of(frames: int) -> int:
        """Samples that fill so many frames."""
        return _VGGISH_WINDOW + (frames - 1) * _VGGISH_HOP


class StoredSpectrogram(nn.Module):
    """Power spectrum by the Fourier kernels of a checkpoint, under their published names `stft.conv_*`.

    The window lies in the kernels; each frame is centred on its time, the ends of the sound are mirrored.
    """

    def __init__(self, fft_samples: int = 512, hop_samples: int = _CNN14_HOP) -> None:
        super().__init__()
        self.hop_samples = hop_samples
        kind: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
        bins = torch.arange(fft_samples // 2 + 1, **kind)[:, None]
        turns = torch.remainder(bins * torch.arange(fft_samples, **kind), fft_samples)
        waves = torch.polar(torch.ones_like(turns), -2 * torch.pi * turns / fft_samples)
        self.stft = _StoredFourier(waves * torch.hann_window(fft_samples, **kind))

    def forward(self, samples: Tensor) -> Tensor:
        """Power (C, 1 + N // hop, fft // 2 + 1) of samples (C, N)."""
        real, imaginary = self.stft.conv_real.weight, self.stft.conv_imag.weight
        length = real.shape[-1]
        mirrored = functional.pad(samples[:, None], (length // 2, length // 2), mode="reflect")[:, 0]
        frames = mirrored.unfold(-1, length, self.hop_samples)
        return (frames @ real[:, 0].T).square() + (frames @ imaginary[:, 0].T).square()


class _StoredFourier(nn.Module):
    def __init__(self, kernels: Tensor) -> None:
        super().__init__()
        self.conv_real, self.conv_imag = _StoredKernels(kernels.real), _StoredKernels(kernels.imag)


class _StoredKernels(nn.Module):
    weight: Tensor

    def __init__(self, kernels: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", kernels.float()[:, None].contiguous())


class StoredLogMel(nn.Module):
    """Mel bands in decibels by the filters of a checkpoint, under their published name `melW`."""

    melW: Tensor  # noqa: N815 - the published key

    def __init__(self, fft_samples: int = 512, bands: int = 64) -> None:
        super().__init__()
        bank = FilterBank(LISTENING_RATE_HZ, fft_samples, bands, 50.0, 8000.0)
        self.register_buffer("melW", bank.filters().T.contiguous())

    def forward(self, power: Tensor) -> Tensor:
        """Decibels (..., bands) of power (..., fft // 2 + 1); silence is -100."""
        return 10.0 * (power @ self.melW).clamp(min=_CNN14_LEAST_POWER).log10()


class PasstSpectrum(nn.Module):
    """Logarithm of mel power at 32 kHz after pre-emphasis, a frame every 10 ms, shifted to about -1 to 1."""

    window: Tensor
    filters: Tensor

    def __init__(self, bands: int = 128) -> None:
        super().__init__()
        bank = FilterBank(
            PASST_RATE_HZ, _PASST_FFT, bands, 0.0, 15000.0, scale="htk", flanks="mel", unit_area=False
        )
        self.register_buffer("filters", bank.filters(), persistent=False)
        self.register_buffer(
            "window", torch.hann_window(_PASST_WINDOW, periodic=False, device="cpu"), persistent=False
        )

    def forward(self, samples: Tensor) -> Tensor:
        """Bands (C, bands, 1 + (N - 1) // 320) of samples (C, N), N > 513."""
        emphasised = samples[:, 1:] - _PASST_EMPHASIS * samples[:, :-1]
        spectrum = torch.stft(
            emphasised,
            _PASST_FFT,
            _PASST_HOP,
            win_length=_PASST_WINDOW,
            window=self.window,
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(-1)
        return ((self.filters @ power + _PASST_OFFSET).log() + _PASST_SHIFT) / _PASST_SPREAD
