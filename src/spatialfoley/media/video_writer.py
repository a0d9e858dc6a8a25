"""A video with new sound under it, from a file or from frames in memory."""

from itertools import tee
from pathlib import Path

from spatialfoley.media.frame_writer import write_frames
from spatialfoley.media.mux import mux
from spatialfoley.media.video import Video
from spatialfoley.spatial.signal import Sound


def write_video(path: str | Path, video: Video, audio: Sound) -> Path:
    """Write a video with new sound, cut or padded to the picture's length.

    The picture of a file is copied where its stretch allows it (``mux``); frames in memory are encoded.

    Args:
        path: file to write, ending in .mp4.
        video: from ``read_video`` or ``Video.from_frames``.
        audio: mono, stereo or binaural.

    Returns:
        The file that was written: a picture that mp4 does not allow changes .mp4 to .mkv.

    Raises:
        MediaError: the source cannot be used, or the target cannot be written.
    """
    if video.path is not None:
        return mux(video.path, audio, path, video.start_s, video.duration_s).path
    # The writer reads one time and one frame in turn, so that no more than one is held.
    timed, shown = tee(video.iterate_frames())
    times_s, frames = (time_s for time_s, _ in timed), (frame for _, frame in shown)
    write_frames(path, frames, audio=audio, times_s=times_s, duration_s=video.duration_s)
    return Path(path)
