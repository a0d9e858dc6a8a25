"""Recordings cut into clips: which, and their pictures in one pass over the video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley import timeline
from spatialfoley.dataset.factory.records import Record, clip_id
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace
from spatialfoley.kernels.panorama_view import PanoramaView
from spatialfoley.media.mux import write_frames
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.media.video import Video, read_video
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

LEAST_ASPECT, MOST_ASPECT = 1.9, 2.1
"""Width over height of what is taken for equirectangular; 640 × 322 exists."""

_PANORAMA_PX_PER_VIEW_PX = 2
_FRAMES_AT_ONCE = 8
_SLACK_S = 1e-6
_RECORDING_FACTS = ("duration_s", "rate_hz", "width", "height", "clips", "sound_duration_s")


@dataclass(frozen=True)
class Recording:
    """A 360° recording that clips are cut from.

    Attributes:
        record: What is known of it.
        picture: Its panorama, gone through once for all clips.
        sound: Its field.
    """

    record: Record
    picture: Video
    sound: SoundFile

    @property
    def duration_s(self) -> float:
        """Length of what both have."""
        return min(self.picture.duration_s, self.sound.duration_s)


@dataclass(frozen=True)
class Place:
    """A clip that is wanted.

    Attributes:
        start_s: Where it begins.
        asked: What the recording's list of clips says of it.
    """

    start_s: float
    asked: Mapping[str, Any]


def open_recording(record: Record, space: Workspace) -> Recording | Rejected:
    """Look at the files of a recording; rejected when its picture is not equirectangular.

    Raises:
        ItemProblem: A file is missing.
        MediaError: A file cannot be read.
    """
    for role, maker in (("panorama", "a source"), ("foa", "the stage take_foa")):
        if role not in record.files:
            raise ItemProblem("missing", f"record {record.id} has no {role}; {maker} gives it")
    picture = read_video(space.path(record.file("panorama"))).walked()
    aspect = picture.width / picture.height
    if not LEAST_ASPECT <= aspect <= MOST_ASPECT:
        return Rejected(
            "projection",
            f"its picture of {picture.width} x {picture.height} is not twice as wide as high: not equirectangular",
            {"width": picture.width, "height": picture.height},
        )
    return Recording(record, picture, SoundFile.open(space.path(record.file("foa")), "foa"))


def check_lengths(clip_s: float, hop_s: float) -> None:
    """Raise ValueError unless clips can have this length and distance."""
    for name, value in (("clip_s", clip_s), ("hop_s", hop_s)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} is {value:g}; give seconds above 0")


def places(recording: Recording, clip_s: float, hop_s: float) -> list[Place] | Rejected:
    """Which clips to cut: those that the fact "clips" lists, otherwise one every `hop_s`; only whole ones."""
    length_s = recording.duration_s + _SLACK_S
    listed = recording.record.facts.get("clips")
    if listed is None:
        count = max(0, math.floor((length_s - clip_s) / hop_s) + 1)
        found = [Place(number * hop_s, {}) for number in range(count)]
    else:
        inside = [entry for entry in listed if 0 <= entry["start_s"] <= length_s - clip_s]
        outside = [entry["start_s"] for entry in listed if entry not in inside]
        # A stage cannot reject a part of a record: those that were cut say which were not.
        said = {"clips_beyond_end": outside} if outside else {}
        found = [Place(float(entry["start_s"]), {**_without_start(entry), **said}) for entry in inside]
    if found:
        return found
    what = "a clip" if listed is None else "any of the listed clips"
    return Rejected(
        "short",
        f"it lasts {recording.duration_s:.2f} s, too short for {what} of {clip_s:g} s",
        {"duration_s": round(recording.duration_s, 3), "clip_s": clip_s},
    )


def cut(
    record: Record, space: Workspace, clip_s: float, hop_s: float, make: Callable[[Recording, Place], Record]
) -> Outcome:
    """All clips of a recording, or why there are none.

    Args:
        record: The recording.
        space: Where its files lie.
        clip_s: Length of a clip.
        hop_s: From clip to clip, where the recording lists none.
        make: Makes the clip at a place.
    """
    recording = open_recording(record, space)
    if isinstance(recording, Rejected):
        return recording
    found = places(recording, clip_s, hop_s)
    if isinstance(found, Rejected):
        return found
    return Passed(tuple(make(recording, place) for place in found))


def clip_record(recording: Recording, place: Place) -> Record:
    """The record of a clip without files: what is known of its recording, and where it begins."""
    record = recording.record
    facts = {name: value for name, value in record.facts.items() if name not in _RECORDING_FACTS}
    start_s = round(place.start_s, 6)
    return Record(
        clip_id(record.recording, start_s), record.recording, {}, {**facts, **place.asked, "start_s": start_s}
    )


def seen(
    recording: Recording,
    start_s: float,
    duration_s: float,
    camera: CameraTrajectory,
    view: PanoramaView,
    rate_hz: float | None = None,
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield what a camera sees during a clip: seconds after its beginning, and uint8 RGB.

    Panoramas much finer than the view are shrunk first: bilinear taps would skip pixels of them.

    Args:
        recording: Where from.
        start_s: Where the clip begins.
        duration_s: Its length.
        camera: Its movement, counted from the beginning of the clip.
        view: Takes the pictures.
        rate_hz: Frames per second; None: every frame of the recording at its own time.
    """
    picture = recording.picture
    stretch_s = min(duration_s, picture.duration_s - start_s)
    stretch = replace(picture, start_s=picture.start_s + start_s, duration_s=stretch_s)
    height = min(picture.height, _PANORAMA_PX_PER_VIEW_PX * view.shape[1]) // 2 * 2
    size = (height, 2 * height)
    shown = stretch.iterate_frames(size) if rate_hz is None else _sampled(stretch, size, duration_s, rate_hz)
    for time_s, panorama in shown:
        yield time_s, view.of(panorama, camera.pose_at(time_s))


def write_view(path: Path, shown: Iterator[tuple[float, np.ndarray]], duration_s: float, crf: int) -> None:
    """Write (seconds, frame) pairs as H.264; the same bytes whatever the number of cores."""
    timed, pictures = tee(shown)
    times_s, frames = (time_s for time_s, _ in timed), (frame for _, frame in pictures)
    write_frames(path, frames, times_s=times_s, duration_s=duration_s, crf=crf, threads=1)


def within_full_scale(audio: SpatialAudio) -> tuple[SpatialAudio, float]:
    """The sound, scaled as a whole where it is louder than full scale, and the gain in decibels."""
    if audio.peak <= 1.0:
        return audio, 0.0
    return audio.scaled(1.0 / audio.peak), round(-20.0 * math.log10(audio.peak), 3)


def _without_start(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "start_s"}


def _sampled(
    stretch: Video, size: tuple[int, int], duration_s: float, rate_hz: float
) -> Iterator[tuple[float, np.ndarray]]:
    times_s = timeline.frame_times_s(duration_s, rate_hz)
    for first in range(0, len(times_s), _FRAMES_AT_ONCE):
        some_s = times_s[first : first + _FRAMES_AT_ONCE]
        yield from zip(some_s.tolist(), stretch.frames_at(some_s, size, crop=None), strict=True)
