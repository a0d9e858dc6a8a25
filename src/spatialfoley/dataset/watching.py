"""What networks are shown of a finished clip: some of its frames, and its sound in one channel."""

from __future__ import annotations

import numpy as np

from spatialfoley import timeline
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Workspace
from spatialfoley.media.audio import read_audio, resample
from spatialfoley.media.video import read_video

SOUND_ROLES = ("binaural", "foa", "stereo", "mono")
"""Roles that a clip's sound can have, the most telling first."""


def clip_frames(record: Record, space: Workspace, role: str, rate_hz: float) -> np.ndarray:
    """Frames on screen, uint8 RGB (T, H, W, 3), from the beginning on at a rate.

    Raises:
        ValueError: The clip has no such picture.
        MediaError: It cannot be read.
    """
    picture = read_video(space.path(record.file(role)))
    times_s = timeline.frame_times_s(picture.duration_s, rate_hz)
    return picture.frames_at(times_s if len(times_s) else [0.0], crop=None)


def clip_mono(record: Record, space: Workspace, rate_hz: int | None = None) -> tuple[np.ndarray, int]:
    """The sound (N,) in one channel with its rate: W of a field, the mean of any other channels.

    Args:
        record: The clip.
        space: Where its files are.
        rate_hz: Wanted; None: its own.

    Raises:
        ItemProblem: It has no sound.
        MediaError: It cannot be read.
    """
    role = next((role for role in SOUND_ROLES if role in record.files), None)
    if role is None:
        raise ItemProblem(
            "missing", f"record {record.id} has none of {', '.join(SOUND_ROLES)}; clips have one"
        )
    sound = read_audio(space.path(record.file(role)))
    mono = sound.samples[:1] if role == "foa" else sound.samples.mean(axis=0, keepdims=True)
    wanted = rate_hz or sound.rate_hz
    return resample(mono, sound.rate_hz, wanted)[0], wanted
