"""Training maths of "Audio Spatialization": true sound of all channels in, squared error of their spectra out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.spatializer.config import SpatializerConfig
from spatialfoley.generators.spatializer.unet import Seen, analyse, apply_masks

_SILENCE_RMS = 1e-5
"""A window below -100 dB of full scale is left as quiet as it is."""


def normalised(mono: Tensor, rms: float) -> tuple[Tensor, Tensor]:
    """Windows (B, N) brought to a level, and the gain (B, 1) that it took; silence stays silence."""
    level = mono.square().mean(dim=-1, keepdim=True).sqrt()
    gain = torch.where(level > _SILENCE_RMS, rms / level.clamp_min(_SILENCE_RMS), torch.ones_like(level))
    return mono * gain, gain


def two_channels(ears: Tensor) -> Tensor:
    """Half the sum and half the difference (B, 2, N) of two ears (B, 2, N)."""
    left, right = ears.unbind(1)
    return torch.stack([(left + right) / 2, (left - right) / 2], dim=1)


def spectral_loss(
    model: nn.Module, sound: Tensor, seen: Seen, config: SpatializerConfig
) -> tuple[Tensor, dict[str, float]]:
    """Mean squared error of real and imaginary parts over the channels that are made.

    Args:
        model: The network, or a wrapper of it.
        sound: Windows (B, 1 + targets, window_samples): W, Y, Z, X, or what `two_channels` makes of ears.
        seen: Of each window.
        config: Of the network.

    Returns:
        The loss, and figures: the error's share of the truth's energy, and for fields the median angle between
        the intensity of what is made and that of the truth. A window's channels share W's gain, so that
        direction is kept.
    """
    mono, gain = normalised(sound[:, 0], config.rms)
    spectrum = analyse(mono, config)
    truth = analyse(sound[:, 1:] * gain[:, None], config)[:, :, : config.bins]
    masks = model(torch.view_as_real(spectrum).movedim(-1, 1).contiguous(), seen)
    made = apply_masks(masks, spectrum)
    loss = torch.view_as_real(made - truth).square().mean()
    with torch.no_grad():
        energy = torch.view_as_real(truth).square().mean()
        figures = {"error_share": float(loss / energy.clamp_min(1e-12))}
        if config.channels == "foa":
            figures["median_angle_deg"] = _median_angle_deg(spectrum[:, None, : config.bins], made, truth)
    return loss, figures


def _median_angle_deg(mono: Tensor, made: Tensor, truth: Tensor) -> float:
    found, meant = ((mono.conj() * sound).real.sum(dim=(-2, -1)) for sound in (made, truth))
    cosine = functional.cosine_similarity(found, meant, dim=-1)
    return float(torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).median())
