"""Marks by which a recording is known again after another codec, size, level or a few seconds cut off.

Picture: the signs of the 63 lowest cosine components of eight frames, against their median (a "perceptual hash").
Sound: spectral peaks of W, three neighbouring ones at a time, as a number of their pitches and distances in time,
which neither level nor start changes; of all numbers of the first ten minutes the 128 with the smallest hashes are
kept, whose overlap estimates the overlap of all (a "bottom-k sketch"). Two peaks would not do: in five minutes of
noise all pairs occur. A thousand bytes are enough for recordings of any length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import soxr
from numpy.typing import NDArray

FRAMES = 8
SKETCH = 128
RATE_HZ = 8000
LONGEST_S = 600.0

_SIDE, _LOW = 32, 8
_FLAT_STEPS = 2.0
_WINDOW, _HOP = 1024, 128
_BINS = (16, 496)  # 125 to 3875 Hz
_AROUND = (12, 16)  # a peak is the largest within so many bins and windows
_FAR_WINDOWS, _NEAR_WINDOWS, _NEXT = 126, 4, 3
_PITCH_STEP, _TIME_STEP = 3, 12  # what codecs and another start move peaks by is less
_LEAST_PEAKS = 4
_AT_ONCE = 1024  # windows, 16 s


@dataclass(frozen=True)
class Fingerprint:
    """Marks of a recording.

    Attributes:
        pictures: Hashes of its frames; fewer than eight where frames show nothing.
        sound: Its sketch, ascending; short for short or empty sounds.
    """

    pictures: tuple[int, ...]
    sound: tuple[int, ...]

    def text(self) -> str:
        """As one line."""
        return (
            " ".join(f"{value:016x}" for value in self.pictures)
            + "/"
            + "".join(f"{value:08x}" for value in self.sound)
        )

    @classmethod
    def from_text(cls, text: str) -> Fingerprint:
        """The fingerprint of a line that `text` gave."""
        pictures, sound = text.split("/")
        return cls(
            tuple(int(value, 16) for value in pictures.split()),
            tuple(int(sound[at : at + 8], 16) for at in range(0, len(sound), 8)),
        )


def picture_hash(gray: NDArray[np.floating]) -> int | None:
    """Hash of a gray picture (32, 32) in 256 steps; None where it shows nothing.

    Raises:
        ValueError: The picture has another shape.
    """
    if gray.shape != (_SIDE, _SIDE):
        raise ValueError(f"gray has shape {gray.shape}; give ({_SIDE}, {_SIDE})")
    if gray.std() < _FLAT_STEPS:
        return None
    cosines = _cosines()
    low = (cosines @ gray.astype(np.float64) @ cosines.T)[:_LOW, :_LOW].ravel()[1:]
    bits = low > np.median(low)
    return int(sum(1 << place for place in np.flatnonzero(bits).tolist()))


def pictures_distance(first: tuple[int, ...], second: tuple[int, ...]) -> float | None:
    """Mean number of the 63 bits in which the frames of one differ from the nearest of the other, both ways.

    Returns:
        None where one has no frame that shows anything; about 20 for pictures that have nothing to do with another.
    """
    if not first or not second:
        return None
    bits = np.bitwise_count(np.array(first, np.uint64)[:, None] ^ np.array(second, np.uint64)[None]).astype(
        np.float64
    )
    return float((bits.min(axis=0).mean() + bits.min(axis=1).mean()) / 2)


class SoundSketch:
    """Takes a sound in blocks and keeps the sketch of its peaks."""

    def __init__(self, rate_hz: int) -> None:
        self._resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32", quality="HQ")
        self._held = np.zeros(0, np.float32)
        self._left = round(LONGEST_S * rate_hz)
        self._sketch = np.zeros(0, np.uint32)

    def add(self, mono: NDArray[np.floating]) -> bool:
        """Take in a block (n,).

        Returns:
            Whether more is wanted: no more than ten minutes are.
        """
        block = np.ascontiguousarray(mono[: self._left], dtype=np.float32)
        self._left -= len(block)
        self._look(self._resampler.resample_chunk(block), _AT_ONCE)
        return self._left > 0

    def finish(self) -> None:
        """There is no more."""
        self._look(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True), 1)

    def _look(self, samples: NDArray[np.float32], least_windows: int) -> None:
        self._held = np.concatenate([self._held, samples])
        windows = (len(self._held) - _WINDOW) // _HOP + 1
        if windows < least_windows:
            return
        marks = np.fromiter(_marks(_peaks(self._held, windows)), np.uint64)
        mixed = _mixed(np.unique(marks))
        self._sketch = np.unique(np.concatenate([self._sketch, mixed]))[:SKETCH]
        # Peaks near the end are seen with what follows them: the last windows are looked at again.
        again = _FAR_WINDOWS + _AROUND[1]
        self._held = self._held[max(0, windows - again) * _HOP :]

    def sketch(self) -> tuple[int, ...]:
        """The sketch so far; empty where next to nothing stood out."""
        return tuple(self._sketch.tolist()) if len(self._sketch) >= _LEAST_PEAKS else ()


def sounds_likeness(first: tuple[int, ...], second: tuple[int, ...]) -> float | None:
    """Estimated share of peaks that two sounds have in common; None where one has too few."""
    if not first or not second:
        return None
    union = sorted(set(first) | set(second))[: min(SKETCH, max(len(first), len(second)))]
    both = set(first) & set(second)
    return sum(value in both for value in union) / len(union)


@dataclass(frozen=True)
class Twin:
    """An earlier recording that is the same: its id, and how far pictures and sounds agree."""

    recording: str
    pictures_bits: float | None
    sounds_share: float | None


class FingerprintIndex:
    """Fingerprints of recordings in the order in which they came; 100 000 take 0.4 GB."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._texts: list[str] = []  # a tenth of the memory of the numbers
        self._pictures = np.zeros((16, FRAMES), np.uint64)
        self._peaks = _PeakIndex()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, recording: str, marks: Fingerprint) -> None:
        """Take in a recording."""
        place = len(self._names)
        if place == len(self._pictures):
            self._pictures = np.concatenate([self._pictures, np.zeros_like(self._pictures)])
        if marks.pictures:
            self._pictures[place] = np.resize(np.array(marks.pictures, np.uint64), FRAMES)
        self._names.append(recording)
        self._texts.append(marks.text())
        self._peaks.add(place, marks.sound)

    def candidates(self, marks: Fingerprint, most_bits: float) -> Iterator[Twin]:
        """Earlier recordings that share peaks or are near in a frame, in their order, with exact figures."""
        count = len(self._names)
        alike = np.zeros(count, bool)
        alike[self._peaks.owners(marks.sound)] = True
        for picture in marks.pictures:
            bits = np.bitwise_count(self._pictures[:count] ^ np.uint64(picture))
            alike |= (bits <= most_bits).any(axis=1)
        for place in np.flatnonzero(alike).tolist():
            other = Fingerprint.from_text(self._texts[place])
            yield Twin(
                self._names[place],
                pictures_distance(other.pictures, marks.pictures),
                sounds_likeness(other.sound, marks.sound),
            )


