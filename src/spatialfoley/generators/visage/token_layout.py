"""Codec codes of all channels as decoder rows, and back.

Codebook `channel * levels + level`, channels W, Y, Z, X. A clip of S codec frames becomes rows in which

* row 2t holds level 0 of W of frame t, and the finer levels of Y, Z, X of frame t - 1;
* row 2t + 1 holds the finer levels of W and level 0 of Y, Z, X of frame t;

and every other cell is padding. Ambisonics take 2S + 1 rows, mono takes 2S.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spatialfoley.timeline import decoder_rows

IGNORED_LABEL = -100
"""Label of a cell that the loss leaves out."""


@dataclass(frozen=True)
class TokenLayout:
    """Which codebook stands in which decoder row.

    Attributes:
        levels: Codebooks of one channel.
        channels: 4 (W, Y, Z, X) or 1 (mono).
        pad_id: Token of an empty cell.
    """

    levels: int
    channels: int = 4
    pad_id: int = 1024

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: If there are fewer than 2 levels or fewer than 1 channel.
        """
        if self.levels < 2:
            raise ValueError(f"levels is {self.levels}, but the layout needs at least 2")
        if self.channels < 1:
            raise ValueError(f"channels is {self.channels}, but must be at least 1")

    @property
    def codebooks(self) -> int:
        """Codebooks of all channels, K."""
        return self.levels * self.channels

    @cached_property
    def spatial_fine(self) -> tuple[int, ...]:
        """Codebooks of Y, Z, X above level 0, ascending."""
        return tuple(k for k in range(self.levels, self.codebooks) if k % self.levels)

    @cached_property
    def even(self) -> tuple[int, ...]:
        """Codebooks of inner even rows, ascending."""
        return (0, *self.spatial_fine)

    @cached_property
    def odd(self) -> tuple[int, ...]:
        """Codebooks of odd rows, ascending."""
        return (*range(1, self.levels), *range(self.levels, self.codebooks, self.levels))

    def row_count(self, frames: int) -> int:
        """Decoder rows of a clip of `frames` codec frames."""
        return decoder_rows(frames) if self.channels > 1 else 2 * frames

    def frame_count(self, rows: int) -> int:
        """Codec frames of a clip of `rows` decoder rows.

        Raises:
            ValueError: If no number of frames takes that many rows.
        """
        frames = rows // 2
        if rows < 1 or self.row_count(frames) != rows:
            parity = "odd" if self.channels > 1 else "even"
            raise ValueError(f"rows is {rows}, but {self.channels} channels take an {parity} number of rows")
        return frames

    def active_codebooks(self, row_index: int, last_row: int) -> tuple[int, ...]:
        """Codebooks that a row holds, ascending.

        Args:
            row_index: Row, 0 to `last_row`.
            last_row: Last row of the clip.
        """
        if row_index % 2:
            return self.odd
        if row_index == 0:
            return (0,)
        return self.spatial_fine if row_index == last_row else self.even

    def interleave(self, codes: Tensor) -> Tensor:
        """Lay codes out in decoder rows.

        Args:
            codes: Integer codes (B, S, K); a padded frame holds `pad_id` everywhere.

        Returns:
            Rows (B, R, K).

        Raises:
            ValueError: If the codes do not have K codebooks or no frame.
        """
        self._check("codes", codes)
        frames = codes.shape[1]
        rows = codes.new_full((codes.shape[0], self.row_count(frames), self.codebooks), self.pad_id)
        rows[:, 0 : 2 * frames : 2, 0] = codes[:, :, 0]
        rows[:, 1::2, list(self.odd)] = codes[:, :, list(self.odd)]
        if self.channels > 1:
            fine = list(self.spatial_fine)
            rows[:, 2::2, fine] = codes[:, :, fine]
        return rows

    def deinterleave(self, rows: Tensor) -> Tensor:
        """Read the codes (B, S, K) back from decoder rows (B, R, K).

        Raises:
            ValueError: If the rows do not have K codebooks or an impossible count.
        """
        self._check("rows", rows)
        frames = self.frame_count(rows.shape[1])
        codes = rows.new_empty((rows.shape[0], frames, self.codebooks))
        codes[:, :, 0] = rows[:, 0 : 2 * frames : 2, 0]
        codes[:, :, list(self.odd)] = rows[:, 1::2, list(self.odd)]
        if self.channels > 1:
            fine = list(self.spatial_fine)
            codes[:, :, fine] = rows[:, 2::2, fine]
        return codes

    def labels(self, rows: Tensor) -> Tensor:
        """Training targets of rows (B, R, K): the same tokens, with padding marked as left out."""
        return torch.where(rows == self.pad_id, IGNORED_LABEL, rows)

    def _check(self, name: str, tokens: Tensor) -> None:
        if tokens.ndim != 3 or tokens.shape[2] != self.codebooks or tokens.shape[1] == 0:
            raise ValueError(
                f"{name} has the shape {tuple(tokens.shape)}, but must be (batch, at least 1, "
                f"{self.codebooks}): {self.channels} channels of {self.levels} levels"
            )
