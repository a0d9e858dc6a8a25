"""Leaves out pictures that stand still: Sphere360's rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Workspace
from spatialfoley.dataset.screening.still_picture import (
    SAMPLE_RATE_HZ,
    StillLimits,
    change_mse,
    still_numbers,
    why_still,
)
from spatialfoley.media.video import Video, read_video

_AT_ONCE = 64


@dataclass(frozen=True)
class StaticVideo:
    """Compares pictures half a second apart.

    Attributes:
        role: The picture that is measured.
        height_px: Height at which they are compared; the width follows.
        most_pairs: Longer recordings are looked at in so many pairs, evenly spread.
        limits: Where the limits lie.
    """

    version: ClassVar[int] = 1
    role: str = "panorama"
    height_px: int = 112
    most_pairs: int = 600
    limits: StillLimits = field(default_factory=StillLimits)

    def __post_init__(self) -> None:
        if self.height_px < 16:
            raise ValueError(f"height_px is {self.height_px}; it must be at least 16")
        if self.most_pairs < 1:
            raise ValueError(f"most_pairs is {self.most_pairs}; it must be at least 1")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Count the pairs that are the same."""
        video = read_video(space.path(record.file(self.role)))
        changes = self._changes(video)
        reason = why_still(changes, self.limits)
        if reason is not None:
            return reason
        return Passed(
            (record.with_(facts={"still_share": still_numbers(changes, self.limits)["still_share"]}),)
        )

    def _changes(self, video: Video) -> np.ndarray:
        size_px = (self.height_px, max(2, round(self.height_px * video.width / video.height)))
        times_s = np.arange(0.0, video.duration_s, 1.0 / SAMPLE_RATE_HZ)
        if len(times_s) < 2:
            return np.zeros(0)
        if len(times_s) - 1 <= self.most_pairs:
            # Neighbouring stretches share a picture, so that no pair is lost between them.
            starts = range(0, len(times_s) - 1, _AT_ONCE)
            stretches = [times_s[start : start + _AT_ONCE + 1] for start in starts]
        else:
            firsts = np.linspace(0, len(times_s) - 2, self.most_pairs).round().astype(int)
            stretches = [times_s[first : first + 2] for first in firsts]
        return np.concatenate(
            [change_mse(video.frames_at(stretch, size_px, crop=None)) for stretch in stretches]
        )


STAGE = StaticVideo
