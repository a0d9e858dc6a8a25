"""Guidance as a weighted sum of named branches, all computed in one batch.

A branch is one way of telling the network less than everything. The mixed prediction is the sum of weight
times the prediction of each branch; the weights sum to 1. Scales follow the ViSAGe reference: scale g adds g
times a difference to the fully conditioned prediction, so 2.5 is the weight 3.5 of other texts and 0 is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Branch:
    """One prediction.

    Attributes:
        name: What the branch knows.
        weight: Its part of the sum.
        visual: Whether it knows the frames and their energy maps.
        direction: Whether it knows where the camera looks.
        text: Whether it knows the text. A generator passes over what it has no input for.
    """

    name: str
    weight: float
    visual: bool
    direction: bool
    text: bool = False


@dataclass(frozen=True)
class Guidance:
    """Branches whose weights sum to 1. Branches of weight 0 are left out.

    Attributes:
        name: Name of the rule.
        branches: At least one branch.
    """

    name: str
    branches: tuple[Branch, ...]

    def __post_init__(self) -> None:
        """Check the weights.

        Raises:
            ValueError: If a weight is not finite or the weights do not sum to 1.
        """
        total = sum(branch.weight for branch in self.branches)
        if not math.isfinite(total) or abs(total - 1.0) > 1e-6:
            raise ValueError(f"the weights of the branches of {self.name} sum to {total}, but must sum to 1")

    @property
    def weights(self) -> tuple[float, ...]:
        """Weights in the order of the branches."""
        return tuple(branch.weight for branch in self.branches)

    @classmethod
    def none(cls) -> Guidance:
        """The fully conditioned prediction alone."""
        return _guidance("none", full=1.0)

    @classmethod
    def combined(cls, scale: float) -> Guidance:
        """Both conditions against neither, as published: full + scale (full - neither)."""
        _check_scale("scale", scale)
        return _guidance("combined", full=1.0 + scale, neither=-scale)

    @classmethod
    def visual(cls, scale: float) -> Guidance:
        """Frames alone are stressed: full + scale (full - direction only)."""
        _check_scale("scale", scale)
        return _guidance("visual", full=1.0 + scale, direction=-scale)

    @classmethod
    def directional(cls, scale: float) -> Guidance:
        """The direction alone is stressed: full + scale (full - frames only)."""
        _check_scale("scale", scale)
        return _guidance("directional", full=1.0 + scale, visual=-scale)

    @classmethod
    def dual(cls, visual_scale: float, direction_scale: float) -> Guidance:
        """Separate scales, as published.

        full + visual_scale (frames only - neither) + direction_scale (direction only - neither).
        """
        _check_scale("visual_scale", visual_scale)
        _check_scale("direction_scale", direction_scale)
        return _guidance(
            "dual",
            full=1.0,
            visual=visual_scale,
            direction=direction_scale,
            neither=-(visual_scale + direction_scale),
        )

    @classmethod
    def of_strength(cls, strength: float) -> Guidance:
        """All conditions against none, on the scale of MMAudio: strength full + (1 - strength) neither.

        A strength up to 1 is no guidance, as published.
        """
        _check_scale("strength", strength)
        return cls.combined(strength - 1.0) if strength > 1 else cls.none()

    @classmethod
    def video_and_text(cls, video_scale: float, text_scale: float) -> Guidance:
        """Separate scales.

        full + video_scale (full - text only) + text_scale (full - visual only).
        """
        _check_scale("video_scale", video_scale)
        _check_scale("text_scale", text_scale)
        full = 1.0 + video_scale + text_scale
        return _guidance("video and text", full=full, visual=-text_scale, text=-video_scale)

    def mix(self, predictions: Tensor) -> Tensor:
        """Weighted sum of the predictions (branches, ...) -> (...)."""
        return mix_branches(predictions, self.weights)


def mix_branches(predictions: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Sum of weight times prediction over the first axis: (branches, ...) -> (...).

    Element by element, so that a clip's result never depends on which clips share its batch.

    Raises:
        ValueError: If the number of predictions is not the number of weights.
    """
    if len(predictions) != len(weights):
        raise ValueError(f"there are {len(predictions)} predictions, but {len(weights)} weights")
    mixed = predictions[0] * weights[0]
    for prediction, weight in zip(predictions[1:], weights[1:], strict=True):
        mixed.add_(prediction, alpha=weight)
    return mixed


def _guidance(
    name: str,
    *,
    full: float,
    visual: float = 0.0,
    direction: float = 0.0,
    text: float = 0.0,
    neither: float = 0.0,
) -> Guidance:
    branches = (
        Branch("full", full, visual=True, direction=True, text=True),
        Branch("visual only", visual, visual=True, direction=False),
        Branch("direction only", direction, visual=False, direction=True),
        Branch("text only", text, visual=False, direction=False, text=True),
        Branch("neither", neither, visual=False, direction=False),
    )
    return Guidance(name, tuple(branch for branch in branches if branch.weight != 0.0))


def _check_scale(name: str, scale: float) -> None:
    if not math.isfinite(scale) or scale < 0:
        raise ValueError(f"{name} is {scale}, but must be a finite number of at least 0 (0: no guidance)")
