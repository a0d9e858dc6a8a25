"""Training maths of ViSAGe: the loss over codebooks and the dropping of conditions for guidance."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.generators.visage.allowed_tokens import AllowedTokens
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.model import RowLogits, VisageModel
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
    logits: RowLogits,
    labels: Tensor,
    layout: TokenLayout,
    label_smoothing: float = 0.0,
    allowed: AllowedTokens | None = None,
) -> CodebookLoss:
    """Sum over codebooks of the mean cross-entropy over their targets, as published.

    Args:
        logits: Of every row of the batch; of the tokens of `allowed.window` only, if given.
        labels: Targets (B, R, K) with `IGNORED_LABEL` in cells left out (`TokenLayout.labels`).
        layout: Where each codebook stands.
        label_smoothing: 0 to 1.
        allowed: Other tokens have the probability 0 in the loss too; None for all tokens (published).

    Raises:
        ValueError: If labels are to be smoothed over tokens that are not allowed.
    """
    _refuse_smoothing(allowed, label_smoothing)
    parts = []
    for phase, group in enumerate(layout.groups):
        drawn, targets = logits[phase], labels[:, phase :: layout.period, list(group)]
        if allowed is not None:
            forbidden = allowed.forbidden(group, drawn.device)
            drawn = drawn if forbidden is None else drawn.masked_fill(forbidden, -torch.inf)
            targets = _counted_from(targets, allowed.window.start)
        parts.append((drawn, targets, group))
    return _summed_loss(parts, layout.codebooks, label_smoothing)


def sparse_codebook_loss(
    model: VisageModel,
    hidden: Tensor,
    labels: Tensor,
    fine_frames: Tensor,
    label_smoothing: float = 0.0,
    allowed: AllowedTokens | None = None,
) -> CodebookLoss:
    """`codebook_loss` with the finer levels of Y, Z, X learnt on some frames only: the same in expectation.

    Their heads are most of the output layer's work; on a CPU this makes a training step a third faster. Nor are
    logits computed that a codebook may not take: a scale of a hundred tokens costs no vocabulary of thousands.

    Args:
        model: Gives the logits.
        hidden: Decoder states (B, R, D) of all rows of an ambisonic clip.
        labels: Targets (B, R, K).
        fine_frames: Codec frames, ascending, at which the finer levels of Y, Z, X count.
        label_smoothing: 0 to 1.
        allowed: As for `codebook_loss`.
    """
    layout, fine = model.layout, model.layout.spatial_fine
    taken: list[tuple[Tensor | slice, tuple[int, ...]]] = [
        (slice(phase, None, layout.period), tuple(k for k in group if k not in fine))
        for phase, group in enumerate(layout.groups)
    ]
    if fine:
        taken.append((layout.period * fine_frames + layout.offsets[fine[0]], fine))
    _refuse_smoothing(allowed, label_smoothing)
    parts = []
    for rows, group in taken:
        for codebooks, window in _by_range(group, allowed):
            targets = labels[:, rows][..., list(codebooks)]
            if window is not None:
                targets = _counted_from(targets, window.start)
            parts.append((model.stacked_logits(hidden[:, rows], codebooks, window), targets, codebooks))
    return _summed_loss(parts, layout.codebooks, label_smoothing)


def _by_range(
    group: tuple[int, ...], allowed: AllowedTokens | None
) -> list[tuple[tuple[int, ...], range | None]]:
    """Codebooks that may take the same tokens, and these; None for all."""
    if allowed is None:
        return [(group, None)] if group else []
    pairs = sorted({allowed.ranges[k] for k in group})
    return [(tuple(k for k in group if allowed.ranges[k] == pair), range(*pair)) for pair in pairs]


def _refuse_smoothing(allowed: AllowedTokens | None, label_smoothing: float) -> None:
    if allowed is not None and allowed.uneven and label_smoothing:
        raise ValueError(
            f"label_smoothing is {label_smoothing}, but must be 0 where codebooks may take different tokens: "
            "smoothing gives a share to tokens that are left out"
        )


def _counted_from(targets: Tensor, first: int) -> Tensor:
    """Targets as numbers of the tokens from `first` on."""
    return torch.where(targets == IGNORED_LABEL, targets, targets - first)


def _summed_loss(
    parts: list[tuple[Tensor, Tensor, tuple[int, ...]]], codebooks: int, label_smoothing: float
) -> CodebookLoss:
    """Loss of parts (logits (B, rows, n, V), targets (B, rows, n) among these V, their n codebooks)."""
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
