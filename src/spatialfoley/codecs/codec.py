"""What every codec of this package offers to those who use it."""

from typing import Protocol

from torch import Tensor


class Codec(Protocol):
    """Codes (B, S, K) to sound (B, C, S * hop_samples), and back."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    @property
    def hop_samples(self) -> int:
        """Samples of one frame of codes."""
        ...

    @property
    def levels(self) -> int:
        """Codebooks of one channel."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Tokens of any codebook are 0 to vocabulary_size - 1."""
        ...

    def encode(self, samples: Tensor) -> Tensor:
        """Codes of sound (B, C, N)."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Sound of codes."""
        ...
