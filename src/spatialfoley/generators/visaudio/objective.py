"""Training maths of the flows: the straight path from noise to sound, its loss, and dropped conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import BranchNoise

TimeRule = Literal["uniform", "logit_normal"]


@dataclass(frozen=True)
class ObjectiveSettings:
    """How training examples are drawn.

    Attributes:
        time_rule: A13: distribution of the flow time. The paper says "uniform"; MMAudio's trainer uses
            "logit_normal", sigmoid of a standard normal.
        drop_video: A15: chance that frames, synchronisation and patches of a clip are replaced, together.
        drop_text: A15: chance that its text is, independently.
    """

    time_rule: TimeRule = "uniform"
    drop_video: float = 0.1
    drop_text: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a chance is not from 0 to 1 or the rule unknown.
        """
        if self.time_rule not in get_args(TimeRule):
            raise ValueError(
                f"time_rule is {self.time_rule!r}, but must be one of {', '.join(get_args(TimeRule))}"
            )
        for name in ("drop_video", "drop_text"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be from 0 to 1")


class FlowLoss(NamedTuple):
    """Loss of a batch.

    Attributes:
        total: Mean over the clips, a scalar.
        per_clip: Sum over the branches (B,).
        per_branch: Mean over the clips (N,), for the record; one entry for a network without branches.
    """

    total: Tensor
    per_clip: Tensor
    per_branch: Tensor


class PathPoint(NamedTuple):
    """A training example: where the flow is, when, and where it should go.

    Attributes:
        x: Between noise and sound, of the shape of the latents (B, ..., L, C).
        t: Flow times (B,).
        target: Velocity there.
    """

    x: Tensor
    t: Tensor
    target: Tensor


def interpolate(x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
    """Point t of the straight path from noise x0 to latents x1 (B, ...): eq. 1 of the paper, t (B,)."""
    weight = t.view(-1, *[1] * (x1.ndim - 1))
    return weight * x1 + (1 - weight) * x0


def target_velocity(x0: Tensor, x1: Tensor) -> Tensor:
    """Velocity of the straight path: eq. 2 of the paper."""
    return x1 - x0


def flow_loss(velocity: Tensor, target: Tensor) -> FlowLoss:
    """Squared error of the velocity: eq. 4 of the paper, a sum over the branches, not their average.

    Args:
        velocity: Predicted (B, N, L, C), or (B, L, C) of a network without branches.
        target: Of the same shape.

    Raises:
        ValueError: If the shapes differ or are of another kind.
    """
    if velocity.shape != target.shape or velocity.ndim not in (3, 4):
        raise ValueError(
            f"velocity {tuple(velocity.shape)} and target {tuple(target.shape)} must have one shape, "
            "(B, N, L, C) or (B, L, C)"
        )
    errors = (velocity.float() - target.float()).square().mean(dim=(-2, -1)).view(len(velocity), -1)
    per_clip = errors.sum(dim=1)
    return FlowLoss(per_clip.mean(), per_clip, errors.mean(dim=0).detach())


def draw_times(batch: int, rule: TimeRule = "uniform", generator: torch.Generator | None = None) -> Tensor:
    """Flow times (B,), one for all branches of a clip; drawn on the CPU."""
    if rule == "logit_normal":
        return torch.sigmoid(torch.randn(batch, generator=generator))
    return torch.rand(batch, generator=generator)


def draw_point(
    x1: Tensor,
    settings: ObjectiveSettings,
    branch_noise: BranchNoise = "independent",
    generator: torch.Generator | None = None,
) -> PathPoint:
    """Draw noise and time for normalised latents (B, N, L, C) or (B, L, C).

    Args:
        x1: Latents of recorded sound.
        settings: Distribution of the time.
        branch_noise: "shared" gives every branch of a clip the same noise (A14).
        generator: Source of the draws, on the CPU; None for torch's own.
    """
    t = draw_times(len(x1), settings.time_rule, generator).to(x1.device)
    shared = branch_noise == "shared" and x1.ndim == 4
    shape = (len(x1), 1, *x1.shape[2:]) if shared else x1.shape
    x0 = torch.randn(shape, generator=generator).to(x1).expand_as(x1)
    return PathPoint(interpolate(x0, x1, t), t, target_velocity(x0, x1))


def drop_conditions(
    features: ClipFeatures, settings: ObjectiveSettings, generator: torch.Generator | None = None
) -> ClipFeatures:
    """Mark clips whose video or text is to be replaced by the null one, so that guidance can be used later.

    Clips that are marked already, such as those without a text, stay so.
    """
    batch, device = len(features.clip), features.clip.device
    draws = torch.rand(2, batch, generator=generator)
    video, text = (draws[0] < settings.drop_video).to(device), (draws[1] < settings.drop_text).to(device)
    if features.video_dropped is not None:
        video = video | features.video_dropped
    if features.text_dropped is not None:
        text = text | features.text_dropped
    return replace(features, video_dropped=video, text_dropped=text)


def sample_posterior(mean: Tensor, std: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Latents drawn from what the autoencoder says of a recording: mean + std times noise, per channel its own."""
    if mean.shape != std.shape:
        raise ValueError(f"mean {tuple(mean.shape)} and std {tuple(std.shape)} must have one shape")
    return mean + std * torch.randn(mean.shape, generator=generator).to(mean)


def training_loss(
    predict: Callable[[ClipFeatures, Tensor, Tensor], Tensor],
    features: ClipFeatures,
    x1: Tensor,
    settings: ObjectiveSettings,
    branch_noise: BranchNoise = "independent",
    generator: torch.Generator | None = None,
) -> FlowLoss:
    """Loss of one batch: conditions dropped, a point of each path drawn, its velocity compared.

    Args:
        predict: (features, x, t) -> velocity of the shape of x.
        features: Of the clips.
        x1: Normalised latents (B, N, L, C) or (B, L, C).
        settings: Distributions.
        branch_noise: See `draw_point`.
        generator: Source of the draws, on the CPU; None for torch's own.
    """
    point = draw_point(x1, settings, branch_noise, generator)
    velocity = predict(drop_conditions(features, settings, generator), point.x, point.t)
    return flow_loss(velocity, point.target)
