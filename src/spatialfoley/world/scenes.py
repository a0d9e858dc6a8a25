"""Scenes: what is in the world, where it is, when it sounds and who looks at it, all from one seed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.world.events import Event, draw_events, thin_collisions
from spatialfoley.world.kinds import SOURCE_CLASSES, SourceClass
from spatialfoley.world.layout import (
    ATTEMPTS,
    CENTRE_LIMIT_DEG,
    SourcePath,
    carried_path,
    draw_camera,
    draw_direction,
    draw_hidden_path,
    draw_path,
    draw_visible_path,
    elevations_allowed,
    following_camera,
    knot_times_s,
)

SceneKind = Literal["centred", "in_view", "off_screen", "several"]
CameraKind = Literal["static", "turning"]

SCENE_KINDS: Final[tuple[SceneKind, ...]] = ("centred", "in_view", "off_screen", "several")
KIND_SHARES: Final = (0.22, 0.43, 0.10, 0.25)
TURNING_SHARE: Final = 0.35
STILL_SHARE: Final = 0.4


@dataclass(frozen=True)
class WorldSettings:
    """Choices that change how every scene sounds.

    Attributes:
        recordings: Folder with one sub-folder of recordings per class; None for procedural sounds.
        room: None for free field, "simulated" for a small shoebox, "measured" for responses from a folder.
        room_responses: Folder of measured FOA responses; needed when ``room`` is "measured".
        ambience_db: Level of a diffuse noise bed relative to full scale; None for true silence.
    """

    recordings: Path | None = None
    room: Literal["simulated", "measured"] | None = None
    room_responses: Path | None = None
    ambience_db: float | None = None

    def __post_init__(self) -> None:
        if self.recordings is not None and not self.recordings.is_dir():
            raise ValueError(
                f"recordings is {self.recordings}; it must be a folder of sub-folders with sounds"
            )
        if self.room not in (None, "simulated", "measured"):
            raise ValueError(f"room is {self.room!r}; it must be None, simulated or measured")
        if self.room == "measured" and (self.room_responses is None or not self.room_responses.is_dir()):
            raise ValueError(
                f"room_responses is {self.room_responses}; a measured room needs a folder of FOA responses"
            )
        if self.ambience_db is not None and not -100.0 <= self.ambience_db <= -20.0:
            raise ValueError(f"ambience_db is {self.ambience_db}; it must be from -100 to -20, or None")


@dataclass(frozen=True, eq=False)
class Source:
    """One thing that moves, acts and sounds.

    Attributes:
        kind: Its class.
        path: Its direction over time.
        events: Its events, ordered by onset.
        distance: Relative distance, 1 (near) to 2 (far); gain falls and so does the size seen.
        radius_deg: Angular radius of its body.
        pitch: Pitch relative to its class.
        decay: Decay time relative to its class.
        hue_shift: Small change of its colour per RGB channel, shape (3,).
        sound_seed: Seed of its noise.
    """

    kind: SourceClass
    path: SourcePath
    events: tuple[Event, ...]
    distance: float
    radius_deg: float
    pitch: float
    decay: float
    hue_shift: np.ndarray
    sound_seed: int

    @property
    def class_name(self) -> str:
        """Name of its class."""
        return self.kind.name

    @property
    def gain(self) -> float:
        """Linear gain from distance."""
        return 1.0 / self.distance


@dataclass(frozen=True, eq=False)
class Scene:
    """A whole clip of the world.

    Attributes:
        seed: What everything was drawn from.
        kind: What the scene promises about the view.
        camera_kind: Whether the camera moves.
        duration_s: Length of the clip.
        sources: The sounding things; the first is in view unless the kind is "off_screen".
        camera: The camera's pose over time.
        settings: How it sounds.
    """

    seed: int
    kind: SceneKind
    camera_kind: CameraKind
    duration_s: float
    sources: tuple[Source, ...]
    camera: CameraTrajectory
    settings: WorldSettings = field(default_factory=WorldSettings)


def make_scene(
    seed: int,
    kind: SceneKind | None = None,
    camera: CameraKind | None = None,
    duration_s: float = 5.0,
    settings: WorldSettings | None = None,
) -> Scene:
    """Draw a scene.

    Args:
        seed: 0 or more; the same seed and arguments give the same scene.
        kind: "centred" (one source within 4° of the camera's centre), "in_view" (one source inside the 90°
            view with a margin of 6°), "off_screen" (one source outside the view), "several" (two or three
            sources of different classes, the first in view); None draws from a mix.
        camera: "static" or "turning"; None draws.
        duration_s: Length of the clip, 0.5 or more.
        settings: How it sounds; None for procedural sounds in free field.

    Raises:
        ValueError: If an argument is out of range.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    if kind is not None and kind not in SCENE_KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(SCENE_KINDS)} or None")
    if camera not in (None, "static", "turning"):
        raise ValueError(f"camera is {camera!r}; it must be static, turning or None")
    if not (np.isfinite(duration_s) and duration_s >= 0.5):
        raise ValueError(f"duration_s is {duration_s}; it must be 0.5 or more")
    rng = np.random.default_rng((seed, 1))
    drawn_kind = SCENE_KINDS[int(rng.choice(len(SCENE_KINDS), p=KIND_SHARES))]
    drawn_camera: CameraKind = "turning" if rng.random() < TURNING_SHARE else "static"
    kind, camera = kind or drawn_kind, camera or drawn_camera
    count = int(rng.integers(2, 4)) if kind == "several" else 1
    chosen = rng.permutation(len(SOURCE_CLASSES))[:count]
    paths, trajectory = _draw_layout(rng, kind, camera == "turning", count, knot_times_s(duration_s))
    sources: list[Source] = []
    for index, (class_index, path) in enumerate(zip(chosen, paths, strict=True)):
        earlier = tuple(event for source in sources for event in source.events)
        source_rng = np.random.default_rng((seed, 2, index))
        sources.append(
            _draw_source(source_rng, SOURCE_CLASSES[int(class_index)], path, duration_s, count, earlier)
        )
    return Scene(seed, kind, camera, duration_s, tuple(sources), trajectory, settings or WorldSettings())


