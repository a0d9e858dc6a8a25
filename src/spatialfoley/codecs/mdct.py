"""Modified discrete cosine transform: the linear, critically sampled front end of the tiny codec.

A linear front end keeps polarity: the coefficients of -x are minus those of x, which a codec for ambisonics
needs (the sign of Y, Z, X against W *is* the direction). Sine window, half overlap
(Princen and Bradley, 1986).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Mdct(nn.Module):
    """MDCT and its inverse with hop H: frame s covers the samples [(s - 1) H, (s + 1) H)."""

    basis: Tensor

    def __init__(self, hop_samples: int) -> None:
        super().__init__()
        self.hop_samples = hop_samples
        n = torch.arange(2 * hop_samples, dtype=torch.float64)
        k = torch.arange(hop_samples, dtype=torch.float64)
        window = torch.sin(math.pi * (n + 0.5) / (2 * hop_samples))
        cosine = torch.cos(math.pi / hop_samples * (n[:, None] + 0.5 + hop_samples / 2) * (k + 0.5))
        basis = math.sqrt(2.0 / hop_samples) * window[:, None] * cosine
        self.register_buffer("basis", basis.float(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Coefficients [..., S + 1, H] of samples [..., N]; S = ceil(N / H), the end padded with zeros."""
        hop = self.hop_samples
        count = -(-samples.shape[-1] // hop)
        padded = functional.pad(samples, (hop, hop + count * hop - samples.shape[-1]))
        return padded.unfold(-1, 2 * hop, hop) @ self.basis

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Samples [..., S H] of coefficients [..., S + 1, H]."""
        hop = self.hop_samples
        blocks = coefficients @ self.basis.T  # [..., S + 1, 2H]
        overlapped = blocks[..., :-1, hop:] + blocks[..., 1:, :hop]
        return overlapped.flatten(-2)
