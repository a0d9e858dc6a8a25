"""Which tokens each codebook may take: a part of the codec's codebook, or a scale shorter than its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class AllowedTokens:
    """One range of tokens per codebook.

    Logits are computed for the window that spans all ranges, and masked where a codebook's own is shorter.

    Attributes:
        ranges: First token and the one after the last (first, end), of each codebook.
    """

    ranges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If there is none, or one is empty or negative.
        """
        if not self.ranges:
            raise ValueError("ranges is empty; give one per codebook")
        for first, end in self.ranges:
            if not 0 <= first < end:
                raise ValueError(
                    f"a token range is {first} to {end}, but must start at 0 or later and hold a token"
                )

    @cached_property
    def window(self) -> range:
        """The shortest range that holds all of them."""
        return range(min(first for first, _ in self.ranges), max(end for _, end in self.ranges))

    @cached_property
    def uneven(self) -> bool:
        """Whether a codebook may take less than the window, so that a mask is needed."""
        return any(pair != (self.window.start, self.window.stop) for pair in self.ranges)

    def forbidden(self, codebooks: tuple[int, ...], device: torch.device) -> Tensor | None:
        """Tokens of the window that must not be drawn (len(codebooks), window), or None if all may be."""
        return _forbidden(self, codebooks, device) if self.uneven else None

    def refuse(self, codes: Tensor, pad_id: int) -> None:
        """Raise ValueError if a code (..., K) lies outside its codebook's range and is not padding."""
        ends = torch.tensor(self.ranges, device=codes.device)
        wrong = ((codes < ends[:, 0]) | (codes >= ends[:, 1])) & (codes != pad_id)
        if bool(wrong.any()):
            codebook = int(wrong.flatten(0, -2).any(dim=0).nonzero()[0])
            token = int(codes[..., codebook][wrong[..., codebook]][0])
            first, end = self.ranges[codebook]
            raise ValueError(
                f"codebook {codebook} holds the token {token}, but may take {first} to {end - 1}: "
                "encode the sound in the domain of the model"
            )


@lru_cache(maxsize=64)
def _forbidden(allowed: AllowedTokens, codebooks: tuple[int, ...], device: torch.device) -> Tensor:
    window = torch.arange(allowed.window.start, allowed.window.stop, device=device)
    ends = torch.tensor([allowed.ranges[k] for k in codebooks], device=device)
    return (window < ends[:, :1]) | (window >= ends[:, 1:])