class _PeakIndex:
    """Which sketches hold a number: sorted runs, each at least twice as long as the next."""

    def __init__(self) -> None:
        self._runs: list[tuple[NDArray[np.uint32], NDArray[np.int32]]] = []

    def add(self, owner: int, sketch: tuple[int, ...]) -> None:
        if not sketch:
            return
        values, owners = np.array(sketch, np.uint32), np.full(len(sketch), owner, np.int32)
        while self._runs and len(self._runs[-1][0]) < 2 * len(values):
            before_values, before_owners = self._runs.pop()
            values = np.concatenate([before_values, values])
            owners = np.concatenate([before_owners, owners])
            by_value = np.argsort(values, kind="stable")
            values, owners = values[by_value], owners[by_value]
        self._runs.append((values, owners))

    def owners(self, sketch: tuple[int, ...]) -> NDArray[np.int32]:
        """Owners of sketches that share a number, some of them more than once."""
        wanted = np.array(sketch, np.uint32)
        found = [np.zeros(0, np.int32)]
        for values, owners in self._runs:
            firsts = np.searchsorted(values, wanted, "left")
            lasts = np.searchsorted(values, wanted, "right")
            found += [owners[first:last] for first, last in zip(firsts, lasts, strict=True) if last > first]
        return np.concatenate(found)


@cache
def _cosines() -> NDArray[np.float64]:
    places = np.arange(_SIDE)
    return np.cos(np.pi * (places[None] + 0.5) * places[:, None] / _SIDE)


def _peaks(samples: NDArray[np.float32], windows: int) -> NDArray[np.int64]:
    """Places (window, bin) where the spectrum is largest within its surroundings, by time, (P, 2)."""
    places = np.arange(_WINDOW) + _HOP * np.arange(windows)[:, None]
    spectrum = np.fft.rfft(samples[places] * np.hanning(_WINDOW).astype(np.float32), axis=1)
    level = np.log(np.abs(spectrum[:, _BINS[0] : _BINS[1]]) + 1e-5)
    largest = _largest_around(_largest_around(level, _AROUND[1], 0), _AROUND[0], 1)
    # Half a neper above the mean of its pitch and block, so that the floor of a codec has no peaks.
    standing_out = (level == largest) & (level > level.mean() + 0.5) & (level > np.log(2e-3))
    return np.argwhere(standing_out)


def _largest_around(values: NDArray[np.floating], reach: int, axis: int) -> NDArray[np.floating]:
    width = [(reach, reach) if each == axis else (0, 0) for each in range(2)]
    padded = np.pad(values, width, constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis).max(axis=-1)


def _marks(peaks: NDArray[np.int64]) -> Iterator[int]:
    """Each peak with any two of the next three: three pitches and two distances in time."""
    rows = peaks.tolist()
    for at, (time, pitch) in enumerate(rows):
        near: list[tuple[int, int]] = []
        for later, other in rows[at + 1 :]:
            if later - time > _FAR_WINDOWS or len(near) == _NEXT:
                break
            if later - time >= _NEAR_WINDOWS:
                near.append((round((later - time) / _TIME_STEP), other // _PITCH_STEP))
        for (first_s, first), (second_s, second) in combinations(near, 2):
            yield (pitch // _PITCH_STEP) << 40 | first << 30 | second << 20 | first_s << 10 | second_s


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Numbers as good as drawn, the same for the same values (the finaliser of splitmix64)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(33)).astype(np.uint32)
