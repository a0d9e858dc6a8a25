"""Frozen encoders: video frames in, features out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FrameFeatures:
    """What a generator is told about the frames of one clip.

    Attributes:
        embedding: One vector per frame (T, d), float32.
        energy_map: How much each of the 7 × 7 patches stands out (T, 49), float32, row by row from the top.
    """

    embedding: Tensor
    energy_map: Tensor
