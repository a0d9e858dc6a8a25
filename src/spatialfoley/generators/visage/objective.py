"""Training maths of ViSAGe: the loss over codebooks and the dropping of conditions for guidance."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.generators.visage.model import RowLogits, VisageConditions, VisageModel
from spatialfoley.generators.visage.token_layout import IGNORED_LABEL, TokenLayout

DropRule = Literal["published", "per_sample"]


class CodebookLoss(NamedTuple):
    """Loss of a batch.

    Attributes:
        total: Sum over the codebooks, a scalar.
        per_codebook: Mean cross-entropy (K,) in nats; 0 for a codebook without a target.
    """

    total: Tensor
    per_codebook: Tensor


def codebook_loss(
    logits: RowLogits, labels: Tensor, layout: TokenLayout, label_smoothing: float = 0.0
) -> CodebookLoss:
    """Sum over codebooks of the mean cross-entropy over their targets, as published.

    Args:
        logits: Of every row of the batch.
        labels: Targets (B, R, K) with `IGNORED_LABEL` in cells left out (`TokenLayout.labels`).
        layout: Where each codebook stands.
        label_smoothing: 0 to 1.
    """
    parts = [
        (logits.even, labels[:, 0::2, list(layout.even)], layout.even),
        (logits.odd, labels[:, 1::2, list(layout.odd)], layout.odd),
    ]
    return _summed_loss(parts, layout.codebooks, label_smoothing)


def sparse_codebook_loss(
    model: VisageModel,
    hidden: Tensor,
    labels: Tensor,
    fine_frames: Tensor,
    label_smoothing: float = 0.0,
) -> CodebookLoss:
    """`codebook_loss` with the finer levels of Y, Z, X learnt on some frames only: the same in expectation.

    Their heads are most of the output layer's work; on a CPU this makes a training step a third faster.

    Args:
        model: Gives the logits.
        hidden: Decoder states (B, R, D) of all rows of an ambisonic clip.
        labels: Targets (B, R, K).
        fine_frames: Codec frames, ascending, at which the finer levels of Y, Z, X count.
        label_smoothing: 0 to 1.
    """
    layout = model.layout
    even, odd, fine = hidden[:, 0::2], hidden[:, 1::2], hidden[:, 2 * fine_frames + 2]
    fine_labels = labels[:, 2 * fine_frames + 2]
    parts = [
        (model.stacked_logits(even, (0,)), labels[:, 0::2, [0]], (0,)),
        (model.stacked_logits(odd, layout.odd), labels[:, 1::2, list(layout.odd)], layout.odd),
        (
            model.stacked_logits(fine, layout.spatial_fine),
            fine_labels[..., list(layout.spatial_fine)],
            layout.spatial_fine,
        ),
    ]
    return _summed_loss(parts, layout.codebooks, label_smoothing)


def _summed_loss(
    parts: list[tuple[Tensor, Tensor, tuple[int, ...]]], codebooks: int, label_smoothing: float
) -> CodebookLoss:
    """Loss of parts (logits (B, rows, n, V), targets (B, rows, n), their n codebooks)."""
    per_codebook = parts[0][0].new_zeros(codebooks, dtype=torch.float32)
    for logits, targets, active in parts:
        losses = functional.cross_entropy(
            logits.flatten(0, -2).float(),
            targets.flatten(),
            ignore_index=IGNORED_LABEL,
            label_smoothing=label_smoothing,
            reduction="none",
        ).view(-1, len(active))
        counts = (targets != IGNORED_LABEL).flatten(0, 1).sum(dim=0)
        index = torch.tensor(active, device=losses.device)
        per_codebook = per_codebook.index_copy(0, index, losses.sum(dim=0) / counts.clamp(min=1))
    return CodebookLoss(per_codebook.sum(), per_codebook.detach())


def drop_conditions(
    conditions: VisageConditions,
    probability: float,
    rule: DropRule = "published",
    generator: torch.Generator | None = None,
) -> VisageConditions:
    """Mark conditions to be replaced by the learned null ones, so that guidance can be used later.

    Visual conditions (frames together with energy maps) and the direction are dropped independently. For
    training only: call it before the forward pass, and evaluation stays undisturbed.

    Args:
        conditions: Of a batch.
        probability: Chance of each of the two, 0 to 1.
        rule: "published" draws once for the whole batch, "per_sample" once for each clip.
        generator: Source of the draws, on the CPU; None for torch's own.

    Raises:
        ValueError: If the probability is out of range or the rule unknown.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability is {probability}, but must be from 0 to 1")
    if rule not in ("published", "per_sample"):
        raise ValueError(f"rule is {rule!r}, but must be 'published' or 'per_sample'")
    batch = len(conditions.frames)
    draws = torch.rand(2, batch if rule == "per_sample" else 1, generator=generator).expand(2, batch)
    visual, direction = (draws < probability).to(conditions.frames.device)
    return replace(conditions, visual_dropped=visual, direction_dropped=direction)
