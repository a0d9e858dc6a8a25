"""Small films whose frames carry their own number, made with the real encoders."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

_STEP = 14


def shared_data() -> Path:
    """Folder of real recordings; skips the test where it is missing."""
    root = Path(os.environ.get("SPATIALFOLEY_SHARED_DIR", Path(__file__).parents[3] / "shared"))
    if not (root / "data").is_dir():
        pytest.skip("the shared recordings are not on this machine (set SPATIALFOLEY_SHARED_DIR)")
    return root / "data"


def numbered_frame(index: int, width: int = 96, height: int = 64) -> np.ndarray:
    """RGB frame whose left and right half tell `index` (below 256) by their brightness."""
    frame = np.empty((height, width, 3), np.uint8)
    frame[:, : width // 2] = 16 + _STEP * (index % 16)
    frame[:, width // 2 :] = 16 + _STEP * (index // 16)
    return frame


def number_of(frame: np.ndarray) -> int:
    """The index that `numbered_frame` put into a (possibly cropped and resized) frame."""
    width = frame.shape[1]
    low = frame[:, : width // 2 - 2].mean()
    high = frame[:, width // 2 + 2 :].mean()
    return round((low - 16) / _STEP) + 16 * round((high - 16) / _STEP)


def make_clip(
    path: Path,
    ticks: Sequence[int],
    time_base: Fraction,
    *,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    key_every: int = 12,
    b_frames: int = 0,
    rotation: int = 0,
    last_ticks: int | None = None,
    sound_s: float | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write numbered frames at the given time stamps, with silence of `sound_s` seconds as sound if wanted."""
    with av.open(str(path), "w", options=container_options or {}) as out:
        options = {"preset": "ultrafast", "crf": "10", "bf": str(b_frames)} if codec == "libx264" else {}
        if codec == "libx265":
            options = {"preset": "ultrafast", "crf": "10", "x265-params": "log-level=none"}
        stream = out.add_stream(
            codec, rate=Fraction(1, max(1, ticks[1] - ticks[0])) / time_base, options=options
        )
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.gop_size, stream.codec_context.max_b_frames = key_every, b_frames
        stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        sound = (
            out.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48000) if sound_s else None
        )
        following = [*ticks[1:], ticks[-1] + (last_ticks or ticks[-1] - ticks[-2])]
        lengths = {tick: end - tick for tick, end in zip(ticks, following, strict=True)}

        def write(frame: av.VideoFrame | None) -> None:
            for packet in stream.encode(frame):
                packet.duration = lengths[packet.pts]
                out.mux(packet)

        for index, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(numbered_frame(index, *size), format="rgb24")
            frame.pts, frame.time_base = tick, time_base
            write(frame)
        write(None)
        if sound is not None:
            block = av.AudioFrame.from_ndarray(
                np.zeros((1, round(sound_s * 48000)), np.float32), format="fltp", layout="mono"
            )
            block.sample_rate, block.pts = 48000, 0
            out.mux(sound.encode(block))
            out.mux(sound.encode(None))
    return path


def constant_clip(path: Path, rate_hz: Fraction | int, count: int, **settings: object) -> Path:
    """Write `count` numbered frames at a constant rate."""
    rate = Fraction(rate_hz)
    ticks = [index * rate.denominator for index in range(count)]
    return make_clip(path, ticks, Fraction(1, rate.numerator), **settings)  # type: ignore[arg-type]


def sound_only(path: Path, seconds: float = 1.0) -> Path:
    """Write a media file with sound and no picture."""
    with av.open(str(path), "w") as out:
        sound = out.add_stream("aac", rate=48000, layout="mono")
        block = av.AudioFrame.from_ndarray(
            np.zeros((1, round(seconds * 48000)), np.float32), format="fltp", layout="mono"
        )
        block.sample_rate, block.pts = 48000, 0
        out.mux(sound.encode(block))
        out.mux(sound.encode(None))
    return path
