"""Averages of the weights over a run, weighed by a power of the step: exported in place of the last weights.

Karras et al. 2023, "Analyzing and Improving the Training Dynamics of Diffusion Models", section 3.1: the average
at step T weighs the weights of step t by t^gamma, so that its width is a fixed share of the run however long it
is. Here it is kept as the run goes, for one width chosen before; the paper's way of getting other widths
afterwards, from stored snapshots, is not done.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spatialfoley.training.settings import LARGEST_SIGMA_REL


def power_of_width(sigma_rel: float) -> float:
    """The power gamma whose profile t^gamma on (0, 1) has standard deviation `sigma_rel` (Karras et al., eq. 6).

    sigma_rel^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)), which falls as gamma rises.

    Raises:
        ValueError: The width is not above 0 and at most `LARGEST_SIGMA_REL`.
    """
    if not 0 < sigma_rel <= LARGEST_SIGMA_REL:
        raise ValueError(
            f"sigma_rel is {sigma_rel}; it must be above 0 and at most {LARGEST_SIGMA_REL}, such as 0.05"
        )

    def width(gamma: float) -> float:
        return math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2)

    low, high = 0.0, 2 / sigma_rel  # width(gamma) < 1 / (gamma + 2), so the power lies between them
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if width(middle) > sigma_rel else (low, middle)
    return (low + high) / 2


class WeightAverage:
    """The running average of the trained weights of a model, in float32 where they are."""

    def __init__(self, model: nn.Module, sigma_rel: float) -> None:
        self.power = power_of_width(sigma_rel)
        self.weights = {name: p.detach().clone().float() for name, p in _trained(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step number `step`, counted from 1; the first replace whatever was there."""
        kept = (1 - 1 / step) ** (self.power + 1)
        names, trained = list(self.weights), _trained(model)
        current = [trained[name].detach().float() for name in names]
        torch._foreach_lerp_([self.weights[name] for name in names], current, 1 - kept)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from the average of a checkpoint.

        Raises:
            ValueError: It is of other weights than this model's.
        """
        if weights.keys() != self.weights.keys():
            raise ValueError("the averaged weights of the checkpoint are of another model; use a new output")
        for name, tensor in weights.items():
            self.weights[name].copy_(tensor)

    @torch.no_grad()
    def put_into(self, model: nn.Module) -> None:
        """Give the model the averaged weights in place of its own."""
        for name, parameter in _trained(model).items():
            parameter.copy_(self.weights[name])


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
