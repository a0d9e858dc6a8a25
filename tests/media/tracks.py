"""Sound tracks of every codec, alone or beside a picture, made with the real encoders."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE_HZ = 48000
_SAMPLE_FORMATS = {"aac": "fltp", "libopus": "flt", "pcm_s24le": "s32", "flac": "s16"}


def field(channels: int = 4, seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    """Noise on every channel, each of its own level, so that none can be mistaken for another."""
    noise = np.random.default_rng(seed).standard_normal((channels, round(seconds * RATE_HZ)))
    return (0.05 * noise * (1 + np.arange(channels))[:, None] / channels).astype(np.float32)


def write_track(
    path: Path,
    samples: np.ndarray,
    codec: str,
    layout: str,
    *,
    options: Mapping[str, str] | None = None,
    picture_s: float | None = None,
    late_s: float = 0.0,
    hole: tuple[int, float] | None = None,
    channel_kbps: int = 200,
) -> Path:
    """Write samples (C, N) as one track.

    Args:
        path: The file; its ending chooses the container.
        samples: What to write.
        codec: Name of FFmpeg's encoder.
        layout: Layout of the channels.
        options: Of the encoder.
        picture_s: Put a picture of this length beside it, at 10 frames/s.
        late_s: The track begins this much after the picture.
        hole: From this sample on everything comes so many seconds later.
        channel_kbps: Of lossy codecs.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as out:
        picture: Any = out.add_stream("libx264", rate=10) if picture_s else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 32, "yuv420p"
        track: Any = out.add_stream(codec, rate=RATE_HZ, layout=layout, options=dict(options or {}))
        if codec in ("aac", "libopus"):
            track.bit_rate = 1000 * channel_kbps * len(samples)
        for number in range(round((picture_s or 0.0) * 10)):
            image = np.full((32, 64, 3), 20 * (number % 10), np.uint8)
            out.mux(picture.encode(av.VideoFrame.from_ndarray(image)))
        if picture is not None:
            out.mux(picture.encode(None))
        for start in range(0, samples.shape[1], 960):
            frame = _frame(samples[:, start : start + 960], _SAMPLE_FORMATS[codec], layout)
            delay_s = late_s + (hole[1] if hole is not None and start >= hole[0] else 0.0)
            frame.pts = start + round(delay_s * RATE_HZ)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


def _frame(block: np.ndarray, sample_format: str, layout: str) -> av.AudioFrame:
    if sample_format == "fltp":
        values = np.ascontiguousarray(block)
    else:
        scale = {"flt": 1, "s16": 2**15, "s32": 2**31}[sample_format]
        kind = {"flt": np.float32, "s16": np.int16, "s32": np.int32}[sample_format]
        values = np.ascontiguousarray((block.T.astype(np.float64) * scale).astype(kind).reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(values, format=sample_format, layout=layout)
    frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
    return frame


def order(samples: np.ndarray, found: np.ndarray) -> list[int]:
    """Which found channel is most like each given one."""
    count = min(samples.shape[1], found.shape[1])
    likeness = np.corrcoef(np.concatenate([samples[:, :count], found[:, :count]]))
    return likeness[: len(samples), len(samples) :].argmax(axis=1).tolist()
