"""The share of time of kinds of sound, asked of a tagger that somebody else brings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np
import soxr
from numpy.typing import NDArray

from spatialfoley.spatial.signal import rechunked


@runtime_checkable
class ContentTagger(Protocol):
    """Something that tells what is heard.

    Attributes:
        name: With version and hash of its weights; becomes a fact of every record.
        rate_hz: Rate it wants its sound at.
        window_s: Length it listens to at a time.
    """

    name: str
    rate_hz: int
    window_s: float

    def labels(self, mono: NDArray[np.float32]) -> Iterable[str]:
        """What is heard in a window (n,) of `window_s` or, at the end, less."""


@cache
def load_tagger(place: str) -> ContentTagger:
    """The tagger at ``package.module:NAME``; a class is made first.

    Raises:
        ValueError: There is none.
    """
    module, colon, name = place.partition(":")
    if not colon:
        raise ValueError(f"tagger is {place!r}; give package.module:NAME")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as problem:
        raise ValueError(f"tagger {place!r} cannot be imported: {problem}") from None
    if found is None:
        raise ValueError(f"tagger is {place!r}, but {module} has no {name}")
    tagger = found() if isinstance(found, type) else found
    if not isinstance(tagger, ContentTagger):
        raise ValueError(f"tagger {place!r} is none: it needs name, rate_hz, window_s and labels()")
    return tagger


def shares_of(tagger: ContentTagger, blocks: Iterable[NDArray[np.float32]], rate_hz: int) -> dict[str, float]:
    """Share of time of every label that occurs, by label.

    Args:
        tagger: Who listens.
        blocks: Mono, (n,) each.
        rate_hz: Their rate.
    """
    resampler = soxr.ResampleStream(rate_hz, tagger.rate_hz, 1, dtype="float32", quality="HQ")
    resampled = (resampler.resample_chunk(np.ascontiguousarray(block, np.float32))[None] for block in blocks)
    times_s: dict[str, float] = {}
    total_s = 0.0
    for window in rechunked(_ended(resampled, resampler), round(tagger.window_s * tagger.rate_hz)):
        length_s = window.shape[1] / tagger.rate_hz
        total_s += length_s
        for label in sorted(set(tagger.labels(window[0]))):
            times_s[label] = times_s.get(label, 0.0) + length_s
    return {label: round(time_s / total_s, 4) for label, time_s in sorted(times_s.items())}


def why_unwanted(shares: Mapping[str, float], most: Mapping[str, float]) -> tuple[str, str] | None:
    """Reason and sentence for the label that is most above its limit; None if none is."""
    above = {label: shares.get(label, 0.0) - limit for label, limit in most.items()}
    worst = max(above, key=lambda label: above[label], default=None)
    if worst is None or above[worst] <= 0:
        return None
    return (
        f"{worst}_share",
        f"{100 * shares[worst]:.0f} % of it is {worst}, more than {100 * most[worst]:.0f} %",
    )


def _ended(
    blocks: Iterable[NDArray[np.float32]], resampler: soxr.ResampleStream
) -> Iterable[NDArray[np.float32]]:
    yield from blocks
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)[None]
