"""When the picture of a file starts and ends, measured from its own time stamps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from spatialfoley.media.errors import MediaError

_TAIL_S = 10.0
_TRUNCATED_S = 1.0


@dataclass(frozen=True)
class PictureTiming:
    """Start and end of the picture on the container's clock.

    `origin_s` is the time stamp of the first shown frame, `end_s` that of the last one plus its duration.
    Time zero of everything in this project is `origin_s`.
    """

    origin_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame's appearance to the last one's end."""
        return self.end_s - self.origin_s


def measure_timing(
    container: InputContainer, stream: VideoStream, origin_s: float, path: Path
) -> PictureTiming:
    """Measure where the picture ends, reading only the tail of the file where the container can seek.

    The duration in a header is wrong often enough (longer sound, edit lists, cut downloads): it serves to
    find the tail and to notice that the file is cut off, never as the answer.

    Raises:
        MediaError: the file ends long before its header says.
    """
    _refuse_missing_bytes(stream, path)
    declared_s = _declared_end_s(container, stream)
    picture_end_s, any_end_s = None, None
    if declared_s is not None:
        picture_end_s, any_end_s = _last_times(container, stream, max(origin_s, declared_s - _TAIL_S))
    if picture_end_s is None:
        picture_end_s, any_end_s = _last_times(container, stream, None)
    if picture_end_s is None or any_end_s is None:
        raise MediaError(f"{path} has a video stream without a single frame; copy or convert it again")
    if container.duration is not None:
        container_end_s = (container.start_time or 0) / av.time_base + container.duration / av.time_base
        if any_end_s < container_end_s - max(_TRUNCATED_S, 0.02 * container_end_s):
            raise MediaError(
                f"{path} is truncated: its header promises {container_end_s - origin_s:.2f} s but the data "
                f"end at {any_end_s - origin_s:.2f} s; copy or download it again"
            )
    return PictureTiming(origin_s, picture_end_s)


def _refuse_missing_bytes(stream: VideoStream, path: Path) -> None:
    """A file cut behind its index (mp4 prepared for streaming) lists frames that lie behind its last byte."""
    entries = stream.index_entries
    if len(entries) == 0:
        return
    last: Any = entries[len(entries) - 1]
    size_bytes = path.stat().st_size
    if last.pos + last.size > size_bytes:
        raise MediaError(
            f"{path} is truncated: it needs at least {last.pos + last.size} bytes but has {size_bytes}; "
            "copy or download it again"
        )


def _declared_end_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if container.duration is not None:
        return (container.start_time or 0) / av.time_base + container.duration / av.time_base
    return None


def _last_times(
    container: InputContainer, stream: VideoStream, from_s: float | None
) -> tuple[float | None, float | None]:
    """End of the picture and of the longest stream, in seconds, from the packets after `from_s`."""
    time_base = float(stream.time_base or 1)
    try:
        container.seek(0 if from_s is None else int(from_s / time_base), stream=stream, backward=True)
    except av.FFmpegError:
        container.seek(0)
    ends: dict[int, float] = {}
    starts: list[tuple[float, float]] = []
    try:
        for packet in container.demux():
            shown = packet.dts if packet.pts is None else packet.pts
            if shown is None or packet.is_discard or packet.size == 0:
                continue
            start_s = float(shown * packet.time_base)
            duration_s = float((packet.duration or 0) * packet.time_base)
            ends[packet.stream_index] = max(ends.get(packet.stream_index, start_s), start_s + duration_s)
            if packet.stream_index == stream.index:
                starts = sorted([*starts, (start_s, duration_s)])[-2:]
    except av.FFmpegError:
        pass  # a damaged tail: what was readable decides, and the caller compares it with the header
    if not starts:
        return None, max(ends.values(), default=None)
    last_s, last_duration_s = starts[-1]
    if last_duration_s <= 0:  # not stored (Matroska): the frame before, or the average rate, tells
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        last_duration_s = last_s - starts[0][0] if len(starts) == 2 else (1 / rate if rate else 0.0)
    end_s = last_s + last_duration_s
    return end_s, max(end_s, *ends.values())
