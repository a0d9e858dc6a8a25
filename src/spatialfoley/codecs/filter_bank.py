"""Triangular filters on a mel scale, in every form that the published front ends use.

They differ in three choices: the scale on which the corners are evenly spaced, whether the flanks are straight
lines over hertz or over mel, and whether each filter has unit area or unit height.

References:
    "slaney": Slaney's Auditory Toolbox (1998), linear up to 1 kHz with 200/3 Hz to a step, logarithmic above
    with 27 steps to a factor of 6.4. "htk": O'Shaughnessy's 1127 ln(1 + f/700), as in the HTK book.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Scale = Literal["slaney", "htk"]

_HZ_PER_LINEAR_STEP = 200.0 / 3.0
_LOGARITHMIC_FROM_HZ = 1000.0
_STEPS_AT_1_KHZ = _LOGARITHMIC_FROM_HZ / _HZ_PER_LINEAR_STEP
_LOG_PER_STEP = math.log(6.4) / 27.0
_HTK_CORNER_HZ = 700.0
_HTK_MEL_PER_LOG = 1127.0


@dataclass(frozen=True)
class FilterBank:
    """Sizes and form of a bank of filters.

    Attributes:
        rate_hz: Sample rate.
        fft_samples: Length of the transform whose bins are weighed.
        bands: Filters.
        lowest_hz: Lower corner of the lowest filter.
        highest_hz: Upper corner of the highest filter.
        scale: Where the corners lie evenly.
        flanks: Over what the flanks are straight lines.
        unit_area: Each filter has area 1 over hertz; otherwise height 1.
    """

    rate_hz: int
    fft_samples: int
    bands: int
    lowest_hz: float
    highest_hz: float
    scale: Scale = "slaney"
    flanks: Literal["hz", "mel"] = "hz"
    unit_area: bool = True

    def __post_init__(self) -> None:
        if self.bands < 1:
            raise ValueError(f"bands is {self.bands}; it must be at least 1")
        if self.scale not in ("slaney", "htk") or self.flanks not in ("hz", "mel"):
            raise ValueError(
                f"scale is {self.scale!r} and flanks {self.flanks!r}; give 'slaney' or 'htk', and 'hz' or 'mel'"
            )
        if self.unit_area and self.flanks == "mel":
            raise ValueError(
                "unit_area goes with flanks over 'hz'; give unit_area=False for flanks over 'mel'"
            )
        if not 0 <= self.lowest_hz < self.highest_hz <= self.rate_hz / 2:
            raise ValueError(
                f"the bands span {self.lowest_hz} to {self.highest_hz} Hz; they must rise and stay within "
                f"0 to {self.rate_hz / 2} Hz, half of rate_hz"
            )

    def filters(self) -> Tensor:
        """The weights (bands, fft_samples // 2 + 1), float32, on the CPU whatever the default device is."""
        kind: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
        bins_hz = torch.linspace(0.0, self.rate_hz / 2, self.fft_samples // 2 + 1, **kind)
        lowest, highest = mel_of_hz(torch.tensor([self.lowest_hz, self.highest_hz], **kind), self.scale)
        corners = torch.linspace(lowest, highest, self.bands + 2, **kind)
        places = mel_of_hz(bins_hz, self.scale)
        if self.flanks == "hz":
            corners, places = hz_of_mel(corners, self.scale), bins_hz
        low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
        rising, falling = (places - low) / (centre - low), (high - places) / (high - centre)
        triangles = torch.minimum(rising, falling).clamp(min=0.0)
        return (triangles * 2.0 / (high - low) if self.unit_area else triangles).float()


def mel_of_hz(frequencies_hz: Tensor, scale: Scale) -> Tensor:
    """Places on a mel scale."""
    if scale == "htk":
        return _HTK_MEL_PER_LOG * torch.log1p(frequencies_hz / _HTK_CORNER_HZ)
    above = frequencies_hz.clamp(min=_LOGARITHMIC_FROM_HZ) / _LOGARITHMIC_FROM_HZ
    linear = frequencies_hz.clamp(max=_LOGARITHMIC_FROM_HZ) / _HZ_PER_LINEAR_STEP
    return linear + above.log() / _LOG_PER_STEP


def hz_of_mel(steps: Tensor, scale: Scale) -> Tensor:
    """Frequencies of places on a mel scale; the inverse of `mel_of_hz`."""
    if scale == "htk":
        return _HTK_CORNER_HZ * torch.expm1(steps / _HTK_MEL_PER_LOG)
    linear_hz = steps.clamp(max=_STEPS_AT_1_KHZ) * _HZ_PER_LINEAR_STEP
    return linear_hz * torch.exp((steps - _STEPS_AT_1_KHZ).clamp(min=0.0) * _LOG_PER_STEP)
