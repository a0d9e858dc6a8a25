"""Recordings of the synthetic world: a panorama, its sound field and the exact truth, rendered by the build."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, get_args

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Workspace
from spatialfoley.world import TRAIN_SEEDS, make_scene
from spatialfoley.world.files import ClipFormat, write_clip
from spatialfoley.world.scenes import CameraKind, SceneKind


@dataclass(frozen=True)
class WorldSource:
    """Scenes with the seeds first_seed, first_seed + 1, ... of those that training may draw.

    Attributes:
        recordings: How many.
        first_seed: From 0, counted within the seeds of training: held-out scenes never get in.
        duration_s: Length of each.
        scene: Kind of all scenes; None draws from the mix.
        camera: Of the scenes, "static", "turning", or None to draw it; recordings are of all directions, so it only
            decides which scenes are drawn and what stages take for the scene's own camera.
        height_px: Height of the panorama.
        frame_rate_hz: Frames per second.
        rate_hz: Of the sound.
    """

    version: ClassVar[int] = 1
    recordings: int
    first_seed: int = 0
    duration_s: float = 20.0
    scene: str | None = None
    camera: str | None = "static"
    height_px: int = 256
    frame_rate_hz: float = 20.0
    rate_hz: int = 48000

    def __post_init__(self) -> None:
        if self.recordings < 1:
            raise ValueError(f"recordings is {self.recordings}; it must be at least 1")
        if not 0 <= self.first_seed <= len(TRAIN_SEEDS) - self.recordings:
            raise ValueError(
                f"first_seed is {self.first_seed} for {self.recordings} recordings; training has the seeds "
                f"0 to {len(TRAIN_SEEDS) - 1}"
            )
        if self.duration_s < 1:
            raise ValueError(f"duration_s is {self.duration_s}; it must be at least 1")
        if self.scene is not None and self.scene not in get_args(SceneKind):
            raise ValueError(f"scene is {self.scene!r}; it must be one of {', '.join(get_args(SceneKind))}")
        if self.camera is not None and self.camera not in get_args(CameraKind):
            raise ValueError(
                f"camera is {self.camera!r}; it must be one of {', '.join(get_args(CameraKind))}"
            )
        self._format()

    def _format(self) -> ClipFormat:
        return ClipFormat("panorama", self.height_px, self.frame_rate_hz, self.rate_hz)

    def records(self) -> Iterator[Record]:
        """One record for every seed."""
        for seed in range(self.first_seed, self.first_seed + self.recordings):
            name = f"world-{seed:07d}"
            facts = {
                "source": "world",
                "title": f"scene {seed} of the synthetic world",
                "licence": "MIT",
                "convention": "ambix",
                "seed": seed,
                "scene": {"kind": self.scene, "duration_s": self.duration_s},
            }
            yield Record(name, name, facts=facts)

    def fetch_depends_on(self) -> dict[str, Any]:
        """How a scene is rendered; not how many there are."""
        return {name: value for name, value in vars(self).items() if name not in ("recordings", "first_seed")}

    def fetch(self, record: Record, space: Workspace) -> Outcome:
        """Render the scene: "panorama", "sound" and "truth"."""
        drawn: dict[str, Any] = {
            "seed": TRAIN_SEEDS[int(record.facts["seed"])],
            "kind": self.scene,
            "camera": self.camera,
            "duration_s": self.duration_s,
        }
        scene = make_scene(**drawn)
        files = {}
        work = space.root / "work"
        work.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".", suffix=".partial", dir=work) as folder:
            made = write_clip(scene, Path(folder), record.id, self._format())
            for role, path in (("panorama", made.video), ("sound", made.foa), ("truth", made.truth)):
                with space.new_file(record.id, role, path.suffix) as new:
                    path.replace(new.path)
                files[role] = new.ref
        classes = [source.class_name for source in scene.sources]
        facts = {"duration_s": self.duration_s, "rate_hz": self.rate_hz, "classes": classes, "scene": drawn}
        return Passed((record.with_(files, facts),))


SOURCE = WorldSource