def _draw_source(
    rng: np.random.Generator,
    kind: SourceClass,
    path: SourcePath,
    duration_s: float,
    count: int,
    earlier: tuple[Event, ...],
) -> Source:
    events = draw_events(rng, kind, duration_s, sparseness=1.0 if count == 1 else 1.5)
    if earlier:
        events = thin_collisions(rng, events, earlier)
    distance = float(rng.uniform(1.0, 2.0))
    return Source(
        kind=kind,
        path=path,
        events=events,
        distance=distance,
        radius_deg=15.0 / distance**0.8,
        pitch=float(np.exp2(rng.uniform(-4, 4) / 12)),
        decay=float(rng.uniform(0.75, 1.3)),
        hue_shift=rng.uniform(-0.07, 0.07, size=3),
        sound_seed=int(rng.integers(2**31)),
    )


def _draw_layout(
    rng: np.random.Generator, kind: SceneKind, turning: bool, count: int, times_s: np.ndarray
) -> tuple[list[SourcePath], CameraTrajectory]:
    """Draw paths and a camera that hold what the kind of scene promises."""
    if kind == "centred":
        return _draw_centred(rng, turning, times_s)
    still = bool(rng.random() < STILL_SHARE)
    for attempt in range(ATTEMPTS):
        sway_limit_deg = 90.0 if kind == "off_screen" else 28.0
        camera = draw_camera(rng, times_s, turning, sway_limit_deg)
        matrices = camera.matrices_at(times_s)
        draw = draw_hidden_path if kind == "off_screen" else draw_visible_path
        path = draw(rng, times_s, matrices, still or attempt > ATTEMPTS // 2)
        if path is not None:
            break
    else:
        vector_cam = (-0.9, 0.4, 0.0) if kind == "off_screen" else (1.0, 0.3, 0.0)
        path = carried_path(times_s, matrices, vector_cam)
    paths = [path]
    while len(paths) < count:
        paths.append(_draw_companion(rng, times_s, paths))
    return paths, camera


def _draw_centred(
    rng: np.random.Generator, turning: bool, times_s: np.ndarray
) -> tuple[list[SourcePath], CameraTrajectory]:
    still = bool(rng.random() < STILL_SHARE)
    for attempt in range(ATTEMPTS):
        path = draw_path(rng, times_s, draw_direction(rng), still or attempt > ATTEMPTS // 2)
        if turning and elevations_allowed(path.vectors):
            break
        middle = path.vectors.mean(axis=0)
        spread = path.vectors @ (middle / np.linalg.norm(middle))
        # 2.5° of the limit are left to the offset of the camera.
        if not turning and spread.min() >= np.cos(np.deg2rad(CENTRE_LIMIT_DEG - 2.5)):
            break
    else:
        path = SourcePath(times_s, np.broadcast_to(draw_direction(rng), (len(times_s), 3)))
    return [path], following_camera(rng, path, turning)


def _draw_companion(rng: np.random.Generator, times_s: np.ndarray, others: list[SourcePath]) -> SourcePath:
    """Draw a further source anywhere, 25° or more from the others where a few draws allow it."""
    still = bool(rng.random() < STILL_SHARE)
    for attempt in range(ATTEMPTS):
        path = draw_path(rng, times_s, draw_direction(rng), still or attempt > ATTEMPTS // 2)
        nearest = max(float(np.max(np.sum(path.vectors * other.vectors, axis=1))) for other in others)
        if elevations_allowed(path.vectors) and nearest <= np.cos(np.deg2rad(25.0)):
            break
    return path
