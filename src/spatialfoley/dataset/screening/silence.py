"""How much of a sound is silence: Sphere360's rule, and digital silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.dataset.factory.stage import Rejected

CHUNK_S = 0.02


@dataclass(frozen=True)
class SilenceLimits:
    """Limits of the screen.

    Attributes:
        quiet_dbfs: A chunk of 20 ms is silent when the RMS of its loudest channel is below; Sphere360's tools.
        most_silent: Rejected when a larger share of the chunks is silent; Sphere360's tools.
        zero_peak: Up to this peak a sound is digital silence: half a step of 16 bits, which dither may leave.
    """

    quiet_dbfs: float = -35.0
    most_silent: float = 0.9
    zero_peak: float = 2.0**-15

    def __post_init__(self) -> None:
        if not -120 <= self.quiet_dbfs <= 0:
            raise ValueError(f"quiet_dbfs is {self.quiet_dbfs}; it must be from -120 to 0 dBFS")
        if not 0 <= self.most_silent <= 1:
            raise ValueError(f"most_silent is {self.most_silent}; it is a share from 0 to 1")


class SilenceMeter:
    """Counts silent chunks of a sound that comes in blocks."""

    def __init__(self, rate_hz: int, limits: SilenceLimits | None = None) -> None:
        self._limits = limits or SilenceLimits()
        self._chunk = max(1, round(CHUNK_S * rate_hz))
        self._held: NDArray[np.floating] | None = None
        self._silent = self._chunks = 0
        self._loudest = self._peak = 0.0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take in a block (C, n) of any length."""
        self._peak = max(self._peak, float(np.max(np.abs(block), initial=0.0)))
        whole = block if self._held is None else np.concatenate([self._held, block], axis=1)
        count = whole.shape[1] // self._chunk
        cut = whole[:, : count * self._chunk].astype(np.float64)
        self._held = whole[:, count * self._chunk :]
        power = np.square(cut).reshape(len(cut), count, self._chunk).mean(axis=2).max(axis=0)
        self._silent += int(np.count_nonzero(power < 10 ** (self._limits.quiet_dbfs / 10)))
        self._chunks += count
        self._loudest = max(self._loudest, float(np.max(power, initial=0.0)))

    def numbers(self) -> dict[str, float]:
        """Share of silent chunks, level of the loudest one, and peak."""
        return {
            "silent_share": round(self._silent / max(1, self._chunks), 4),
            "loudest_dbfs": round(10 * float(np.log10(max(self._loudest, 1e-20))), 1),
            "peak": round(self._peak, 6),
        }

    def why_silent(self) -> Rejected | None:
        """The reason to leave the sound out; None for one that sounds."""
        numbers = self.numbers()
        if self._peak <= self._limits.zero_peak:
            return Rejected("digital_silence", "there is nothing but zeros in it", numbers)
        if numbers["silent_share"] <= self._limits.most_silent:
            return None
        return Rejected(
            "silent",
            f"{100 * numbers['silent_share']:.1f} % of it is below {self._limits.quiet_dbfs:g} dBFS",
            numbers,
        )
