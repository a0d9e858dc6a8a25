"""How far a coded sound is from its original, where a quiet sound must count as much as a loud one.

Fields of ambisonics are loud in W and often 20 to 40 dB below in Y, Z and X, and what these three are beside W
is the direction. A distance that sums up squares or magnitudes hears W alone. So every distance here is of one
sound by itself and then averaged: in logarithms, or as a share of the sound's own energy.

Two limits keep silence from counting more than sound. All of them have an absolute floor, below which a difference
in decibels is none to the ear. And the shares are of the energy of original and estimate together, so that they
are at most 1 (2 for a wrong polarity): a share of the original's alone is without bound where it is near silence.
So they are least at equal levels, too, where a squared error makes quiet whatever cannot be told.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spatialfoley.codecs.filter_bank import FilterBank


def waveform_share(reference: Tensor, estimate: Tensor, floor_db: float) -> Tensor:
    """Mean share of sounds [B, N] that is error: 0 for equal, 1 for unrelated, 2 for turned round.

    Args:
        reference: The original.
        estimate: What came back.
        floor_db: Level re full scale that is added to either energy.
    """
    floor = 10 ** (floor_db / 10)
    energy = reference.square().mean(-1) + estimate.square().mean(-1) + 2 * floor
    return ((estimate - reference).square().mean(-1) / energy).mean()


def spectral_share(reference: Tensor, estimate: Tensor, size: int, floor_db: float) -> Tensor:
    """Mean share of the magnitudes of sounds [B, N] that is wrong, plus the difference of their logarithms.

    After the spectral convergence and log-magnitude distance of Yamamoto et al., Parallel WaveGAN (ICASSP 2020),
    eqs. 4 and 5, but sound by sound and with an absolute floor.

    Args:
        reference: The original.
        estimate: What came back.
        size: Of the Fourier transform, in samples.
        floor_db: Level re full scale, of white noise, that is added to all magnitudes.
    """
    window = torch.hann_window(size, device=reference.device)
    floor = 10 ** (floor_db / 20) * math.sqrt(float(window.square().sum()))
    true, made = (_magnitudes(sound, window, size // 4) + floor for sound in (reference, estimate))
    sizes = true.flatten(1).norm(dim=1) + made.flatten(1).norm(dim=1)
    share = (true - made).flatten(1).norm(dim=1) / sizes
    return share.mean() + (true.log() - made.log()).abs().mean()


class MelDistance(nn.Module):
    """Mean difference of the logarithms (natural) of mel magnitudes, as Vocos and its successors train with.

    Siuzdak, "Vocos", ICLR 2024: 1024 samples, a hop of 256, 100 bands on the HTK scale, of height 1. Theirs clips
    magnitudes at 1e-7; here a floor is added, as everywhere in this module.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, rate_hz: int, floor_db: float, size: int = 1024, bands: int = 100) -> None:
        super().__init__()
        bank = FilterBank(rate_hz, size, bands, 0.0, rate_hz / 2, scale="htk", unit_area=False)
        self.register_buffer("filters", bank.filters(), persistent=False)
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        self.floor = 10 ** (floor_db / 20) * math.sqrt(float(self.window.square().sum()))

    def forward(self, reference: Tensor, estimate: Tensor) -> Tensor:
        """Of sounds [B, N]."""
        true, made = (
            (self.filters @ _magnitudes(sound, self.window, len(self.window) // 4) + self.floor).log()
            for sound in (reference, estimate)
        )
        return (true - made).abs().mean()


def _magnitudes(sounds: Tensor, window: Tensor, hop: int) -> Tensor:
    """(B, bins, frames)."""
    spectrum = torch.stft(sounds, len(window), hop, window=window, return_complex=True)
    # Not abs(): its slope at zero is not a number.
    return (torch.view_as_real(spectrum).square().sum(-1) + 1e-14).sqrt()
