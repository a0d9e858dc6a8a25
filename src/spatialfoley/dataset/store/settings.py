"""How features are made: what a user may choose, and the part of it that each encoder depends on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, get_args

from spatialfoley.dataset.visaudio_features import Loudness

FIELD_FRAMES = ("world", "camera")
COMPUTE_TYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class FeatureSettings:
    """Settings of all encoders; each takes those that it knows.

    Attributes:
        half: Features of pictures and texts in 16 bits, as `dataset prepare` keeps them; False keeps 32.
        pool: PE-Spatial: side of the square of patches that is averaged; 1 keeps every patch.
        yaws_deg: Codes: the field turned by each, positive to the left, before it is encoded. ViSAGe's
            augmentation is (0, -90); whole quarter turns are exact.
        mirror: Codes and pictures of ViSAGe's family: also the mirror image of all, left for right.
        field_frame: Codes: "world" or "camera" axes; None for what the generator of the codec wants.
        mono: Codes and latents: one channel, for pre-training: W of a field, the mean of ears, stereo or mono.
        loudness: Latents: as `Preparation.loudness`.
        compute: MMAudio's encoders of pictures and texts: type that their networks compute in, "float32" as
            `dataset prepare` does, or "bfloat16" and "float16", several times as fast on a GPU.
    """

    half: bool = True
    pool: int = 2
    yaws_deg: tuple[float, ...] = (0.0,)
    mirror: bool = False
    field_frame: str | None = None
    mono: bool = False
    loudness: str = "joint"
    compute: str = "float32"

    def __post_init__(self) -> None:
        if self.pool < 1:
            raise ValueError(f"pool is {self.pool}; give 1 for none, or 2 for squares of 2 x 2 patches")
        if not self.yaws_deg or not all(math.isfinite(yaw) for yaw in self.yaws_deg):
            raise ValueError(
                f"yaws_deg is {list(self.yaws_deg)}; give one or more turns in degrees, such as 0,-90"
            )
        if len(set(self.yaws_deg)) != len(self.yaws_deg):
            raise ValueError(f"yaws_deg is {list(self.yaws_deg)}; give every turn once")
        if self.field_frame not in (None, *FIELD_FRAMES):
            raise ValueError(
                f"field_frame is {self.field_frame!r}; it must be one of {', '.join(FIELD_FRAMES)}, or none"
            )
        if self.mono and (self.mirror or self.yaws_deg != (0.0,)):
            raise ValueError("mono sound has no direction to turn or mirror; leave out yaws_deg and mirror")
        if self.loudness not in get_args(Loudness):
            raise ValueError(
                f"loudness is {self.loudness!r}; it must be one of {', '.join(get_args(Loudness))}"
            )

        if self.compute not in COMPUTE_TYPES:
            raise ValueError(f"compute is {self.compute!r}; it must be one of {', '.join(COMPUTE_TYPES)}")

    def chosen(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Some of the settings as plain JSON values."""
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value for name in names
        }
