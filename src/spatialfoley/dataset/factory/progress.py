"""How far a build is: what people watch while it runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from spatialfoley.dataset.factory.state import StageResult

Progress = Callable[[str, float], None]
"""Told what is done and the fraction done in [0, 1]; who watches works out the time left."""


class Tally:
    """Counts of one run.

    Attributes:
        total: Recordings that this run has to look at.
    """

    def __init__(self, tell: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self._tell, self._clock, self._began_s = tell, clock, clock()
        self._counts: Counter[str] = Counter()

    def add(self, result: StageResult) -> None:
        """Count a new result."""
        self._counts[result.status] += 1

    def show(self, begun: int, under_way: int) -> None:
        """Tell how far the build is.

        Args:
            begun: Recordings begun.
            under_way: Of these, the ones that are not finished.
        """
        done = max(0, begun - under_way)
        minutes = max(self._clock() - self._began_s, 1e-3) / 60
        label = (
            f"{done} of {self.total} recordings, {done / minutes:.1f} a minute, "
            f"{self._counts['rejected']} records rejected, {self._counts['failed']} failed"
        )
        self._tell(label, done / max(1, self.total))
