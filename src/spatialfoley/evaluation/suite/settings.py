"""What a run of the world suite is made of: which clips, how long, how shown."""

from dataclasses import dataclass

from spatialfoley.world import SCENE_KINDS
from spatialfoley.world.scenes import CameraKind, SceneKind

TURN_KINDS: tuple[SceneKind, ...] = ("centred", "in_view")


@dataclass(frozen=True)
class WorldSuiteSettings:
    """What is run.

    Attributes:
        clips: Number of held-out clips; kinds of scene take turns.
        seed: Seed of the suite: which clips.
        kinds: Kinds of scene.
        duration_s: Length of a clip.
        view_size_px: Width and height of the pictures shown.
        view_rate_hz: Frames per second of the pictures shown.
        turn_clips: On how many clips with the source in view the camera-turn test generates a second time;
            only models that make fields are tested, as ears turn with the camera.
        camera: "static" or "turning"; None draws, about a third turns.
    """

    clips: int = 200
    seed: int = 0
    kinds: tuple[SceneKind, ...] = SCENE_KINDS
    duration_s: float = 5.0
    view_size_px: int = 128
    view_rate_hz: float = 20.0
    turn_clips: int = 40
    camera: CameraKind | None = None

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips is {self.clips}; it must be 1 or more")
        if not self.kinds or any(kind not in SCENE_KINDS for kind in self.kinds):
            raise ValueError(f"kinds is {self.kinds}; choose from {', '.join(SCENE_KINDS)}")
        if not self.duration_s >= 1:
            raise ValueError(
                f"duration_s is {self.duration_s}; it must be 1 or more, windows of 1 s are scored"
            )
        if self.camera not in (None, "static", "turning"):
            raise ValueError(f"camera is {self.camera!r}; it must be static, turning or None")
        if self.turn_clips < 0:
            raise ValueError(f"turn_clips is {self.turn_clips}; it must be 0 or more")

    def is_turned(self, index: int) -> bool:
        """Whether a clip is among the first `turn_clips` ones with a single source in view."""
        if self.kinds[index % len(self.kinds)] not in TURN_KINDS:
            return False
        before = sum(self.kinds[i % len(self.kinds)] in TURN_KINDS for i in range(index))
        return before < self.turn_clips
