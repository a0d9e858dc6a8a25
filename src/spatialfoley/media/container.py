"""Opening media files: every way in which a file is unusable becomes one sentence."""

import os
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from spatialfoley.media.errors import MediaError

DECODE_THREADS = "SPATIALFOLEY_DECODE_THREADS"
"""Variable of the environment: threads of each picture decoder; 0 or not set: as many as FFmpeg chooses."""

# FFmpeg opens plain text as a scrolling terminal and pictures as films of one frame.
_TEXT_FORMATS = {"tty"}
_STILL_FORMATS = ("image2", "_pipe")


def open_media(path: str | Path) -> InputContainer:
    """Open `path` for reading; the caller closes it.

    Raises:
        MediaError: the file is missing, a folder, empty, no media file, or its header is cut off.
    """
    source = Path(path)
    if source.is_dir():
        raise MediaError(f"{source} is a folder; give the path of a media file")
    if not source.exists():
        raise MediaError(f"{source} does not exist; check the path")
    if source.stat().st_size == 0:
        raise MediaError(f"{source} is empty (0 bytes); copy or download it again")
    try:
        # Absolute: FFmpeg takes the part before a colon in a relative name for a protocol.
        container = av.open(str(source.absolute()), metadata_errors="replace")
    except PermissionError as error:
        raise MediaError(f"{source} cannot be read; allow reading it or copy it elsewhere") from error
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{source} is not a media file that can be opened, or it is truncated "
            f"({getattr(error, 'strerror', None) or error}); copy it again or convert it to mp4"
        ) from error
    if container.format.name in _TEXT_FORMATS:
        container.close()
        raise MediaError(f"{source} is a text file, not a video; give an mp4, mov, mkv or webm file")
    return container


def picture_stream(container: InputContainer, path: str | Path) -> VideoStream:
    """Return the first stream that is a moving picture: neither a cover image nor a thumbnail.

    Raises:
        MediaError: there is none, or the file is a still picture.
    """
    if container.format.name.endswith(_STILL_FORMATS[1]) or container.format.name == _STILL_FORMATS[0]:
        raise MediaError(f"{path} is a still picture, not a video; give a file with at least two frames")
    no_picture = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [s for s in container.streams.video if not s.disposition & no_picture]
    if not moving:
        found = sorted({str(stream.type) for stream in container.streams})
        if found in ([], ["data"]):  # what FFmpeg makes of an mp4 whose header is cut off
            raise MediaError(
                f"{path} is truncated or holds neither picture nor sound; copy or download it again"
            )
        raise MediaError(
            f"{path} has no picture, only {' and '.join(found)}; give a file with a video stream"
        )
    stream: Any = moving[0]
    if stream.codec_context is None or not stream.width or not stream.height:
        raise MediaError(f"{path} has a video stream that cannot be decoded; convert it to mp4 (H.264)")
    stream.codec_context.thread_count = decode_threads()
    return stream


def decode_threads() -> int:
    """Threads of each picture decoder; they change how long decoding takes and nothing else.

    Raises:
        ValueError: the environment says something that is no number of threads.
    """
    said = os.environ.get(DECODE_THREADS) or "0"
    if not said.isdecimal():
        raise ValueError(
            f"{DECODE_THREADS} is {said!r}; give a number of threads, or 0 for as many as FFmpeg chooses"
        )
    return int(said)


def seek_before(container: InputContainer, stream: VideoStream, file_time_s: float) -> None:
    """Go to a key frame at or before `file_time_s` (seconds on the file's own clock)."""
    # Seeking goes by decoding time, which with B-frames lies a few frames before showing time.
    early_s = file_time_s - 0.5
    try:
        container.seek(int(early_s / (stream.time_base or 1)), stream=stream, backward=True)
    except av.FFmpegError:
        container.seek(0)  # formats without an index: start over and read forward
