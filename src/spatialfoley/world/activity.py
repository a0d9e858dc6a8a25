"""What the eye can tell about a source's events: how long ago, how long until, how bright, how far turned."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from spatialfoley.world.scenes import Source

FLASH_S: Final = 0.22
RELEASE_S: Final = 0.1
TURNS_PER_S: Final = 1.7
NEVER_S: Final = 1e3


@dataclass(frozen=True)
class Activity:
    """State of one source at T moments; every array has shape (T, 1, 1) to meet pixels.

    Attributes:
        time_s: The moments themselves.
        since_s: Seconds since the last onset; 1000 before the first.
        until_s: Seconds until the next onset; 1000 after the last.
        flash: 1 at an onset, falling in a straight line to 0 within ``FLASH_S``: its value tells the time.
        active: 1 while a sustained event lasts, falling to 0 within ``RELEASE_S`` after it; 0 for strokes.
        turned_rad: Angle that a rotor has turned; it grows only while active.
        count: Number of onsets so far.
    """

    time_s: np.ndarray
    since_s: np.ndarray
    until_s: np.ndarray
    flash: np.ndarray
    active: np.ndarray
    turned_rad: np.ndarray
    count: np.ndarray

    @property
    def lit(self) -> np.ndarray:
        """Brightness of the body, 0 (idle) to 1, shape (T, 1, 1)."""
        return np.maximum(self.flash, 0.8 * self.active)


def activity_at(source: Source, times_s: np.ndarray) -> Activity:
    """Return the state of a source at times of shape (T,)."""
    onsets = np.array([event.time_s for event in source.events])
    lengths = np.array([event.length_s for event in source.events])
    strengths = np.array([event.strength for event in source.events])
    count = np.searchsorted(onsets, times_s, side="right")
    last, following = np.maximum(count - 1, 0), np.minimum(count, len(onsets) - 1)
    since = np.where(count > 0, times_s - onsets[last], NEVER_S)
    until = np.where(count < len(onsets), onsets[following] - times_s, NEVER_S)
    flash = np.clip(1 - since / FLASH_S, 0, 1) * (0.7 + 0.3 * strengths[last])
    active = np.zeros_like(times_s)
    turned = np.zeros_like(times_s)
    if source.kind.sustained:
        active = np.clip(1 - (since - lengths[last]) / RELEASE_S, 0, 1) * (count > 0)
        driven = np.clip(times_s[:, None] - onsets, 0, lengths + 0.5 * RELEASE_S)
        pitches = np.array([event.pitch for event in source.events])
        turned = 2 * np.pi * TURNS_PER_S * source.pitch * (driven * pitches).sum(axis=1)
    columns = (times_s, since, until, flash, active, turned, count)
    return Activity(*(column.astype(np.float32)[:, None, None] for column in columns))
