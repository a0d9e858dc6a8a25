"""Residual quantiser whose codebooks follow moving averages of what they stand for.

van den Oord et al., "Neural Discrete Representation Learning" (2017), appendix A.1, for the averages; Zeghidour et
al., "SoundStream" (2021), for the levels, each of which codes what the one before left.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_DEAD_BELOW = 0.03


class ResidualQuantizer(nn.Module):
    """Latents [..., dim] <-> codes [..., levels] in [0, vocabulary_size).

    Attributes:
        frozen: Training passes leave the codebooks and their averages as they are.
    """

    codebooks: Tensor
    cluster_size: Tensor
    cluster_sum: Tensor

    def __init__(self, levels: int, vocabulary_size: int, dim: int, first_size: float = _DEAD_BELOW) -> None:
        """Random codebooks.

        Args:
            levels: Codebooks.
            vocabulary_size: Entries of each.
            dim: Of an entry.
            first_size: How much the random entries weigh in their averages. With the least, those that the first
                training pass does not use start again from its vectors.
        """
        super().__init__()
        self.frozen = False
        codebooks = torch.randn(levels, vocabulary_size, dim) * 0.5
        self.register_buffer("codebooks", codebooks)
        # Training state of the moving averages: kept in checkpoints of a run, not in the shipped weights.
        self.register_buffer(
            "cluster_size", torch.full((levels, vocabulary_size), first_size), persistent=False
        )
        self.register_buffer("cluster_sum", codebooks * first_size, persistent=False)

    def restart_averages(self) -> None:
        """Let the averages start at the codebooks as they are: shipped weights hold none."""
        self.cluster_size.fill_(1.0)
        self.cluster_sum.copy_(self.codebooks)

    def nearest(self, residual: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Index [...] in [0, V) and vector [..., dim] of the entry nearest to residual [..., dim]."""
        book = self.codebooks[level]
        # |r - e|^2 without |r|^2, which is the same for every entry.
        index = (book.square().sum(-1) - 2 * residual @ book.T).argmin(-1)
        return index, book[index]

    def vectors(self, index: Tensor, level: int) -> Tensor:
        """Entries [..., dim] of indices [...]."""
        return self.codebooks[level][index]

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
        for level in range(len(self.codebooks)):
            z = z + self.vectors(codes[..., level], level)
        return z

    def train_step(self, z: Tensor, decay: float = 0.99) -> tuple[Tensor, Tensor]:
        """Quantise z [M, dim], gradient straight through, moving the codebooks; also the commitment loss."""
        residual, total, commitment = z, torch.zeros_like(z), z.new_zeros(())
        for level in range(len(self.codebooks)):
            index, vector = self.nearest(residual.detach(), level)
            if not self.frozen:
                self._move_codebook(level, index, residual.detach(), decay)
            commitment = commitment + functional.mse_loss(residual, vector)
            residual, total = residual - vector, total + vector
        return z + (total - z).detach(), commitment / len(self.codebooks)

    def stored_entry(self, index: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """The row of the table behind each index [M], and each residual [M, dim] as that row is to see it."""
        return index, residual

    @torch.no_grad()
    def _move_codebook(self, level: int, index: Tensor, residual: Tensor, decay: float) -> None:
        entry, seen = self.stored_entry(index, residual)
        count = torch.bincount(entry, minlength=self.codebooks.shape[1]).float()
        total = torch.zeros_like(self.cluster_sum[level]).index_add_(0, entry, seen)
        self.cluster_size[level].mul_(decay).add_(count, alpha=1 - decay)
        self.cluster_sum[level].mul_(decay).add_(total, alpha=1 - decay)
        self.codebooks[level] = self.cluster_sum[level] / self.cluster_size[level].clamp_min(1e-3)[:, None]
        dead = (self.cluster_size[level] < _DEAD_BELOW).nonzero()[:, 0]
        if len(dead):  # an entry nobody uses starts again from a vector that exists
            fresh = residual[torch.randint(len(residual), (len(dead),))]
            self.codebooks[level, dead] = fresh
            self.cluster_sum[level, dead] = fresh
            self.cluster_size[level, dead] = 1.0
