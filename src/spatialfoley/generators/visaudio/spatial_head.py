"""From a finished sound and what is seen to where the sound is: the second half of the parametric form.

The sound is given as the latents of one channel, whatever network made them, a frozen published MMAudio included.
The answer is a set of numbers per latent frame and band: signed ratios of Y, Z, X to W, or the gains of both ears
and their delay. They are learned as expected values, so what cannot be seen comes from nowhere in particular.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visaudio.blocks import FrameConv1d, GatedFeedForward
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import check_names

HeadLayout = Literal["binaural", "foa"]

_DELAY_SPREAD_S = 5e-4
_GAIN_SPREAD_DB = 10.0


@dataclass(frozen=True)
class SpatialHeadConfig:
    """Sizes of the head.

    Attributes:
        layout: What the numbers mean.
        bands: Frequency bands, of `spatial.parametric`.
        latent_dim: Latent channels of a frame of the sound.
        frames_per_token: Answers per latent frame.
        sync_dim: Channels of the frame features.
        pe_dim: Channels of a patch.
        pe_grid: Patches along each side.
        hidden_dim: Width.
        depth: Layers over time.
        kernel: Frames that a layer sees.
        patch_dim: Channels that are kept of every patch before all are read together.
    """

    layout: HeadLayout = "binaural"
    bands: int = 4
    latent_dim: int = 40
    frames_per_token: int = 1
    sync_dim: int = 768
    pe_dim: int = 1024
    pe_grid: int = 16
    hidden_dim: int = 256
    depth: int = 3
    kernel: int = 5
    patch_dim: int = 16

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: If one is impossible.
        """
        if self.layout not in get_args(HeadLayout):
            raise ValueError(
                f"layout is {self.layout!r}, but must be one of {', '.join(get_args(HeadLayout))}"
            )
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}, but must be odd")
        for name, value in asdict(self).items():
            if name != "layout" and value < 1:
                raise ValueError(f"{name} is {value}, but must be at least 1")

    @property
    def numbers(self) -> int:
        """Numbers per answer: 3 ratios or 2 gains in each band, and one delay for ears."""
        return 3 * self.bands if self.layout == "foa" else 2 * self.bands + 1

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SpatialHeadConfig:
        """Read settings by name.

        Raises:
            ValueError: If a name is unknown or a value impossible.
        """
        check_names(cls, values)
        return cls(**values)


@dataclass(frozen=True)
class FieldNumbers:
    """Where a sound is, frame by frame.

    Attributes:
        ratios: Signed ratios of Y, Z, X to the sound (B, 3, bands, F); empty for ears.
        gains_db: Gains of both ears over the sound (B, 2, bands, F); empty for ambisonics.
        delays_s: By how much the left ear is ahead (B, F); empty for ambisonics.
    """

    ratios: Tensor
    gains_db: Tensor
    delays_s: Tensor


class SpatialHead(nn.Module):
    """Latents of one channel, frame features and patches -> numbers per answer."""

    def __init__(self, config: SpatialHeadConfig) -> None:
        super().__init__()
        self.config = c = config
        self.sound_std: Tensor
        self.register_buffer("sound_std", torch.ones(c.latent_dim))
        self.sound = FrameConv1d(c.latent_dim, c.hidden_dim, c.kernel)
        self.frames = FrameConv1d(c.sync_dim, c.hidden_dim, c.kernel)
        self.patch = nn.Linear(c.pe_dim, c.patch_dim)
        self.view = nn.Linear(c.patch_dim * c.pe_grid**2, c.hidden_dim)
        self.norms = nn.ModuleList(nn.LayerNorm(c.hidden_dim) for _ in range(c.depth))
        self.layers = nn.ModuleList(
            GatedFeedForward(c.hidden_dim, 2 * c.hidden_dim, c.kernel) for _ in range(c.depth)
        )
        self.last_norm = nn.LayerNorm(c.hidden_dim)
        self.answer = nn.Linear(c.hidden_dim, c.frames_per_token * c.numbers)

    def forward(self, sound: Tensor, features: ClipFeatures) -> Tensor:
        """Numbers of about unit size.

        Args:
            sound: Latents (B, L, latent_dim); they are divided by `sound_std`.
            features: Of the clips, with `sync` and `patches`.

        Returns:
            (B, L frames_per_token, numbers).

        Raises:
            ValueError: If the patches are missing.
        """
        if features.patches is None:
            raise ValueError("features have no patches, but the spatial head reads them; encode them too")
        length = sound.shape[1]
        weight = self.patch.weight
        seen = self.view(functional.silu(self.patch(features.patches.to(weight.dtype))).flatten(2))
        moved = self.frames(features.sync.to(weight.dtype))
        x = (
            self.sound((sound / self.sound_std).to(weight.dtype))
            + _over_time(seen, length)
            + _over_time(moved, length)
        )
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        numbers: Tensor = self.answer(self.last_norm(x))
        return numbers.unflatten(2, (self.config.frames_per_token, -1)).flatten(1, 2)

    def read(self, numbers: Tensor) -> FieldNumbers:
        """What the numbers (B, F, numbers) mean."""
        bands, none = self.config.bands, numbers.new_zeros(0)
        per_band = numbers.transpose(1, 2)
        if self.config.layout == "foa":
            return FieldNumbers(per_band.unflatten(1, (3, bands)), none, none)
        gains = per_band[:, : 2 * bands].unflatten(1, (2, bands)) * _GAIN_SPREAD_DB
        return FieldNumbers(none, gains, per_band[:, -1] * _DELAY_SPREAD_S)


def numbers_of(truth: FieldNumbers) -> Tensor:
    """The inverse of `SpatialHead.read`: (B, F, numbers)."""
    if truth.ratios.numel():
        return truth.ratios.flatten(1, 2).transpose(1, 2)
    gains = truth.gains_db.flatten(1, 2) / _GAIN_SPREAD_DB
    return torch.cat([gains, truth.delays_s[:, None] / _DELAY_SPREAD_S], dim=1).transpose(1, 2)


def head_loss(numbers: Tensor, truth: Tensor, loudness: Tensor) -> Tensor:
    """Squared error, weighted by how well each number is heard, averaged over a batch.

    Args:
        numbers: Answers (B, F, numbers).
        truth: Of the same shape.
        loudness: Weights of the same shape, from 0 for silence.
    """
    return (loudness * (numbers - truth).square()).sum() / loudness.sum().clamp_min(1e-6)


def _over_time(values: Tensor, length: int) -> Tensor:
    """(B, T, dim) -> (B, length, dim), linear between the frames."""
    stretched = functional.interpolate(values.transpose(1, 2), size=length, mode="linear")
    return stretched.transpose(1, 2)
