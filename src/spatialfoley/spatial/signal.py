"""Audio with a meaning for each channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

Layout = Literal["mono", "stereo", "binaural", "foa", "5.1", "7.1.4"]

BLOCK_SAMPLES = 1 << 16
"""Samples of one channel that are worked on at a time where a sound is not held as a whole."""

LAYOUT_CHANNELS: dict[str, int] = {"mono": 1, "stereo": 2, "binaural": 2, "foa": 4, "5.1": 6, "7.1.4": 12}


class Sound(Protocol):
    """Sound of a known layout, in memory (`SpatialAudio`) or on disk (`media.sound_file.SoundFile`)."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    @property
    def layout(self) -> Layout:
        """What the channels mean."""
        ...

    @property
    def frames(self) -> int:
        """Samples of one channel."""
        ...

    def blocks(self, length: int = BLOCK_SAMPLES) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the whole sound from its start, in blocks of shape (C, length); the last may be shorter."""
        ...


@dataclass(frozen=True, eq=False)
class SpatialAudio:
    """Sound of a known layout.

    Attributes:
        samples: Shape (C, N), kept as float32, nominal range [-1, 1]; for "foa" W, Y, Z, X in SN3D.
        rate_hz: Samples per second.
        layout: What the channels mean.

    Raises:
        ValueError: If the shape does not fit the layout, a sample is not finite or the rate is not positive.
    """

    samples: npt.NDArray[np.float32]
    rate_hz: int
    layout: Layout

    def __post_init__(self) -> None:
        if self.layout not in get_args(Layout):
            raise ValueError(f"layout is {self.layout!r}; it must be one of {', '.join(get_args(Layout))}")
        if isinstance(self.rate_hz, bool) or int(self.rate_hz) != self.rate_hz or self.rate_hz <= 0:
            raise ValueError(f"rate_hz is {self.rate_hz}; it must be a positive whole number")
        samples = np.ascontiguousarray(self.samples, dtype=np.float32)
        channels = LAYOUT_CHANNELS[self.layout]
        if samples.ndim != 2 or samples.shape[0] != channels:
            raise ValueError(
                f"samples has shape {samples.shape}; layout {self.layout!r} needs ({channels}, samples)"
            )
        if not np.isfinite(samples).all():
            channel, index = np.argwhere(~np.isfinite(samples))[0]
            raise ValueError(
                f"samples holds {samples[channel, index]} at channel {channel}, sample {index}; "
                "every sample must be finite: repair the sound or the model that made it"
            )
        object.__setattr__(self, "rate_hz", int(self.rate_hz))
        object.__setattr__(self, "samples", samples)

    @property
    def frames(self) -> int:
        """Samples of one channel."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz

    def scaled(self, gain: float) -> SpatialAudio:
        """The same sound times a factor."""
        return SpatialAudio(self.samples * np.float32(gain), self.rate_hz, self.layout)

    def blocks(self, length: int = BLOCK_SAMPLES) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the sound in blocks of shape (C, length); the last may be shorter."""
        return (self.samples[:, start : start + length] for start in range(0, self.frames, length))

    @property
    def peak(self) -> float:
        """Largest magnitude of any sample, 0 for no samples."""
        return float(np.max(np.abs(self.samples), initial=0.0))


@dataclass(frozen=True, eq=False)
class ComputedSound:
    """Sound that is computed anew each time it is read, for example one turned or filtered on the way.

    Attributes:
        rate_hz: Samples per second.
        layout: What the channels mean.
        frames: Samples of one channel.
        source: Starts a pass over blocks of any lengths, which together have that many samples.
    """

    rate_hz: int
    layout: Layout
    frames: int
    source: Callable[[], Iterable[npt.NDArray[np.float32]]]

    def blocks(self, length: int = BLOCK_SAMPLES) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the whole sound from its start, in blocks of shape (C, length); the last may be shorter."""
        return rechunked(self.source(), length)


def require_layout(audio: Sound, layout: Layout, argument: str = "audio") -> None:
    """Check the layout of an argument.

    Raises:
        ValueError: If the layout differs.
    """
    if audio.layout != layout:
        raise ValueError(f"{argument} has layout {audio.layout!r}; it must be {layout!r}")


def rechunked(blocks: Iterable[npt.NDArray[np.float32]], length: int) -> Iterator[npt.NDArray[np.float32]]:
    """The same sound in blocks (C, length); the last one as short as it comes out."""
    held: list[npt.NDArray[np.float32]] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[1]
        if count < length:
            continue
        whole = np.concatenate(held, axis=1)
        cut = count - count % length
        for start in range(0, cut, length):
            yield whole[:, start : start + length]
        held, count = [whole[:, cut:]], count - cut
    if count:
        yield np.concatenate(held, axis=1)
