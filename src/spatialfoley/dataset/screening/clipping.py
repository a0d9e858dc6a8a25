"""Whether a sound was cut off at a level it did not fit into.

A clipped wave has flat tops: several samples of one value, far from zero, that it meets with a corner. A codec
afterwards makes them waver; then only full scale itself tells, which decoders of clipped sound reach all the time.
Clipping that was turned down and then coded with loss is not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.dataset.factory.stage import Rejected

_RUN = 3
_SAME = 2.0**-15
_CORNER = 8 * _SAME
_LOUD = 0.1


@dataclass(frozen=True)
class ClippingLimits:
    """Limits of the screen; ours, see docs/dataset.md for what good and clipped recordings measure.

    Attributes:
        most_flat: Largest share of samples of a channel that may lie on flat tops: three or more in a row that are
            the same to 1/32768, above a tenth of full scale.
        most_full: Largest share of samples at or above `full_scale`.
        full_scale: What counts as full scale; below 1, as codecs waver and take some energy away. Recordings turned
            up to full scale without clipping have up to 1e-4 of their samples there, clipped ones 8e-4 and more.
    """

    most_flat: float = 1e-3
    most_full: float = 5e-4
    full_scale: float = 0.95

    def __post_init__(self) -> None:
        for name in ("most_flat", "most_full", "full_scale"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0 and at most 1")


class ClippingMeter:
    """Counts flat tops and full scale of a sound that comes in blocks."""

    def __init__(self, limits: ClippingLimits | None = None, gain: float = 1.0) -> None:
        """Begin.

        Args:
            limits: Where the limits lie.
            gain: What the sound was multiplied with since it was full scale.
        """
        self._limits = limits or ClippingLimits()
        self._gain = gain
        self._flat: NDArray[np.int64] | None = None
        self._full: NDArray[np.int64] | None = None
        self._count = 0
        self._peak = 0.0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take in a block (C, n); flat tops across two blocks count in part."""
        if self._flat is None or self._full is None:
            self._flat, self._full = np.zeros((2, len(block)), np.int64)
        if block.shape[1] == 0:
            return
        magnitude = np.abs(block)
        self._peak = max(self._peak, float(magnitude.max()))
        self._count += block.shape[1]
        self._full += np.count_nonzero(magnitude >= self._limits.full_scale * self._gain, axis=1)
        self._flat += [_flat_samples(channel, _LOUD * self._gain) for channel in block]

    def numbers(self) -> dict[str, float]:
        """Shares of samples on flat tops and at full scale in the worst channel, and the peak."""
        count = max(1, self._count)
        flat = 0 if self._flat is None else int(self._flat.max())
        full = 0 if self._full is None else int(self._full.max())
        return {
            "flat_share": round(flat / count, 7),
            "full_scale_share": round(full / count, 7),
            "peak": round(self._peak / self._gain, 4),
        }

    def why_clipped(self) -> Rejected | None:
        """The reason to leave the sound out; None for one that fits."""
        numbers = self.numbers()
        if numbers["flat_share"] > self._limits.most_flat:
            sentence = f"{100 * numbers['flat_share']:.2f} % of a channel lies on flat tops"
        elif numbers["full_scale_share"] > self._limits.most_full:
            sentence = f"{100 * numbers['full_scale_share']:.2f} % of a channel lies at full scale"
        else:
            return None
        return Rejected("clipped", sentence, numbers)


def _flat_samples(channel: NDArray[np.floating], least: float) -> int:
    """Samples of (n,) on flat tops: runs of one value, not small, that the wave meets with a corner."""
    steps = np.abs(np.diff(channel))
    same = (steps <= _SAME) & (np.abs(channel[1:]) >= least)
    changes = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    firsts, lasts = changes[::2], changes[1::2]  # samples; the steps between them are same[first:last]
    lengths = lasts - firsts + 1
    bounded = np.concatenate([[0.0, 0.0], steps, [0.0, 0.0]])
    # The round top of a low tone is as flat, but comes and goes in small steps. Of a step into a flat top a part is
    # missing, so the one beyond it is looked at as well.
    around = [bounded[firsts], bounded[firsts + 1], bounded[lasts + 2], bounded[lasts + 3]]
    corners = np.max(around, axis=0, initial=0.0) > _CORNER
    return int(lengths[(lengths >= _RUN) & corners].sum())
