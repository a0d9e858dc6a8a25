"""The picture and the sound of one clip, opened for encoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.dataset.factory.reader import Clip
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.preparing import LENGTH_SLACK_S
from spatialfoley.media.audio import fit_length, read_audio, resample
from spatialfoley.media.video import Video, read_video
from spatialfoley.spatial.direction import Direction
from spatialfoley.timeline import sample_count

FRONT = Direction(0.0)


MONO_ROLES = ("foa", "binaural", "stereo", "mono")
"""Sounds that one channel is made of: the first that a clip has."""


def mono_roles(record: Record) -> tuple[str, ...]:
    """The sound that one channel is made of; none where there is no sound."""
    return next(((role,) for role in MONO_ROLES if role in record.files), ())


def clip_duration_s(record: Record) -> float:
    """Length of a clip.

    Raises:
        ValueError: Nothing says how long it is.
    """
    duration_s = record.facts.get("duration_s")
    if not isinstance(duration_s, int | float) or not duration_s > 0:
        raise ValueError(
            f"clip {record.id} has duration_s {duration_s!r} among its facts; a stage that cuts clips, such as "
            "ytambigen_clips, states it"
        )
    return float(duration_s)


def camera_of(record: Record) -> Direction:
    """Where the middle of a clip's picture lies in its field: in front of one that was turned with the camera."""
    if record.facts.get("field_frame", "world") == "camera":
        return FRONT
    return Direction(
        float(record.facts.get("azimuth_deg", 0.0)), float(record.facts.get("elevation_deg", 0.0))
    )


class ClipFiles:
    """Files of a clip; each is read when an encoder asks for it.

    Args:
        record: The clip.
        paths: Its files by role.
    """

    def __init__(self, record: Record, paths: Mapping[str, Path]) -> None:
        self.record = record
        self.paths = paths
        self.duration_s = clip_duration_s(record)

    @cached_property
    def view(self) -> Video:
        """What the camera sees."""
        return read_video(self.path("view"))

    def path(self, role: str) -> Path:
        """The file of a role.

        Raises:
            ValueError: The clip has none.
        """
        if role not in self.paths:
            raise ValueError(
                f"clip {self.record.id} has no file {role!r}; build the set with a stage that makes it"
            )
        return self.paths[role]

    def sound(self, role: str, rate_hz: int) -> np.ndarray:
        """The sound of a role (C, N) at a rate, exactly as long as the clip.

        Raises:
            ValueError: It ends before the clip does.
        """
        audio = read_audio(self.path(role))
        return self._fitted(role, audio.samples, audio.rate_hz, rate_hz)

    def one_channel(self, rate_hz: int) -> np.ndarray:
        """The sound as one channel (1, N): W of a field, the mean of others.

        Raises:
            ValueError: There is none, or it ends before the clip does.
        """
        role = next((role for role in mono_roles(self.record) if role in self.paths), MONO_ROLES[0])
        audio = read_audio(self.path(role))
        one = audio.samples[[W]] if audio.layout == "foa" else audio.samples.mean(axis=0, keepdims=True)
        return self._fitted(role, one, audio.rate_hz, rate_hz)

    def _fitted(self, role: str, samples: np.ndarray, from_hz: int, rate_hz: int) -> np.ndarray:
        samples = resample(samples, from_hz, rate_hz)
        length = sample_count(self.duration_s, rate_hz)
        if samples.shape[1] < length - LENGTH_SLACK_S * rate_hz:
            raise ValueError(
                f"the {role} of clip {self.record.id} lasts {samples.shape[1] / rate_hz:.2f} s, the clip "
                f"{self.duration_s:g} s; build it again"
            )
        return fit_length(samples, length)


@contextmanager
def opened(clip: Clip, roles: Sequence[str]) -> Iterator[ClipFiles]:
    """The files of a clip out of its shard, for as long as the block lasts.

    Args:
        clip: Of a built set.
        roles: The files that are needed; those that it lacks are missed when they are asked for.
    """
    with TemporaryDirectory(prefix="spatialfoley-") as folder:
        paths = {}
        for role in roles:
            if role in clip.members:
                # Readers choose the format by the ending.
                paths[role] = Path(folder) / clip.members[role].name
                paths[role].write_bytes(clip.read(role))
        yield ClipFiles(clip.record, paths)
