"""Where the frames of a video come from: a file, or an array in memory. Both give them with their times."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from av.video.frame import VideoFrame

from spatialfoley.media.container import open_media, picture_stream, seek_before
from spatialfoley.media.errors import MediaError
from spatialfoley.media.picture_timing import PictureTiming


class FrameSource(Protocol):
    """Where frames come from; times are seconds after the first frame of the whole source."""

    @property
    def pixel_aspect(self) -> float:
        """Width of a stored pixel over its height."""

    def frames_from(self, time_s: float) -> Iterator[tuple[float, VideoFrame]]:
        """Yield (seconds, frame) in showing order, the first one not after `time_s` where there is one."""

    def frame_times(self, from_s: float, to_s: float) -> Iterator[float]:
        """Yield time stamps in any order: at least all between the two times."""


@dataclass(frozen=True)
class FileSource:
    """Frames of a file, opened anew for every pass."""

    path: Path
    timing: PictureTiming
    pixel_aspect: float

    def frames_from(self, time_s: float) -> Iterator[tuple[float, VideoFrame]]:
        """Yield (seconds, frame) in showing order, from the key frame before `time_s` on."""
        with closing(open_media(self.path)) as container:
            stream = picture_stream(container, self.path)
            stream.thread_type = "AUTO"
            try:
                if time_s > 0:
                    seek_before(container, stream, time_s + self.timing.origin_s)
                frames = self._timed(container.decode(stream))
                first = next(frames, None)
                if time_s > 0 and (first is None or first[0] > time_s):
                    container.seek(0)  # formats with a poor index land too late: read from the start
                    frames = self._timed(container.decode(stream))
                elif first is not None:
                    yield first
                yield from frames
            except av.FFmpegError as error:
                raise MediaError(
                    f"{self.path} cannot be decoded to its end ({error.strerror}); copy or convert it again"
                ) from error

    def _timed(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[float, VideoFrame]]:
        for frame in frames:
            if frame.pts is not None:
                yield frame_time_s(frame) - self.timing.origin_s, frame

    def frame_times(self, from_s: float, to_s: float) -> Iterator[float]:
        """Yield time stamps in decoding order: at least all between the two times."""
        with closing(open_media(self.path)) as container:
            stream = picture_stream(container, self.path)
            if from_s > 0:
                seek_before(container, stream, from_s + self.timing.origin_s)
            for packet in container.demux(stream):
                shown = packet.dts if packet.pts is None else packet.pts
                if shown is None or packet.size == 0:
                    continue
                if packet.dts is not None and packet.dts * packet.time_base > to_s + self.timing.origin_s:
                    return
                if not packet.is_discard:
                    yield float(shown * packet.time_base) - self.timing.origin_s


@dataclass(frozen=True)
class MemorySource:
    """Frames of a uint8 RGB array (T, H, W, 3) at a constant rate."""

    frames: np.ndarray
    rate_hz: float
    pixel_aspect: float = 1.0

    def frames_from(self, time_s: float) -> Iterator[tuple[float, VideoFrame]]:
        """Yield (seconds, frame) in showing order."""
        for index in range(max(0, int(time_s * self.rate_hz) - 1), len(self.frames)):
            yield index / self.rate_hz, VideoFrame.from_ndarray(self.frames[index], format="rgb24")

    def frame_times(self, from_s: float, to_s: float) -> Iterator[float]:
        """Yield the time of every frame."""
        return (index / self.rate_hz for index in range(len(self.frames)))


@dataclass(frozen=True)
class FasterSource:
    """Frames of another source on a clock that runs `factor` times as fast."""

    source: FrameSource
    factor: float

    @property
    def pixel_aspect(self) -> float:
        """Width of a stored pixel over its height."""
        return self.source.pixel_aspect

    def frames_from(self, time_s: float) -> Iterator[tuple[float, VideoFrame]]:
        """Yield (seconds, frame) in showing order, the first one not after `time_s` where there is one."""
        for shown_s, frame in self.source.frames_from(time_s * self.factor):
            yield shown_s / self.factor, frame

    def frame_times(self, from_s: float, to_s: float) -> Iterator[float]:
        """Yield time stamps in any order: at least all between the two times."""
        times_s = self.source.frame_times(from_s * self.factor, to_s * self.factor)
        return (time_s / self.factor for time_s in times_s)


def first_frame(container: Any, stream: Any, path: Path) -> VideoFrame:
    """Decode the first frame that has a time stamp.

    Raises:
        MediaError: there is none, or it cannot be decoded.
    """
    try:
        for frame in container.decode(stream):
            if frame.pts is not None:
                return frame
    except av.FFmpegError as error:
        raise MediaError(
            f"{path} has a picture that cannot be decoded ({error.strerror}); convert it to mp4 (H.264)"
        ) from error
    raise MediaError(f"{path} has a video stream without a single whole frame; copy or convert it again")


def frame_time_s(frame: VideoFrame) -> float:
    """Time stamp of a frame in seconds on its file's own clock."""
    if frame.pts is None or frame.time_base is None:
        raise MediaError("a frame has no time stamp; convert the video to mp4 (H.264)")
    return float(frame.pts * frame.time_base)
