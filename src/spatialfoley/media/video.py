"""Videos as a clock: which picture is on the screen at second t, whatever the frame rate of the file."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from spatialfoley.media.container import open_media, picture_stream
from spatialfoley.media.errors import MediaError
from spatialfoley.media.frame_sources import (
    FasterSource,
    FileSource,
    FrameSource,
    MemorySource,
    first_frame,
    frame_time_s,
)
from spatialfoley.media.frame_walk import WalkedSource
from spatialfoley.media.picture_scaler import Crop, FrameSize, PictureScaler, displayed_size
from spatialfoley.media.picture_timing import measure_timing


@dataclass(frozen=True)
class Video:
    """A stretch of moving picture. Nothing is decoded before it is asked for, and nothing is kept.

    Attributes:
        path: the file, or None for frames in memory.
        start_s: where the stretch starts, in seconds after the first frame of the file.
        duration_s: its length in seconds; the last frame is on screen until the end.
        width: displayed width in pixels (square pixels, upright).
        height: displayed height in pixels.
        average_rate_hz: frames per second over the whole file.
        tolerance_s: how far a time stamp may be off, because files round it to their clock ticks.
        origin_s: time stamp of the first frame on the file's own clock; time zero of the other times.
    """

    path: Path | None
    start_s: float
    duration_s: float
    width: int
    height: int
    average_rate_hz: float
    _source: FrameSource = field(repr=False, compare=False)
    tolerance_s: float = field(repr=False, default=1e-6)
    origin_s: float = field(repr=False, default=0.0)

    @classmethod
    def from_frames(cls, frames: np.ndarray, rate_hz: float) -> "Video":
        """Make a video of uint8 RGB frames (T, H, W, 3) at a constant rate.

        Raises:
            ValueError: wrong shape or type, no frame, or a rate that is not positive.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
            raise ValueError(
                f"frames has shape {frames.shape} and type {frames.dtype}; give uint8 (T, height, width, 3) "
                "with T >= 1"
            )
        if not (math.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz is {rate_hz}; give frames per second above 0")
        height, width = frames.shape[1:3]
        duration_s = len(frames) / rate_hz
        return cls(None, 0.0, duration_s, width, height, float(rate_hz), MemorySource(frames, float(rate_hz)))

    @cached_property
    def frame_count(self) -> int:
        """Number of frames on screen at some moment of the stretch (reads time stamps, decodes nothing)."""
        return len(self.frame_times_s())

    def frame_times_s(self, from_s: float = 0.0, to_s: float | None = None) -> np.ndarray:
        """Return the appearance time of every frame, in seconds after `start_s`, ascending.

        The first is `from_s` or below: a frame that appeared before is still on screen then.

        Args:
            from_s: frames on screen from this time on, in seconds after `start_s`.
            to_s: up to this time; None: to the end.
        """
        begin_s = self.start_s + from_s
        end_s = self.start_s + (self.duration_s if to_s is None else min(to_s, self.duration_s))
        absolute = np.array(sorted(self._source.frame_times(begin_s, end_s)))
        if len(absolute) == 0 or absolute[0] > begin_s + self.tolerance_s:
            # Formats with a poor index land too late: read from the start.
            absolute = np.array(sorted(self._source.frame_times(0.0, end_s)))
        first = int(np.searchsorted(absolute, begin_s + self.tolerance_s, side="right")) - 1
        last = int(np.searchsorted(absolute, end_s - self.tolerance_s, side="left"))
        return absolute[max(first, 0) : last] - self.start_s

    def walked(self, most_open: int = 4) -> "Video":
        """The same video for many passes that move on through it, such as windows of a long clip.

        Args:
            most_open: how many ended passes stay open to be gone on with.
        """
        return replace(self, _source=WalkedSource(self._source, most_open))

    def sped_up(self, factor: float) -> "Video":
        """The same pictures on a clock that runs `factor` times as fast; below 1, slower.

        Raises:
            ValueError: the factor is not above 0.
        """
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"factor is {factor}; give a number above 0")
        return replace(
            self,
            start_s=self.start_s / factor,
            duration_s=self.duration_s / factor,
            average_rate_hz=self.average_rate_hz * factor,
            tolerance_s=self.tolerance_s / factor,
            _source=FasterSource(self._source, factor),
        )

    def frames_at(
        self,
        times_s: Sequence[float] | np.ndarray,
        size_px: FrameSize | None = None,
        crop: Crop | None = "center-square",
    ) -> np.ndarray:
        """Return the frames on screen at the given times.

        The frame on screen at t is the last one whose time stamp is not after t. The file is entered once and
        decoded forward; no more than the asked frames are held.

        Args:
            times_s: seconds after `start_s`, each in [0, duration_s], in any order.
            size_px: a side length, (height, width), or None for the displayed size.
            crop: "center-square" cuts the middle square; None keeps everything, squeezed into size_px.

        Returns:
            uint8 RGB, shape (T, height, width, 3).

        Raises:
            ValueError: a time outside the stretch, or a size that the crop cannot have.
            MediaError: the file stops decoding.
        """
        times = np.asarray(times_s, dtype=np.float64).reshape(-1)
        self._check_times(times)
        scaler = PictureScaler(self._source.pixel_aspect, _checked_size(size_px, crop), crop)
        order = np.argsort(times, kind="stable")
        out: np.ndarray | None = None
        for position, frame, is_new in self._frames_on_screen(times[order]):
            if is_new:
                picture = scaler.rgb(frame)
            if out is None:
                out = np.empty((len(times), *picture.shape), np.uint8)
            out[order[position]] = picture
        if out is None:
            raise ValueError("times_s is empty; give at least one time")
        return out

    def iterate_frames(
        self, size_px: FrameSize | None = None, crop: Crop | None = None
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (seconds after start_s, uint8 RGB (H, W, 3)) for each frame of the stretch, one at a time.

        A frame that appeared before the stretch and is still on screen comes first, with time 0.
        """
        scaler = PictureScaler(self._source.pixel_aspect, _checked_size(size_px, crop), crop)
        end_s = self.start_s + self.duration_s - self.tolerance_s
        held: tuple[float, VideoFrame] | None = None
        for time_s, frame in self._source.frames_from(self.start_s):
            if time_s >= end_s:
                break
            if held is not None and time_s > self.start_s + self.tolerance_s:
                yield max(0.0, held[0] - self.start_s), scaler.rgb(held[1])
            held = (time_s, frame)
        if held is not None:
            yield max(0.0, held[0] - self.start_s), scaler.rgb(held[1])

    def _frames_on_screen(self, ascending_s: np.ndarray) -> Iterator[tuple[int, VideoFrame, bool]]:
        """Yield (index of the time, frame, is another frame than before) for ascending times."""
        if len(ascending_s) == 0:
            return
        wanted = ascending_s + self.start_s + self.tolerance_s
        position = 0
        on_screen: VideoFrame | None = None
        for time_s, frame in self._source.frames_from(float(wanted[0])):
            is_new = True
            while on_screen is not None and position < len(wanted) and wanted[position] < time_s:
                yield position, on_screen, is_new
                position, is_new = position + 1, False
            on_screen = frame
            if position == len(wanted):
                return
        is_new = True
        while on_screen is not None and position < len(wanted):
            yield position, on_screen, is_new
            position, is_new = position + 1, False

    def _check_times(self, times: np.ndarray) -> None:
        slack_s = max(self.tolerance_s, 1e-6)
        bad = times[~((times >= -slack_s) & (times <= self.duration_s + slack_s))]
        if len(bad):
            raise ValueError(
                f"times_s has {bad[0]:.6g} s, outside [0, {self.duration_s:.6g}] s of "
                f"{self.path or 'the frames'}; ask for times inside the clip"
            )


def read_video(path: str | Path, start_s: float = 0.0, duration_s: float | None = None) -> Video:
    """Look at a video file and return the asked stretch of it; frames are decoded when asked for.

    Args:
        path: any file that FFmpeg reads; the first moving picture in it counts.
        start_s: start in seconds after the first frame.
        duration_s: length in seconds; None: to the end of the picture (not of the sound).

    Raises:
        MediaError: no such file, no picture, cut off, not decodable, or start_s/duration_s beyond its end.
    """
    source = Path(path)
    if not (math.isfinite(start_s) and start_s >= 0):
        raise MediaError(f"start_s is {start_s}; give seconds from 0 on")
    if duration_s is not None and not (math.isfinite(duration_s) and duration_s > 0):
        raise MediaError(f"duration_s is {duration_s}; give seconds above 0, or none for the whole video")
    with closing(open_media(source)) as container:
        stream = picture_stream(container, source)
        first = first_frame(container, stream, source)
        timing = measure_timing(container, stream, frame_time_s(first), source)
        pixel_aspect = _pixel_aspect(stream)
        rate_hz = float(stream.average_rate or stream.guessed_rate or 0)
        tick_s = float(stream.time_base or 0)
    if timing.duration_s <= 0:
        raise MediaError(
            f"{source} is too short: its picture lasts 0 s; give a video with at least one whole frame"
        )
    width, height = displayed_size(first, pixel_aspect)
    length_s = _window_s(source, timing.duration_s, start_s, duration_s)
    return Video(
        source,
        float(start_s),
        length_s,
        width,
        height,
        rate_hz or 1 / timing.duration_s,
        FileSource(source, timing, pixel_aspect),
        # Time stamps are rounded to ticks: a frame due at t may carry a stamp half a tick (and a bit) later.
        min(max(0.6 * tick_s, 1e-6), 6e-4),
        timing.origin_s,
    )


def _window_s(source: Path, whole_s: float, start_s: float, duration_s: float | None) -> float:
    if start_s >= whole_s:
        raise MediaError(
            f"start_s is {start_s:g} s but the picture of {source} lasts {whole_s:.3f} s; start earlier"
        )
    if duration_s is None:
        return whole_s - start_s
    if start_s + duration_s > whole_s + 1e-3:
        raise MediaError(
            f"start_s {start_s:g} s + duration_s {duration_s:g} s is beyond the end of {source}, whose "
            f"picture lasts {whole_s:.3f} s; ask for at most {whole_s - start_s:.3f} s"
        )
    return min(float(duration_s), whole_s - start_s)


def _pixel_aspect(stream: Any) -> float:
    aspect = stream.sample_aspect_ratio
    return float(aspect) if aspect else 1.0


def _checked_size(size_px: FrameSize | None, crop: Crop | None) -> FrameSize | None:
    if crop not in (None, "center-square"):
        raise ValueError(f"crop is {crop!r}; give 'center-square' or None")
    if size_px is None:
        return None
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    if height < 1 or width < 1:
        raise ValueError(f"size_px is {size_px}; give sides of at least 1 pixel")
    if crop == "center-square" and height != width:
        raise ValueError(f"size_px is {size_px} but crop is 'center-square'; make both sides equal")
    return int(height), int(width)
