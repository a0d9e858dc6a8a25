"""What the tiny models of this package train on, as arrays: pictures, sound, and what sounds where.

It takes clips as ``ytambigen_clips`` cuts them with ``size_px: 56, frame_rate_hz: 20, frames: npy``. Everything is
told from the camera: the field is turned to it.

What sounds where is known for scenes of the synthetic world, class by class. Of other recordings the sound itself
tells it, without classes: how loud it is, and from where it comes as long as one direction prevails. The tiny codec
and the tiny generator need no more; the tiny encoder learns from it when and where something sounds, not what it
is. The tiny flow models also read words and cannot be trained on such recordings.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spatialfoley import world
from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.dataset.biaudio.trajectories import camera_of as turning_camera
from spatialfoley.dataset.built_arrays import ROLE
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.world_cache import LEVELS_PER_FRAME, as_int16, scaled_level, truth_arrays
from spatialfoley.media.audio import read_audio, resample
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import listen_from
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.timeline import frame_times_s, sample_count
from spatialfoley.world.truth import LEVEL_WINDOW_S

MATERIALS = ("recorded", "rendered")
_SILENCE = 1e-12


@dataclasses.dataclass(frozen=True)
class TinyArrays:
    """Arrays of a clip.

    Attributes:
        duration_s: Length of the clips.
        frame_rate_hz: Of the pictures.
        size_px: Side of the pictures.
        rate_hz: Of the sound.
        material: "recorded": pictures and sound of the clip. "rendered": of scenes of the world only, rendered
            anew for the scene's own camera, as without a data set.
        least_db: Clips whose sound is quieter are rejected, re full scale.
        least_direct: Share of directed energy from which a direction counts, 0 (diffuse) to 1 (one plane wave);
            for recordings whose truth is not known.
        keep: Keep the other files of the clip too.
    """

    version: ClassVar[int] = 1
    duration_s: float = 5.0
    frame_rate_hz: int = 20
    size_px: int = 56
    rate_hz: int = 16000
    material: str = "recorded"
    least_db: float = -54.0
    least_direct: float = 0.5
    keep: bool = False

    def __post_init__(self) -> None:
        if self.material not in MATERIALS:
            raise ValueError(f"material is {self.material!r}; it must be one of {', '.join(MATERIALS)}")
        if not 0 <= self.least_direct <= 1:
            raise ValueError(f"least_direct is {self.least_direct}; it must be from 0 to 1")
        for name in ("duration_s", "frame_rate_hz", "size_px", "rate_hz"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Make the arrays."""
        scene = scene_of(record)
        if self.material == "rendered":
            arrays = self._rendered(record, scene)
        else:
            arrays = self._recorded(record, scene, space)
            level_db = 10 * np.log10(np.mean((arrays["foa"][W] / 32767.0) ** 2) + _SILENCE)
            if level_db < self.least_db:
                sentence = f"its level is {level_db:.1f} dB and least_db is {self.least_db:g}"
                return Rejected("silent", sentence, {"level_db": round(float(level_db), 2)})
        files = {}
        for name, array in arrays.items():
            with space.new_file(record.id, ROLE + name, ".npy") as new:
                np.save(new.path, array)
            files[ROLE + name] = new.ref
        kept = record if self.keep else record.without_files(*record.files)
        return Passed((kept.with_(files, {"arrays_truth": "scene" if scene else "sound"}),))

    def _rendered(self, record: Record, scene: world.Scene | None) -> dict[str, np.ndarray]:
        if scene is None:
            raise ItemProblem(
                "missing", f"record {record.id} is no scene of the world; set material: recorded"
            )
        start_s = float(record.facts.get("start_s", 0.0))
        if start_s == 0.0 and "start_s" not in record.facts and scene.duration_s != self.duration_s:
            sentence = (
                f"record {record.id} lasts {scene.duration_s:g} s; cut it into clips of {self.duration_s:g} s"
            )
            raise ItemProblem("format", sentence)
        times_s, fine_s = (start_s + moments for moments in self._moments_s())
        first = sample_count(start_s, self.rate_hz)
        count = sample_count(self.duration_s, self.rate_hz)
        foa = world.render_foa_camera(scene, self.rate_hz)[:, first : first + count]
        return {
            "frames": world.render_view(scene, times_s, size_px=self.size_px),
            "foa": as_int16(foa),
            **truth_arrays(world.truth_at(scene, times_s), world.truth_at(scene, fine_s)),
        }

    def _recorded(self, record: Record, scene: world.Scene | None, space: Workspace) -> dict[str, np.ndarray]:
        camera = camera_of(record)
        for role in ("foa", "frames"):
            if role not in record.files:
                sentence = (
                    f"record {record.id} has no {role}; cut it with ytambigen_clips and frames: npy first"
                )
                raise ItemProblem("missing", sentence)
        field = read_audio(space.path(record.file("foa")), "foa")
        if record.facts.get("field_frame", "world") == "world":
            field = listen_from(field, camera)
        count = sample_count(self.duration_s, self.rate_hz)
        samples = resample(field.samples, field.rate_hz, self.rate_hz)[:, :count]
        frames = self._frames(record, space.path(record.file("frames")))
        if samples.shape[1] < count:
            sentence = (
                f"record {record.id} has {samples.shape[1] / self.rate_hz:.3f} s of sound; cut clips of "
            )
            raise ItemProblem("format", f"{sentence}{self.duration_s:g} s")
        foa = as_int16(samples)
        if scene is None:
            told = self._from_sound(samples)
        else:
            start_s = float(record.facts["start_s"])
            told = truth_arrays(*(_seen_by(scene, camera, start_s, times) for times in self._moments_s()))
        return {"frames": frames, "foa": foa, **told}

    def _frames(self, record: Record, path: Path) -> np.ndarray:
        frames: np.ndarray = np.load(path)
        wanted = (len(self._moments_s()[0]), self.size_px, self.size_px, 3)
        if frames.shape != wanted:
            raise ItemProblem(
                "format",
                f"the frames of record {record.id} have shape {frames.shape}, not {wanted}; cut clips with "
                f"size_px: {self.size_px}, frame_rate_hz: {self.frame_rate_hz}, frames: npy",
            )
        return frames

    def _moments_s(self) -> tuple[np.ndarray, np.ndarray]:
        """Times of the frames, and those at which levels are told."""
        fine_hz = self.frame_rate_hz * LEVELS_PER_FRAME
        return frame_times_s(self.duration_s, self.frame_rate_hz), frame_times_s(self.duration_s, fine_hz)

    def _from_sound(self, field: np.ndarray) -> dict[str, np.ndarray]:
        """What a field (4, N) around the camera tells by itself, as one class."""
        times_s, fine_s = self._moments_s()
        level = scaled_level(10 * np.log10(_windowed(field[W] ** 2, fine_s, self.rate_hz) + _SILENCE))
        vectors, direct = directions(field, times_s, self.rate_hz)
        x, y, z = vectors.T
        # As for sources of the world: the centre is inside a square view of 90 degrees.
        inside = (np.abs(y) < x) & (np.abs(z) < x) & (direct >= self.least_direct)
        heard = level[::LEVELS_PER_FRAME] > 0
        return {
            "level": level[None].astype(np.float16),
            "vectors": vectors[None].astype(np.float16),
            "in_view": (inside & heard)[None],
        }


