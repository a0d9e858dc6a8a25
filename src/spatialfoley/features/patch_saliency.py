"""Which patches of a frame stand out: from their neighbours, and from the frames before and after.

The patch energy map of ViSAGe (Kim et al., "ViSAGe: Video-to-Spatial Audio Generation", 2025). The published
code calls the score a cosine similarity; it is the distance between unit vectors, and so it is here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

GRID = 7
"""Patches along each side of a frame."""

TEMPERATURE = 0.1
KEPT_MASS = 0.7


class PatchScores(NamedTuple):
    """How much each patch differs, both (T, 7, 7), row by row from the top.

    Attributes:
        spatial: Distance of a patch from the mean of its two to four neighbours, 0 to 2.
        temporal: Distance from the mean of the same patch one frame before and after, 0 to 2.
    """

    spatial: Tensor
    temporal: Tensor


def patch_scores(patches: Tensor) -> PatchScores:
    """Distances between the directions of patch features and of their surroundings.

    Args:
        patches: Features (T, 49, d) of the patches of T frames, without class token.

    Returns:
        The scores. A single frame has no surroundings in time and scores 1 everywhere.

    Raises:
        ValueError: If there are not 49 patches.
    """
    if patches.ndim != 3 or patches.shape[1] != GRID * GRID:
        raise ValueError(
            f"patches has the shape {tuple(patches.shape)}, but must be (frames, {GRID * GRID}, d)"
        )
    grid = patches.unflatten(1, (GRID, GRID))
    unit = functional.normalize(grid, dim=-1)

    def distance(surroundings: Tensor) -> Tensor:
        return (unit - functional.normalize(surroundings, dim=-1)).norm(dim=-1)

    return PatchScores(
        spatial=distance(_mean_of_neighbours(grid, (1, 2))),
        temporal=distance(_mean_of_neighbours(grid, (0,))),
    )


def energy_map(scores: PatchScores) -> Tensor:
    """Share of each patch (T, 49), summing to 1 per frame: mean of the two softmaxes of the scores."""
    return (_softmax(scores.spatial) + _softmax(scores.temporal)) / 2


def filtered_scores(scores: PatchScores) -> PatchScores:
    """Scores with minus infinity in the least salient patches, which hold 30 % of the energy map together."""
    ordered, order = energy_map(scores).sort(dim=-1)
    dropped_in_order = ordered.cumsum(dim=-1) <= 1 - KEPT_MASS
    dropped = torch.zeros_like(dropped_in_order).scatter(-1, order, dropped_in_order)
    dropped = dropped.unflatten(1, (GRID, GRID))
    return PatchScores(*(score.masked_fill(dropped, -torch.inf) for score in scores))


def filtered_energy_map(patches: Tensor) -> Tensor:
    """The patch energy map that ViSAGe is conditioned on.

    Args:
        patches: Features (T, 49, d), without class token.

    Returns:
        Shares (T, 49) summing to 1 per frame; patches that do not stand out are exactly 0.
    """
    return energy_map(filtered_scores(patch_scores(patches)))


def _softmax(score: Tensor) -> Tensor:
    return torch.softmax(score.flatten(1) / TEMPERATURE, dim=-1)


def _mean_of_neighbours(grid: Tensor, dimensions: tuple[int, ...]) -> Tensor:
    """Mean of the cells next to each along the dimensions, fewer at a border; 0 where there is none."""
    total = torch.zeros_like(grid)
    count = torch.zeros_like(grid[..., :1])
    for dimension in dimensions:
        length = grid.shape[dimension] - 1
        for target, source in ((1, 0), (0, 1)):
            neighbour = grid.narrow(dimension, source, length)
            total.narrow(dimension, target, length).add_(neighbour)
            count.narrow(dimension, target, length).add_(1)
    return total / count.clamp(min=1)
