"""What picture and words say of the spectrum of a sound, before any of it is drawn.

The tiny codec keeps polarity, so its latents have no mean that a picture could tell: a bell and its negative are as
likely. A bell and a drum differ in how the latents vary together, which a flow learns very slowly. So it is taken
out: a small network tells a covariance for every frame, and the flow works on latents that are white under it (as
the data-dependent prior of Lee et al. 2022, "PriorGrad", with whole covariances). A flow that has learnt nothing
then already makes noise of the right colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visaudio.blocks import FrameConv1d, GatedFeedForward
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import check_names

_LEAST_SPREAD = 0.03


@dataclass(frozen=True)
class SpectralPriorConfig:
    """Sizes of the network.

    Attributes:
        shape_dim: Latent channels of a codec frame.
        sync_dim: Channels of the frame features.
        text_dim: Channels of the words.
        hidden_dim: Width.
        depth: Layers over time.
        kernel: Frames that a layer sees.
    """

    shape_dim: int = 24
    sync_dim: int = 128
    text_dim: int = 9
    hidden_dim: int = 96
    depth: int = 2
    kernel: int = 5

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: If one is impossible.
        """
        for entry in fields(self):
            if getattr(self, entry.name) < 1:
                raise ValueError(f"{entry.name} is {getattr(self, entry.name)}, but must be at least 1")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel is {self.kernel}, but must be odd")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SpectralPriorConfig:
        """Read settings by name.

        Raises:
            ValueError: If a name is unknown or a value impossible.
        """
        check_names(cls, values)
        return cls(**values)


class SpectralPrior(nn.Module):
    """Frame features and words -> a Cholesky factor per codec frame."""

    def __init__(self, config: SpectralPriorConfig) -> None:
        super().__init__()
        self.config = c = config
        self.frames = FrameConv1d(c.sync_dim, c.hidden_dim, c.kernel)
        self.words = nn.Linear(c.text_dim, c.hidden_dim)
        self.norms = nn.ModuleList(nn.LayerNorm(c.hidden_dim) for _ in range(c.depth))
        self.layers = nn.ModuleList(
            GatedFeedForward(c.hidden_dim, 2 * c.hidden_dim, c.kernel) for _ in range(c.depth)
        )
        self.last_norm = nn.LayerNorm(c.hidden_dim)
        self.factor = nn.Linear(c.hidden_dim, c.shape_dim * (c.shape_dim + 1) // 2)
        nn.init.normal_(self.factor.weight, std=0.01)
        nn.init.zeros_(self.factor.bias)

    def forward(self, features: ClipFeatures, codec_frames: int) -> Tensor:
        """Lower triangular factors L (B, S, D, D) of the covariance L L^T of every frame.

        Where words are given the spectrum is theirs: the picture, which mostly says as much, is left out, or its
        silence about what is off screen would outvote them.
        """
        weight = self.factor.weight
        unsaid = ~features.text.bool().flatten(1).any(dim=1)
        x = (
            self.frames(features.sync.to(weight.dtype) * unsaid[:, None, None])
            + self.words(features.text.to(weight.dtype).mean(1))[:, None]
        )
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        numbers = self.factor(self.last_norm(x)).transpose(1, 2)
        return self._triangular(
            functional.interpolate(numbers, size=codec_frames, mode="linear").transpose(1, 2)
        )

    def _triangular(self, numbers: Tensor) -> Tensor:
        """(..., D (D + 1) / 2) -> (..., D, D) with a diagonal above _LEAST_SPREAD; the identity for zeros."""
        dim = self.config.shape_dim
        factor = numbers.new_zeros(*numbers.shape[:-1], dim, dim)
        factor[..., torch.arange(dim), torch.arange(dim)] = (
            _LEAST_SPREAD + numbers[..., :dim].clamp(-5, 3).exp()
        )
        rows, columns = torch.tril_indices(dim, dim, offset=-1)
        factor[..., rows, columns] = numbers[..., dim:]
        return factor


def whiten(shape: Tensor, factor: Tensor) -> Tensor:
    """Latents (B, N, S, D) as they are under a prior (B, S, D, D): white if the prior tells all there is."""
    solved: Tensor = torch.linalg.solve_triangular(factor, shape.permute(0, 2, 3, 1), upper=False)
    return solved.permute(0, 3, 1, 2)


def colour(white: Tensor, factor: Tensor) -> Tensor:
    """The inverse of `whiten`."""
    return torch.einsum("bsij,bnsj->bnsi", factor, white)


def prior_loss(shape: Tensor, factor: Tensor, heard: Tensor) -> Tensor:
    """Negative log-likelihood per number, of frames that are heard, but for a constant.

    Args:
        shape: Latents (B, N, S, D).
        factor: (B, S, D, D).
        heard: Which frames count (B, N, S).
    """
    white = whiten(shape, factor)
    spread = factor.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)[:, None]
    per_frame = 0.5 * white.square().sum(dim=-1) + spread
    return (per_frame * heard).sum() / (heard.sum().clamp_min(1) * shape.shape[-1])
