"""Frames in, mp4 out: H.264 with optional sound, complete or not there."""

import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.errors import MediaError
from spatialfoley.media.sound_track import SoundCodec, SoundTrack, coded_rate_hz, default_codec
from spatialfoley.spatial.signal import Sound

_TICKS_HZ = 90_000
_BT709 = 1


def open_output(path: Path, timescale_hz: int) -> OutputContainer:
    """Open `path` (.mp4 or .mkv) for writing.

    In mp4 the index comes first, for the web; edit lists count in `timescale_hz`, so that a sound of that
    rate ends exactly; "unofficial" lets the marks of 360-degree pictures through.
    """
    if path.suffix.lower() == ".mkv":
        return av.open(str(path.absolute()), "w", format="matroska")
    options = {"movflags": "+faststart", "movie_timescale": str(timescale_hz), "strict": "unofficial"}
    return av.open(str(path.absolute()), "w", format="mp4", container_options=options)


def write_frames(
    path: str | Path,
    frames: Iterable[np.ndarray],
    rate_hz: float | None = None,
    audio: Sound | None = None,
    *,
    times_s: Iterable[float] | None = None,
    duration_s: float | None = None,
    crf: int = 20,
    codec: SoundCodec | None = None,
    threads: int = 0,
) -> int:
    """Write RGB frames as H.264 (yuv420p, BT.709) in an mp4 file, with sound cut or padded to the picture.

    Memory stays constant: frames are encoded as they come. Odd sizes are padded by repeating the last row or
    column, because 4:2:0 pictures need even sides.

    Args:
        path: the file to write, ending in .mp4 or .mkv.
        frames: uint8 (H, W, 3), all of one size.
        rate_hz: constant frame rate; leave out when `times_s` is given.
        audio: mono, stereo or binaural sound; None for none.
        times_s: appearance time of each frame in seconds, ascending, for variable rates.
        duration_s: total length; None: the last frame lasts as long as the one before it.
        crf: quality of libx264, 0 (lossless) to 51.
        codec: "aac" or "opus"; None: AAC in mp4 (plays everywhere), Opus in mkv (ends to the sample).
        threads: of the encoder; 0: as many as there are cores. The bytes depend on it.

    Returns:
        The number of frames written.

    Raises:
        ValueError: no frames, other shapes or types, times not ascending, or an unusable argument.
        MediaError: the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in (".mp4", ".mkv"):
        raise MediaError(f"cannot write {target}: the name must end in .mp4 or .mkv")
    if (rate_hz is None) == (times_s is None):
        raise ValueError("give either rate_hz or times_s, not both and not neither")
    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(f"rate_hz is {rate_hz}; give frames per second above 0")
    if not 0 <= crf <= 51:
        raise ValueError(f"crf is {crf}; give 0 (lossless) to 51")
    timed = _timed(frames, rate_hz, times_s)
    chosen = codec or default_codec(target)
    return encode_timed(
        target,
        timed,
        _rate(rate_hz),
        audio,
        duration_s,
        crf=crf,
        codec=chosen,
        constant=times_s is None,
        threads=threads,
    )


def encode_timed(
    target: Path,
    timed: Iterator[tuple[float, np.ndarray]],
    rate: Fraction,
    audio: Sound | None,
    duration_s: float | None,
    *,
    crf: int,
    codec: SoundCodec,
    ambisonic: bool = False,
    constant: bool = False,
    threads: int = 0,
) -> int:
    """Write (seconds, frame) pairs; see `write_frames`. `rate` is nominal: the times count."""
    first = next(timed, None)
    if first is None:
        raise ValueError("frames is empty; give at least one frame")
    with (
        atomic_path(target) as temporary,
        open_output(temporary, 48000 if audio is None else coded_rate_hz(audio.rate_hz, codec)) as container,
    ):
        writer = _PictureWriter(container, first[1], rate, crf, threads)
        sound = None if audio is None else SoundTrack(container, audio, codec, ambisonic)
        for time_s, frame in itertools.chain([first], timed):
            writer.write(round(time_s * _TICKS_HZ), frame)
            if sound is not None:
                sound.advance(time_s)
        if duration_s is None and constant:
            duration_s = float((writer.count + 1) / rate)
        last_s = writer.finish(duration_s)
        if sound is not None:
            sound.finish(last_s)
    return writer.count


class _PictureWriter:
    """Holds one frame back, because a frame's duration is known only when the next one arrives."""

    def __init__(
        self, container: OutputContainer, first: np.ndarray, rate: Fraction, crf: int, threads: int
    ) -> None:
        _check_frame(first, None)
        self._shape = first.shape
        height, width = first.shape[0] + first.shape[0] % 2, first.shape[1] + first.shape[1] % 2
        # Without B-frames decoding order is showing order: only then does mp4 store the length of the last frame.
        options = {"crf": str(crf), "preset": "veryfast", "bf": "0"}
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = threads
        context.time_base = Fraction(1, _TICKS_HZ)
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        self._container, self._stream, self._reformatter = container, stream, VideoReformatter()
        self._pending: tuple[int, np.ndarray] | None = None
        self._nominal_ticks = round(_TICKS_HZ / rate)
        self._step_ticks: int | None = None
        self._lengths: dict[int, int] = {}
        self.count = 0

    def write(self, ticks: int, frame: np.ndarray) -> None:
        _check_frame(frame, self._shape)
        if self._pending is not None:
            self._step_ticks = ticks - self._pending[0]
            if self._step_ticks <= 0:
                raise ValueError(
                    f"times_s has {ticks / _TICKS_HZ:.6f} s after {self._pending[0] / _TICKS_HZ:.6f} s; "
                    "times must ascend by at least 1/90000 s"
                )
            self._encode(*self._pending, self._step_ticks)
        self._pending = (ticks, frame)

    def finish(self, duration_s: float | None) -> float:
        """Encode the held frame and return the end of the picture in seconds."""
        assert self._pending is not None
        start = self._pending[0]
        length = self._step_ticks or self._nominal_ticks
        if duration_s is not None:
            length = round(duration_s * _TICKS_HZ) - start
            if length <= 0:
                raise ValueError(
                    f"duration_s is {duration_s} but the last frame appears at {start / _TICKS_HZ:.6f} s; "
                    "give a longer duration"
                )
        self._encode(*self._pending, length)
        self._mux(None)
        return duration_s if duration_s is not None else (start + length) / _TICKS_HZ

    def _encode(self, ticks: int, frame: np.ndarray, length: int) -> None:
        pad = [(0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)]
        even = np.pad(frame, pad, mode="edge") if pad[0][1] or pad[1][1] else np.ascontiguousarray(frame)
        picture = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(even, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        picture.pts, picture.time_base = ticks, Fraction(1, _TICKS_HZ)
        self._lengths[ticks] = length
        self._mux(picture)
        self.count += 1

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            # The encoder gives every frame the nominal length; the last one's decides where the film ends.
            packet.duration = self._lengths.pop(packet.pts)
            self._container.mux(packet)


def _check_frame(frame: np.ndarray, shape: tuple[int, ...] | None) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(
            f"a frame has shape {frame.shape} and type {frame.dtype}; give uint8 (height, width, 3)"
        )
    if shape is not None and frame.shape != shape:
        raise ValueError(f"a frame has shape {frame.shape} after frames of {shape}; give frames of one size")


def _rate(rate_hz: float | None) -> Fraction:
    return Fraction(30) if rate_hz is None else Fraction(rate_hz).limit_denominator(1001)


def _timed(
    frames: Iterable[np.ndarray], rate_hz: float | None, times_s: Iterable[float] | None
) -> Iterator[tuple[float, np.ndarray]]:
    if times_s is not None:
        yield from zip(times_s, frames, strict=True)
        return
    rate = _rate(rate_hz)
    for index, frame in enumerate(frames):
        yield float(index / rate), frame
