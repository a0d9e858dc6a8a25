"""Log-mel spectrograms as the MMAudio family computes them: the front end of its latents and vocoders.

A magnitude spectrogram forgets the sign of the wave: x and -x have the same mel. Channels whose polarity
against each other carries a direction (Y, Z, X against W) therefore cannot come back from it.

The mel scale and the area normalisation are Slaney's (`filter_bank`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.filter_bank import FilterBank

LogBase = Literal["log10", "natural"]

_LEAST_MAGNITUDE = 1e-5
_POWER_OFFSET = 1e-9


@dataclass(frozen=True)
class MelConfig:
    """Sizes of a mel front end; the window is as long as the transform.

    Attributes:
        rate_hz: Sample rate.
        fft_samples: Length of the transform.
        hop_samples: Samples of one frame.
        mel_bands: Bands of the filter bank.
        lowest_hz: Lower edge of the lowest band.
        highest_hz: Upper edge of the highest band.
        log: Base of the logarithm; "natural" is e.
    """

    rate_hz: int
    fft_samples: int
    hop_samples: int
    mel_bands: int
    lowest_hz: float
    highest_hz: float
    log: LogBase

    def __post_init__(self) -> None:
        if self.log not in ("log10", "natural"):
            raise ValueError(f"log is {self.log!r}; it must be 'log10' or 'natural'")
        if not 0 < self.hop_samples <= self.fft_samples:
            raise ValueError(
                f"hop_samples is {self.hop_samples}; it must lie in 1 to fft_samples = {self.fft_samples}"
            )
        if self.mel_bands < 1:
            raise ValueError(f"mel_bands is {self.mel_bands}; it must be at least 1")
        if not 0 <= self.lowest_hz < self.highest_hz <= self.rate_hz / 2:
            raise ValueError(
                f"the bands span {self.lowest_hz} to {self.highest_hz} Hz; they must rise and stay within "
                f"0 to {self.rate_hz / 2} Hz, half of rate_hz"
            )

    @classmethod
    def mmaudio_16k(cls) -> MelConfig:
        """The published front end of the 16 kHz models: 80 bands, logarithm to base 10."""
        return cls(16000, 1024, 256, 80, 0.0, 8000.0, "log10")

    @classmethod
    def mmaudio_44k(cls) -> MelConfig:
        """The published front end of the 44.1 kHz models: 128 bands, natural logarithm."""
        return cls(44100, 2048, 512, 128, 0.0, 22050.0, "natural")

    @property
    def padding_samples(self) -> int:
        """Samples mirrored at each end, so that N samples make N // hop frames."""
        return (self.fft_samples - self.hop_samples) // 2

    @property
    def log_silence(self) -> float:
        """Value of every band of digital silence: the logarithm of the least magnitude."""
        least = torch.tensor(_LEAST_MAGNITUDE, dtype=torch.float64)
        return float(torch.log10(least) if self.log == "log10" else torch.log(least))


class MelSpectrogram(nn.Module):
    """Waveform to log-mel spectrogram."""

    filters: Tensor
    window: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("filters", mel_filters(config), persistent=False)
        self.register_buffer("window", torch.hann_window(config.fft_samples), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Log-mel spectrogram.

        Args:
            samples: (..., N) at `config.rate_hz`; values beyond -1 to 1 are clipped.

        Returns:
            (..., mel_bands, N // hop_samples); silence is `config.log_silence`.

        Raises:
            ValueError: If N is too short to be mirrored at its ends.
        """
        config = self.config
        padding = config.padding_samples
        if samples.shape[-1] <= max(padding, config.hop_samples - 1):
            raise ValueError(
                f"samples holds {samples.shape[-1]} samples; a mel spectrogram needs at least "
                f"{max(padding + 1, config.hop_samples)} to mirror the ends; append silence"
            )
        flat = samples.flatten(0, -2) if samples.ndim > 1 else samples[None]
        mirrored = functional.pad(flat.clamp(-1.0, 1.0), (padding, padding), mode="reflect")
        spectrum = torch.stft(
            mirrored,
            config.fft_samples,
            config.hop_samples,
            window=self.window,
            center=False,
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(-1)
        bands = (self.filters @ torch.sqrt(power + _POWER_OFFSET)).clamp(min=_LEAST_MAGNITUDE)
        logarithm = bands.log10() if config.log == "log10" else bands.log()
        return logarithm.unflatten(0, samples.shape[:-1]) if samples.ndim > 1 else logarithm[0]


def mel_filters(config: MelConfig) -> Tensor:
    """Triangular filters over the bins of the transform, each of unit area in hertz.

    Returns:
        (mel_bands, fft_samples // 2 + 1), float32.
    """
    return FilterBank(
        config.rate_hz, config.fft_samples, config.mel_bands, config.lowest_hz, config.highest_hz
    ).filters()
