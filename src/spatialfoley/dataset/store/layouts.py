"""Shapes of stored features, from lengths and sizes alone: what a run will write is known before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple, Protocol

from spatialfoley.features.synchformer import SEGMENT_STEP_FRAMES
from spatialfoley.timeline import codec_frames, sample_count, segment_count

PATCHES = 49
"""Of ViSAGe's energy maps."""

_BYTES = {"float16": 2, "float32": 4, "int16": 2}


class ArrayShape(NamedTuple):
    """Shape and type of an array."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        """Size of its content."""
        return prod(self.shape) * _BYTES[self.dtype]


class Layout(Protocol):
    """What an encoder makes of a clip."""

    def arrays(self, duration_s: float) -> dict[str, ArrayShape]:
        """Its arrays for a clip of some length."""
        ...


def total_bytes(layout: Layout, duration_s: float) -> int:
    """Bytes of one clip."""
    return sum(array.bytes for array in layout.arrays(duration_s).values())


def float_type(half: bool) -> str:
    """Name of the type that features are kept in."""
    return "float16" if half else "float32"


@dataclass(frozen=True)
class PictureLayout:
    """ViSAGe's view of a clip: an embedding and an energy map for every frame of every variant."""

    frame_rate_hz: float
    embedding_dim: int
    variants: int
    half: bool

    def arrays(self, duration_s: float) -> dict[str, ArrayShape]:
        """`embedding` (V, T, D) and `energy_map` (V, T, 49)."""
        shape = (self.variants, sample_count(duration_s, self.frame_rate_hz))
        kind = float_type(self.half)
        return {
            "embedding": ArrayShape((*shape, self.embedding_dim), kind),
            "energy_map": ArrayShape((*shape, PATCHES), kind),
        }


@dataclass(frozen=True)
class CodesLayout:
    """Tokens of a field: every codec frame of every variant, and where its camera looks."""

    rate_hz: int
    hop_samples: int
    codebooks: int
    variants: int

    def arrays(self, duration_s: float) -> dict[str, ArrayShape]:
        """`codes` (V, S, K) and `direction` (V, 3)."""
        frames = codec_frames(sample_count(duration_s, self.rate_hz), self.hop_samples)
        return {
            "codes": ArrayShape((self.variants, frames, self.codebooks), "int16"),
            "direction": ArrayShape((self.variants, 3), "float32"),
        }


@dataclass(frozen=True)
class FrameLayout:
    """A vector, or a grid of vectors, for every frame."""

    name: str
    frame_rate_hz: float
    inner: tuple[int, ...]
    half: bool

    def arrays(self, duration_s: float) -> dict[str, ArrayShape]:
        """(T, ...); frames are cut, not rounded, as published."""
        frames = int(self.frame_rate_hz * duration_s)
        return {self.name: ArrayShape((frames, *self.inner), float_type(self.half))}


@dataclass(frozen=True)
class SegmentLayout:
    """Tokens of overlapping segments of frames."""

    frame_rate_hz: float
    segment_frames: int
    segment_tokens: int
    width: int
    half: bool

    def arrays(self, duration_s: float) -> dict[str, ArrayShape]:
        """`sync` (S, D)."""
        frames = int(self.frame_rate_hz * duration_s)
        segments = segment_count(frames, self.segment_frames, SEGMENT_STEP_FRAMES)
        return {"sync": ArrayShape((segments * self.segment_tokens, self.width), float_type(self.half))}


@dataclass(frozen=True)
class TextLayout:
    """A vector for every token of a text; clips without a text have none."""

    tokens: int
    width: int
    half: bool

    def arrays(self, duration_s: float) -> dict[str, ArrayShape]:
        """`text` (W, D), whatever the length of the clip."""
        return {"text": ArrayShape((self.tokens, self.width), float_type(self.half))}


@dataclass(frozen=True)
class LatentLayout:
    """The posterior of an autoencoder for two ears, or for one channel."""

    rate_hz: int
    hop_samples: int
    width: int
    channels: int

    def arrays(self, duration_s: float) -> dict[str, ArrayShape]:
        """`mean` and `std` (C, L, D), in 32 bits: what is learnt is drawn from them."""
        frames = codec_frames(sample_count(duration_s, self.rate_hz), self.hop_samples)
        shape = ArrayShape((self.channels, frames, self.width), "float32")
        return {"mean": shape, "std": shape}