def directions(field: np.ndarray, times_s: np.ndarray, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Where sound comes from around some moments, shape (T, 3), and the directed share of its energy, shape (T,).

    Args:
        field: AmbiX, shape (4, N).
        times_s: Moments, shape (T,).
        rate_hz: Sample rate.

    References:
        Pulkki, "Spatial sound reproduction with directional audio coding", JAES 55(6), 2007: the active intensity
        and the diffuseness, of which the share is the complement.
    """
    intensity = np.stack([_windowed(field[W] * field[axis], times_s, rate_hz) for axis in (X, Y, Z)], axis=-1)
    energy = _windowed((field**2).sum(axis=0), times_s, rate_hz) / 2
    size = np.linalg.norm(intensity, axis=-1)
    return intensity / np.maximum(size, _SILENCE)[:, None], size / np.maximum(energy, _SILENCE)


def _windowed(values: np.ndarray, times_s: np.ndarray, rate_hz: int) -> np.ndarray:
    """Means of values (N,) within the truth's window around moments (T,)."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    first, last = (
        np.clip(np.round((times_s + side * LEVEL_WINDOW_S / 2) * rate_hz), 0, len(values)).astype(int)
        for side in (-1, 1)
    )
    means: np.ndarray = (sums[last] - sums[first]) / np.maximum(last - first, 1)
    return means


def scene_of(record: Record) -> world.Scene | None:
    """The scene of the world that a record is of, or None for other recordings."""
    said: dict[str, Any] | None = record.facts.get("scene")
    return None if said is None else world.make_scene(**said)


def camera_of(record: Record) -> CameraTrajectory:
    """The camera of a clip: one that turns, or one that looks at a direction."""
    if "camera" in record.facts:
        return turning_camera(record.facts["camera"])
    if "azimuth_deg" not in record.facts:
        raise ItemProblem("missing", f"record {record.id} has no camera; cut it with ytambigen_clips first")
    looks = Direction(float(record.facts["azimuth_deg"]), float(record.facts["elevation_deg"]))
    return CameraTrajectory.static(CameraPose.facing(looks))


def _seen_by(
    scene: world.Scene, camera: CameraTrajectory, start_s: float, times_s: np.ndarray
) -> world.SceneTruth:
    """Truth of a scene at moments of a clip, for the clip's camera."""
    truth = world.truth_at(scene, start_s + times_s)
    vectors = np.einsum("tji,stj->sti", camera.matrices_at(times_s), truth.vectors)
    x, y, z = np.moveaxis(vectors, -1, 0)
    inside = (np.abs(y) < x) & (np.abs(z) < x)
    return dataclasses.replace(truth, camera_vectors=vectors, in_view=inside)


STAGE = TinyArrays
