"""What passes between the steps of the chain, and what its parts have to offer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from spatialfoley.features import FrameFeatures
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.sampler import SamplingSettings
from spatialfoley.pipeline.windows import WindowPlan
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

Camera = Direction | CameraPose | CameraTrajectory
Report = Callable[[float], None]
"""Told the fraction done in [0, 1]."""


class Features(Protocol):
    """A frozen encoder: uint8 frames (T, size_px, size_px, 3) at frame_rate_hz to features."""

    @property
    def frame_rate_hz(self) -> int:
        """Frames per second it wants."""
        ...

    @property
    def size_px(self) -> int:
        """Side of a frame."""
        ...

    def __call__(self, frames: np.ndarray) -> FrameFeatures:
        """Features of one clip."""
        ...


class Codec(Protocol):
    """Codes (B, S, K) to sound (B, C, S * hop_samples), and back."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    @property
    def hop_samples(self) -> int:
        """Samples of one frame of codes."""
        ...

    @property
    def levels(self) -> int:
        """Codebooks of one channel."""
        ...

    def encode(self, samples: Tensor) -> Tensor:
        """Codes of sound (B, C, N)."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Sound of codes."""
        ...


@dataclass(frozen=True)
class ClipConditions:
    """What one clip's sound is made from.

    Attributes:
        windows: conditions of each window, batch 1.
        plan: the windows, in samples of the codec.
        camera: where the picture's centre points, seconds counted from the start of the clip.
        clip_id: name and start of the clip; part of its noise.
        duration_s: length of the clip.
    """

    windows: tuple[VisageConditions, ...]
    plan: WindowPlan
    camera: CameraTrajectory
    clip_id: str
    duration_s: float


@dataclass(frozen=True)
class ClipTokens:
    """Codes (S, K) of each window of a clip, and what is needed to place them."""

    codes: tuple[Tensor, ...]
    plan: WindowPlan
    camera: CameraTrajectory
    duration_s: float


@dataclass(frozen=True)
class Generation:
    """A finished clip.

    Attributes:
        foa: the field in world axes.
        gain_db: the gain (0 or below) that kept it within full scale.
        draws: how often it was drawn until it was not silent.
    """

    foa: SpatialAudio
    gain_db: float
    draws: int = 1


@dataclass(frozen=True)
class Defaults:
    """How a model likes to be sampled."""

    guidance: Guidance
    sampling: SamplingSettings


@dataclass(frozen=True)
class GenerationSettings:
    """What one generation depends on beside the picture, the camera and the model.

    Attributes:
        seed: any number from 0.
        guidance: None for the model's own.
        sampling: how tokens are drawn; None for the model's own way.
        rate_hz: rate of the result; None for the codec's.
        panorama: whether the picture is equirectangular; None asks its shape.
    """

    seed: int = 0
    guidance: Guidance | None = None
    sampling: SamplingSettings | None = None
    rate_hz: int | None = None
    panorama: bool | None = None
