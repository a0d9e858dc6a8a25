"""Exact captions of clips of the synthetic world, from what is known of their scenes.

They have the form of BiAudio's, so that what is trained with text can be trained and tested without any model that
writes captions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from spatialfoley.dataset.biaudio.trajectories import camera_of
from spatialfoley.dataset.captions import BiaudioCaption
from spatialfoley.spatial.direction import CameraPose
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.world import TRAIN_SEEDS, Scene, make_scene, render_source_signals
from spatialfoley.world.truth import LEVEL_RATE_HZ, short_time_level_db

PHRASES: Final[Mapping[str, str]] = {
    "ball": "ball bouncing",
    "bell": "bell ringing",
    "drum": "drum beating",
    "rotor": "rotor humming",
    "lamp": "lamp crackling",
    "bird": "bird chirping",
    "fountain": "fountain hissing",
    "metronome": "metronome ticking",
    "horn": "horn blowing",
}
"""What every class of the world is heard doing."""

STEPS_PER_S: Final = 20


@dataclass(frozen=True)
class Heard:
    """A source of a scene during a clip.

    Attributes:
        name: Its class.
        level_db: Its loudest 50 ms, re full scale.
        in_view: Share of the time while it sounds at which its centre is in the picture.
    """

    name: str
    level_db: float
    in_view: float


def heard_in_clip(facts: Mapping[str, Any], least_db: float) -> list[Heard]:
    """The sources of a clip of the world that sound in it, the loudest first.

    Args:
        facts: Of the clip: `seed`, `scene` and `start_s`, its camera (`camera`, or `azimuth_deg` and
            `elevation_deg`) and `fov_deg`. Without a camera the picture is a panorama, which shows everything.
        least_db: Quieter moments of a source do not count.

    Raises:
        KeyError: A fact is missing.
    """
    start_s, duration_s = float(facts.get("start_s", 0.0)), float(facts["duration_s"])
    moments_s = (np.arange(max(1, round(duration_s * STEPS_PER_S))) + 0.5) / STEPS_PER_S
    kind, length_s = facts["scene"]["kind"], float(facts["scene"]["duration_s"])
    scene, signals = _scene(TRAIN_SEEDS[int(facts["seed"])], kind, length_s)
    levels = short_time_level_db(signals, start_s + moments_s, LEVEL_RATE_HZ)
    heard = []
    for source, level in zip(scene.sources, levels, strict=True):
        sounding = level >= least_db
        if np.any(sounding):
            shown = _in_view(source.path.vectors_at(start_s + moments_s), moments_s, facts)
            heard.append(Heard(source.class_name, float(level.max()), float(shown[sounding].mean())))
    return sorted(heard, key=lambda source: (-source.level_db, source.name))


def caption_of(heard: list[Heard], least_in_view: float) -> BiaudioCaption | None:
    """The caption of what is heard, loudest first; None if that is nothing.

    Args:
        heard: The sources.
        least_in_view: Share of its sounding time that a source must be in the picture to be visible.
    """
    if not heard:
        return None
    visible = [PHRASES[source.name] for source in heard if source.in_view >= least_in_view]
    hidden = [PHRASES[source.name] for source in heard if source.in_view < least_in_view]
    return BiaudioCaption(", ".join(visible), ", ".join(hidden))


@lru_cache(maxsize=4)
def _scene(seed: int, kind: Any, duration_s: float) -> tuple[Scene, np.ndarray]:
    """Scene and signals (S, N) of a recording: its clips follow each other."""
    scene = make_scene(seed, kind=kind, camera="static", duration_s=duration_s)
    return scene, render_source_signals(scene, LEVEL_RATE_HZ)


def _in_view(vectors: np.ndarray, moments_s: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    """Whether directions (T, 3) of the world are inside the clip's picture at its moments (T,), bool (T,)."""
    if "camera" in facts:
        camera = camera_of(facts["camera"])
    elif "azimuth_deg" in facts:
        camera = CameraTrajectory.static(CameraPose(facts["azimuth_deg"], facts["elevation_deg"]))
    else:
        return np.ones(len(moments_s), dtype=bool)
    seen = np.einsum("tji,tj->ti", camera.matrices_at(moments_s), vectors)
    reach = np.tan(np.deg2rad(float(facts["fov_deg"]) / 2)) * seen[:, 0]
    return np.all(np.abs(seen[:, 1:]) < reach[:, None], axis=1)
