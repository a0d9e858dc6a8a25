"""Codec codes of all channels as decoder rows, and back.

Codebook `channel * levels + level`, channels W, Y, Z, X. Every pattern is a period, the rows between one codec
frame and the next, and an offset per codebook: the code of codebook k of frame t stands in row
`period * t + offset[k]`, and every other cell is padding.

* `residual` (ViSAGe, published): row 2t holds level 0 of W of frame t, and the finer levels of Y, Z, X of frame
  t - 1; row 2t + 1 holds the finer levels of W and level 0 of Y, Z, X of frame t. 2S + 1 rows for S frames.
* `delay`: row t holds W of frame t and Y, Z, X of frame t - 1, so that these hear W of their own frame. S + 1
  rows. It is `residual` without the finer levels, halved.
* `parallel`: row t holds all of frame t. S rows.
* `interleave`: row 2t holds W of frame t, row 2t + 1 holds Y, Z, X of it. 2S rows.

Nothing is published of the patterns with one codebook but that they have "no residual dependency" and half the
length: the last three are our reading. Mono has 2S rows in `residual` and S in the others.

With `frames_per_row` above 1, which is ours too, several codec frames count as one, whose levels are those of all
of them, frame by frame (`codecs.grouped`); what "level 0" means is asked within each codec frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from spatialfoley.generators.visage.allowed_tokens import AllowedTokens
from spatialfoley.timeline import decoder_rows

Pattern = Literal["residual", "delay", "parallel", "interleave"]

IGNORED_LABEL = -100
"""Label of a cell that the loss leaves out."""


@dataclass(frozen=True)
class TokenLayout:
    """Which codebook stands in which decoder row.

    Attributes:
        levels: Codebooks of one channel.
        channels: 4 (W, Y, Z, X) or 1 (mono).
        pad_id: Token of an empty cell.
        pattern: How rows are filled.
        allowed: Tokens that each codebook may take; None for all.
        frames_per_row: Codec frames that count as one; `levels` are those of all of them.
    """

    levels: int
    channels: int = 4
    pad_id: int = 1024
    pattern: Pattern = "residual"
    allowed: AllowedTokens | None = None
    frames_per_row: int = 1

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: If the pattern is unknown, there are too few levels or channels, or the levels are not those
                of whole codec frames.
        """
        check_frames_per_row(self.frames_per_row, "levels", self.levels)
        check_pattern(self.pattern, "levels", self.codec_levels)
        if self.channels < 1:
            raise ValueError(f"channels is {self.channels}, but must be at least 1")

    @property
    def codebooks(self) -> int:
        """Codebooks of all channels, K."""
        return self.levels * self.channels

    @property
    def codec_levels(self) -> int:
        """Codebooks of one channel in one codec frame."""
        return self.levels // self.frames_per_row

    @cached_property
    def period(self) -> int:
        """Rows from one codec frame to the next."""
        return 2 if self.pattern == "residual" or (self.pattern == "interleave" and self.channels > 1) else 1

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Row of each codebook's code of frame 0."""
        return tuple(self._offset(*divmod(k, self.levels)) for k in range(self.codebooks))

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Codebooks, ascending, of inner rows p, p + period, ... for each phase p below the period.

        The first and the last row may hold only the first or the last ones of their group.
        """
        return tuple(
            tuple(k for k, offset in enumerate(self.offsets) if offset % self.period == phase)
            for phase in range(self.period)
        )

    @cached_property
    def spatial_fine(self) -> tuple[int, ...]:
        """Codebooks of Y, Z, X above level 0 of their codec frame, ascending; they share one offset."""
        return tuple(k for k in range(self.levels, self.codebooks) if k % self.codec_levels)

    @cached_property
    def window(self) -> range | None:
        """Tokens that logits are computed for, or None for all."""
        return None if self.allowed is None else self.allowed.window

    def row_count(self, frames: int) -> int:
        """Decoder rows of a clip of `frames` codec frames."""
        return decoder_rows(frames, self.period, self._tail - self.period)

    def frame_limit(self, rows: int) -> int:
        """Codec frames of the longest clip with at most `rows` decoder rows; 0 if not even one frame fits."""
        return max(0, (rows - self._tail) // self.period + 1)

    def frame_count(self, rows: int) -> int:
        """Codec frames of a clip of `rows` decoder rows.

        Raises:
            ValueError: If no number of frames takes that many rows.
        """
        frames = self.frame_limit(rows)
        if frames < 1 or self.row_count(frames) != rows:
            parity = "odd" if self._tail % 2 else "even"
            wanted = f"at least {self._tail} rows" if self.period == 1 else f"an {parity} number of rows"
            raise ValueError(f"rows is {rows}, but {self.channels} channels take {wanted}")
        return frames

    def frame_at(self, row_index: int) -> int:
        """Codec frame at whose time a row stands (the newest one that it holds, up to the clip's end)."""
        return row_index // self.period

    def known_rows(self, prefix_frames: int) -> int:
        """Rows from the start that codes of the first frames fill completely."""
        return self.period * prefix_frames

    def active_codebooks(self, row_index: int, last_row: int) -> tuple[int, ...]:
        """Codebooks that a row holds, ascending.

        Args:
            row_index: Row, 0 to `last_row`.
            last_row: Last row of the clip.
        """
        group = self.groups[row_index % self.period]
        tail = self._tail - 1
        if tail <= row_index <= last_row - tail:
            return group
        return tuple(k for k in group if self.offsets[k] <= row_index <= last_row - tail + self.offsets[k])

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
        for offset, codebooks in self._by_offset:
            rows[:, self._rows_from(offset, frames), codebooks] = codes[:, :, codebooks]
        return rows

    def deinterleave(self, rows: Tensor) -> Tensor:
        """Read the codes (B, S, K) back from decoder rows (B, R, K).

        Raises:
            ValueError: If the rows do not have K codebooks or an impossible count.
        """
        self._check("rows", rows)
        frames = self.frame_count(rows.shape[1])
        codes = rows.new_empty((rows.shape[0], frames, self.codebooks))
        for offset, codebooks in self._by_offset:
            codes[:, :, codebooks] = rows[:, self._rows_from(offset, frames), codebooks]
        return codes

    def labels(self, rows: Tensor) -> Tensor:
        """Training targets of rows (B, R, K): the same tokens, with padding marked as left out."""
        return torch.where(rows == self.pad_id, IGNORED_LABEL, rows)

    @cached_property
    def _tail(self) -> int:
        """Rows of a clip of one frame."""
        return max(self.offsets) + 1

    @cached_property
    def _by_offset(self) -> tuple[tuple[int, list[int]], ...]:
        return tuple(
            (offset, [k for k, other in enumerate(self.offsets) if other == offset])
            for offset in sorted(set(self.offsets))
        )

    def _offset(self, channel: int, level: int) -> int:
        if self.pattern == "residual":
            return (channel > 0) + (level % self.codec_levels > 0)
        return 0 if self.pattern == "parallel" else int(channel > 0)

    def _rows_from(self, offset: int, frames: int) -> slice:
        return slice(offset, offset + self.period * (frames - 1) + 1, self.period)

    def _check(self, name: str, tokens: Tensor) -> None:
        if tokens.ndim != 3 or tokens.shape[2] != self.codebooks or tokens.shape[1] == 0:
            raise ValueError(
                f"{name} has the shape {tuple(tokens.shape)}, but must be (batch, at least 1, "
                f"{self.codebooks}): {self.channels} channels of {self.levels} levels"
            )


def check_frames_per_row(frames_per_row: int, name: str, levels: int) -> None:
    """Raise ValueError if the levels of a setting `name` are not those of so many codec frames."""
    if frames_per_row < 1 or levels % frames_per_row:
        raise ValueError(
            f"frames_per_row is {frames_per_row}, but must be at least 1 and divide {name} {levels}, the codebooks "
            "of all frames of a row"
        )


def check_pattern(pattern: str, name: str, levels: int) -> None:
    """Raise ValueError if there is no such pattern, or it needs more levels than a setting `name` has."""
    patterns = get_args(Pattern)
    if pattern not in patterns:
        raise ValueError(f"pattern is {pattern!r}, but must be one of {', '.join(patterns)}")
    least = 2 if pattern == "residual" else 1
    if levels < least:
        raise ValueError(f"{name} is {levels}, but the pattern {pattern!r} needs at least {least}")
