"""What passes between the steps of the chain, and what its parts have to offer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from spatialfoley.codecs.chain import chain_names
from spatialfoley.features import FrameFeatures
from spatialfoley.generators.guidance import Guidance
from spatialfoley.generators.visage.candidates import check_candidates
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.sampler import SamplingSettings
from spatialfoley.media.video import Video
from spatialfoley.pipeline.reranking import DEFAULT_SCORES, Choice, score_names
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


@dataclass(frozen=True)
class ClipConditions:
    """What one clip's sound is made from.

    Attributes:
        windows: conditions of each window, batch 1.
        plan: the windows, in samples of the codec.
        camera: where the picture's centre points, seconds counted from the start of the clip.
        clip_id: name and start of the clip; part of its noise.
        duration_s: length of the clip.
        video: the picture, for scores that look at it anew.
        panorama: whether it is equirectangular; None asks its shape.
    """

    windows: tuple[VisageConditions, ...]
    plan: WindowPlan
    camera: CameraTrajectory
    clip_id: str
    duration_s: float
    video: Video
    panorama: bool | None = None


@dataclass(frozen=True)
class ClipTokens:
    """Codes (S, K) of each window of a clip, and what is needed to place them.

    Attributes:
        codes: of each window.
        plan: the windows.
        camera: where the picture's centre points.
        duration_s: length of the clip.
        choices: which candidate each window's codes are; empty where there was one only.
    """

    codes: tuple[Tensor, ...]
    plan: WindowPlan
    camera: CameraTrajectory
    duration_s: float
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True)
class Generation:
    """A finished clip.

    Attributes:
        foa: the field in world axes.
        gain_db: the gain (0 or below) that kept it within full scale.
        draws: how often it was drawn until it was not silent.
        choices: which candidate was taken for each window; empty where there was one only.
    """

    foa: SpatialAudio
    gain_db: float
    draws: int = 1
    choices: tuple[Choice, ...] = ()


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
        candidates: how many tries at each window the sound is chosen from.
        rerank: names of the scores that choose (`reranking.SCORES`); with one candidate nothing is chosen.
        chain: codecs that the whole sound is sent through, in this order (`codecs.chain.CHAIN_CODECS`).

    Raises:
        ValueError: if the number of candidates is out of range, or a score or a codec is unknown.
    """

    seed: int = 0
    guidance: Guidance | None = None
    sampling: SamplingSettings | None = None
    rate_hz: int | None = None
    panorama: bool | None = None
    candidates: int = 1
    rerank: tuple[str, ...] = DEFAULT_SCORES
    chain: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_candidates(self.candidates)
        object.__setattr__(self, "rerank", score_names(self.rerank))
        object.__setattr__(self, "chain", chain_names(self.chain))
