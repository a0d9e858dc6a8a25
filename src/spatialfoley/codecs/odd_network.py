"""Layers that are odd by construction: f(-x) = -f(x), so a codec made of them cannot lose a polarity.

The signal path is linear without bias; every gate is computed from |x|, which does not know the sign.
The quantiser's codebook is {e, -e}: index i and i + V/2 are one vector and its negative.
Why it matters is measured in docs/results.md: direction lives in the signs and gains of Y, Z, X against W.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


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


class OddQuantizer(nn.Module):
    """Residual quantiser with sign-symmetric codebooks: codes(-z) is codes(z) with the halves swapped."""

    codebooks: Tensor
    cluster_size: Tensor
    cluster_sum: Tensor

    def __init__(self, levels: int, vocabulary_size: int, dim: int) -> None:
        super().__init__()
        if vocabulary_size % 2:
            raise ValueError(
                f"vocabulary_size is {vocabulary_size}; a sign-symmetric codebook needs an even one"
            )
        self.half_size = vocabulary_size // 2
        codebooks = torch.randn(levels, self.half_size, dim) * 0.5
        self.register_buffer("codebooks", codebooks)
        # Training state of the moving averages: kept in checkpoints of a run, not in the shipped weights.
        self.register_buffer("cluster_size", torch.ones(levels, self.half_size), persistent=False)
        self.register_buffer("cluster_sum", codebooks.clone(), persistent=False)

    def nearest(self, residual: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Index [...] in [0, V) and vector [..., dim] of the entry nearest to residual [..., dim]."""
        book = self.codebooks[level]
        dots = residual @ book.T
        # |r -+ e|^2 = |r|^2 + |e|^2 -+ 2 r.e: the better sign is the sign of the product.
        best = (book.square().sum(-1) - 2 * dots.abs()).argmin(-1)
        negative = dots.gather(-1, best[..., None])[..., 0] < 0
        vector = book[best] * torch.where(negative, -1.0, 1.0)[..., None]
        return best + self.half_size * negative, vector

    def encode(self, z: Tensor) -> Tensor:
        """Codes [..., levels] of latents [..., dim]."""
        codes = []
        for level in range(len(self.codebooks)):
            index, vector = self.nearest(z, level)
            codes.append(index)
            z = z - vector
        return torch.stack(codes, dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Latents [..., dim] of codes [..., levels]."""
        z = torch.zeros(*codes.shape[:-1], self.codebooks.shape[-1], device=codes.device)
        for level, book in enumerate(self.codebooks):
            index = codes[..., level]
            z = z + book[index % self.half_size] * torch.where(index >= self.half_size, -1.0, 1.0)[..., None]
        return z

    def train_step(self, z: Tensor, decay: float = 0.99) -> tuple[Tensor, Tensor]:
        """Quantise z [M, dim], gradient straight through, moving the codebooks; also the commitment loss."""
        residual, total, commitment = z, torch.zeros_like(z), z.new_zeros(())
        for level in range(len(self.codebooks)):
            index, vector = self.nearest(residual.detach(), level)
            self._move_codebook(level, index, residual.detach(), decay)
            commitment = commitment + functional.mse_loss(residual, vector)
            residual, total = residual - vector, total + vector
        return z + (total - z).detach(), commitment / len(self.codebooks)

    @torch.no_grad()
    def _move_codebook(self, level: int, index: Tensor, residual: Tensor, decay: float) -> None:
        entry = index % self.half_size
        upright = residual * torch.where(index >= self.half_size, -1.0, 1.0)[:, None]
        count = torch.bincount(entry, minlength=self.half_size).float()
        total = torch.zeros_like(self.cluster_sum[level]).index_add_(0, entry, upright)
        self.cluster_size[level].mul_(decay).add_(count, alpha=1 - decay)
        self.cluster_sum[level].mul_(decay).add_(total, alpha=1 - decay)
        self.codebooks[level] = self.cluster_sum[level] / self.cluster_size[level].clamp_min(1e-3)[:, None]
        dead = (self.cluster_size[level] < 0.03).nonzero()[:, 0]
        if len(dead):  # an entry nobody uses starts again from a vector that exists
            fresh = residual[torch.randint(len(residual), (len(dead),))]
            self.codebooks[level, dead] = fresh
            self.cluster_sum[level, dead] = fresh
            self.cluster_size[level, dead] = 1.0
