"""Scores of sound against its picture: DeSync, and agreement by a plug-in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.networks.synchformer_pair import SyncScorer
from spatialfoley.features.frame_choice import published_frame_indices
from spatialfoley.media.video import read_video
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.weights.agreement import AgreementScorer, load_plugin

AGREEMENT_RATE_HZ = 8.0
AGREEMENT_SIDE_PX = 256
VIDEO_ENDINGS = (".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v")


class PictureScorer(Protocol):
    """Scores one sound against one video.

    Attributes:
        key: Of the score.
        weights_sha256: Of the network.
    """

    key: str
    weights_sha256: str

    def __call__(self, video: Path, sound: SpatialAudio) -> float:
        """The score of a clip.

        Args:
            video: The clip's video; of a longer one the first part, as long as the sound.
            sound: One channel.

        Raises:
            ValueError: The score is not defined for the clip.
        """
        ...


class Desync:
    """DeSync of clips by Synchformer; what it saw in the last video is kept for the next sound."""

    key = "desync_s"

    def __init__(self, scorer: SyncScorer) -> None:
        self.scorer, self.weights_sha256 = scorer, scorer.weights_sha256
        self._frames = _LastFrames(
            lambda path, duration_s: frames_for_network(
                path, duration_s, scorer.frame_rate_hz, scorer.size_px
            )
        )

    def __call__(self, video: Path, sound: SpatialAudio) -> float:
        """Mean absolute offset in seconds of the first and the last 14 segments."""
        return self.scorer(self._frames(video, sound.duration_s), sound.samples[0], sound.rate_hz).mean_abs_s


class Agreement:
    """Cosine of picture and sound by a plug-in, such as the IB-Score."""

    def __init__(self, scorer: AgreementScorer) -> None:
        self.key, self.scorer, self.weights_sha256 = "agreement", scorer, scorer.weights_sha256
        self._frames = _LastFrames(
            lambda path, duration_s: frames_for_network(
                path, duration_s, AGREEMENT_RATE_HZ, AGREEMENT_SIDE_PX, False
            )
        )

    def __call__(self, video: Path, sound: SpatialAudio) -> float:
        """Cosine from -1 to 1."""
        frames = self._frames(video, sound.duration_s)
        return self.scorer(frames, AGREEMENT_RATE_HZ, sound.samples[0], sound.rate_hz)


def load_picture_scorer(name: str, show: Callable[[str], None], device: str = "cpu") -> PictureScorer:
    """A scorer by name: "synchformer", "synchformer:FILE", or "agreement:PLUGIN".

    Args:
        name: Which.
        show: Gets the licence line of a plug-in before it is loaded.
        device: Where to run.

    Raises:
        ValueError: It is unknown, or its weights are missing.
    """
    kind, _, choice = name.partition(":")
    if kind == "synchformer":
        return Desync(SyncScorer.load(Path(choice) if choice else "synchformer", device))
    if kind == "agreement" and choice:
        return Agreement(load_plugin(choice, show, device))
    raise ValueError(
        f"scorer of pictures is {name!r}; it must be synchformer, synchformer:FILE or agreement:PLUGIN"
    )


def video_of(folder: Path, name: str) -> Path | None:
    """The video of a clip in a folder; None without one."""
    return next((path for ending in VIDEO_ENDINGS if (path := folder / f"{name}{ending}").is_file()), None)


def frames_for_network(
    path: Path, duration_s: float, rate_hz: float, side_px: int, square: bool = True
) -> NDArray[np.uint8]:
    """Frames of a video from its start, chosen by the published code's clock.

    Args:
        path: The video.
        duration_s: How much of it.
        rate_hz: Frames per second.
        side_px: Side of the middle square, or of the short side where the whole frame is kept.
        square: Whether only the middle square is kept.

    Returns:
        uint8 RGB (T, H, W, 3).
    """
    video = read_video(path)
    times_s = video.frame_times_s()
    times_s = np.maximum(times_s[published_frame_indices(np.maximum(times_s, 0.0), rate_hz, duration_s)], 0.0)
    if square:
        return video.frames_at(times_s, side_px, "center-square")
    scale = side_px / min(video.height, video.width)
    size_px = (round(video.height * scale), round(video.width * scale))
    return video.frames_at(times_s, size_px, None)


class _LastFrames:
    """Frames of the video that was asked for last."""

    def __init__(self, read: Callable[[Path, float], NDArray[np.uint8]]) -> None:
        self._read = read
        self._known: tuple[Path, float] | None = None
        self._frames: NDArray[np.uint8] | None = None

    def __call__(self, path: Path, duration_s: float) -> NDArray[np.uint8]:
        if self._frames is None or self._known != (path, duration_s):
            self._frames, self._known = self._read(path, duration_s), (path, duration_s)
        return self._frames
