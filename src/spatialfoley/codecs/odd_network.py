"""Layers that are odd by construction: f(-x) = -f(x), so a codec made of them cannot lose a polarity.

The signal path is linear without bias; every gate is computed from |x|, which does not know the sign.
The quantiser's codebook is {e, -e}: index i and i + V/2 are one vector and its negative.
Why it matters is measured in docs/results.md: direction lives in the signs and gains of Y, Z, X against W.
"""

import torch
from torch import Tensor, nn

from spatialfoley.codecs.residual_quantizer import ResidualQuantizer


class OddBlock(nn.Module):
    """Residual block over [B, S, D]: depth-wise mixing in time, then a gated layer; odd."""

    def __init__(self, width: int, kernel: int = 5) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.value = nn.Linear(width, 2 * width, bias=False)
        self.gate = nn.Linear(width, 2 * width)
        self.out = nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x [B, S, D]."""
        n = self.norm(x)
        n = n + self.mix(n.transpose(1, 2)).transpose(1, 2)
        return x + self.out(self.value(n) * torch.sigmoid(self.gate(n.abs())))


class OddQuantizer(ResidualQuantizer):
    """Residual quantiser with sign-symmetric codebooks: codes(-z) is codes(z) with the halves swapped."""

    def __init__(self, levels: int, vocabulary_size: int, dim: int) -> None:
        if vocabulary_size % 2:
            raise ValueError(
                f"vocabulary_size is {vocabulary_size}; a sign-symmetric codebook needs an even one"
            )
        super().__init__(levels, vocabulary_size // 2, dim, first_size=1.0)
        self.half_size = vocabulary_size // 2

    def nearest(self, residual: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Index [...] in [0, V) and vector [..., dim] of the entry nearest to residual [..., dim]."""
        book = self.codebooks[level]
        dots = residual @ book.T
        # |r -+ e|^2 = |r|^2 + |e|^2 -+ 2 r.e: the better sign is the sign of the product.
        best = (book.square().sum(-1) - 2 * dots.abs()).argmin(-1)
        negative = dots.gather(-1, best[..., None])[..., 0] < 0
        return best + self.half_size * negative, book[best] * _signs(negative)

    def vectors(self, index: Tensor, level: int) -> Tensor:
        """Entries [..., dim] of indices [...]; of the upper half the negatives."""
        return self.codebooks[level][index % self.half_size] * _signs(index >= self.half_size)

    def stored_entry(self, index: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The row behind each index [M], and each residual [M, dim] turned upright."""
        return index % self.half_size, residual * _signs(index >= self.half_size)


def _signs(negative: Tensor) -> Tensor:
    return torch.where(negative, -1.0, 1.0)[..., None]
