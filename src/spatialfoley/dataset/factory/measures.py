"""Figures of the clips of a set: from their facts, and from their sound."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from spatialfoley.conventions import W
from spatialfoley.dataset.factory.loudness import loudness_lufs
from spatialfoley.dataset.factory.reader import Clip, Member, read_member, read_members
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import seed_of
from spatialfoley.spatial.direction import angle_between_deg, angles_deg, unit_vectors
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_direction

FloatArray = npt.NDArray[np.float64]

CELL_DEG = 10.0
_MOST_PATHS = 120
_PATH_POINTS = 33
_SILENCE_DB = -120.0
_LEAST_CONTENT = 0.1
"""Share of a clip's time from which a label of a tagger counts as heard."""


@dataclass
class Figures:
    """What was measured of clips; two of them add up.

    Attributes:
        clips: Number of clips.
        values: "duration_s", "loudness_lufs", "level_db", "peak_db", "view_to_peak_deg": one number per clip that
            has it.
        views: Where pictures look when they begin: azimuth and elevation in degrees, shape (N, 2).
        peaks: Where sound is loudest, the same.
        paths: Of cameras that turn, at most 120 of the set, drawn by their ids: (draw, path of shape (P, 3)).
        labels: Clips that have a label, by vocabulary.
        unread: Clips whose sound could not be read or that have none, by why.
    """

    clips: int = 0
    values: dict[str, list[float]] = field(default_factory=dict)
    views: list[tuple[float, float]] = field(default_factory=list)
    peaks: list[tuple[float, float]] = field(default_factory=list)
    paths: list[tuple[int, FloatArray]] = field(default_factory=list)
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Take in other figures."""
        self.clips += other.clips
        for name, numbers in other.values.items():
            self.values.setdefault(name, []).extend(numbers)
        self.views += other.views
        self.peaks += other.peaks
        self.paths = sorted(self.paths + other.paths, key=lambda drawn: drawn[0])[:_MOST_PATHS]
        for vocabulary, counts in other.labels.items():
            self.labels.setdefault(vocabulary, Counter()).update(counts)
        self.unread.update(other.unread)

    def keep(self, name: str, value: float) -> None:
        """A number of a clip."""
        self.values.setdefault(name, []).append(value)


def measure_shard(job: tuple[Path, bool]) -> Figures:
    """Figures of all clips of a shard; with their sound where the second of the job is true."""
    path, with_sound = job
    found = Figures()
    for members in read_members(path).values():
        record = Record.from_json(read_member(path, members[""]).decode())
        clip = Clip(record, path, {role: member for role, member in members.items() if role})
        found.add(measure_clip(clip, with_sound))
    return found


def measure_clip(clip: Clip, with_sound: bool = True) -> Figures:
    """Figures of one clip."""
    facts, found = clip.record.facts, Figures(clips=1)
    if "duration_s" in facts:
        found.keep("duration_s", float(facts["duration_s"]))
    peak = _told_peak(facts)
    if with_sound:
        heard = _measure_sound(clip.members, clip, found)
        # In a field that turns with the camera directions are those of the camera.
        if peak is None and heard is not None and facts.get("field_frame", "world") == "world":
            peak = heard
    path = camera_path(facts)
    if path is not None:
        found.views.append(_angles(path[0]))
        if len(path) > 1:
            found.paths.append((seed_of("path", clip.id), path))
    if peak is not None:
        found.peaks.append(_angles(peak))
        if path is not None:
            found.keep("view_to_peak_deg", float(angle_between_deg(path[0], peak)))
    for vocabulary, labels in labels_of(facts).items():
        found.labels[vocabulary] = Counter(labels)
    return found


def camera_path(facts: Mapping[str, Any]) -> FloatArray | None:
    """Where a clip's picture looks, unit vectors of shape (P, 3); one for a fixed camera, None where unknown."""
    camera = facts.get("camera")
    if isinstance(camera, Mapping):
        times_s = np.asarray(camera["time_s"], float)
        at_s = np.linspace(times_s[0], times_s[-1], _PATH_POINTS) if len(times_s) > 1 else times_s
        yaw_deg, pitch_deg = (np.interp(at_s, times_s, camera[name]) for name in ("yaw_deg", "pitch_deg"))
        path = unit_vectors(yaw_deg, pitch_deg)
        return path if np.ptp(path, axis=0).max() > 1e-9 else path[:1]
    if "azimuth_deg" in facts and "elevation_deg" in facts:
        return unit_vectors([float(facts["azimuth_deg"])], [float(facts["elevation_deg"])])
    return None


def labels_of(facts: Mapping[str, Any]) -> dict[str, set[str]]:
    """Labels of a clip by vocabulary: facts "labels" ({"audioset": [...]}), "content" of a tagger, "classes"."""
    found: dict[str, set[str]] = {}
    labels, content = facts.get("labels"), facts.get("content")
    if isinstance(labels, Mapping):
        found |= {str(vocabulary): set(map(str, names)) for vocabulary, names in labels.items()}
    if isinstance(content, Mapping):
        tagger = str(facts.get("content_tagger", "content"))
        found[tagger] = {str(name) for name, share in content.items() if share >= _LEAST_CONTENT}
    if isinstance(facts.get("classes"), list):
        found["world"] = set(map(str, facts["classes"]))
    return found


def _measure_sound(members: Mapping[str, Member], clip: Clip, found: Figures) -> FloatArray | None:
    """Levels of a clip's sound; where it is loudest, if it is a field."""
    role = next((role for role in ("foa", "binaural") if role in members), None)
    if role is None:
        found.unread["no sound in the clip"] += 1
        return None
    try:
        interleaved, rate_hz = soundfile.read(io.BytesIO(clip.read(role)), always_2d=True)
    except (soundfile.LibsndfileError, ValueError) as problem:
        found.unread[f"{role} cannot be read: {type(problem).__name__}"] += 1
        return None
    samples = interleaved.T
    told = samples[:1] if role == "foa" else samples
    found.keep("loudness_lufs", loudness_lufs(told, rate_hz))
    found.keep("level_db", _decibels(float(np.sqrt(np.mean(told**2)))))
    found.keep("peak_db", _decibels(float(np.abs(told).max(initial=0.0))))
    if role != "foa" or len(samples) != 4 or not np.abs(samples[W]).max(initial=0.0):
        return None
    return peak_direction(energy_map(covariance(samples))).vector()


def _told_peak(facts: Mapping[str, Any]) -> FloatArray | None:
    if "peak_azimuth_deg" not in facts or facts["peak_azimuth_deg"] is None:
        return None
    return unit_vectors(float(facts["peak_azimuth_deg"]), float(facts["peak_elevation_deg"]))


def _angles(vector: FloatArray) -> tuple[float, float]:
    azimuth_deg, elevation_deg = angles_deg(vector)
    return float(azimuth_deg), float(elevation_deg)


def _decibels(amplitude: float) -> float:
    return 20 * np.log10(amplitude) if amplitude > 10 ** (_SILENCE_DB / 20) else _SILENCE_DB
