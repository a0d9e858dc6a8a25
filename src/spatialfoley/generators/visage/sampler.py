"""Choosing tokens row by row. Takes a step function and knows no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from spatialfoley.generators.guidance import mix_branches
from spatialfoley.generators.noise import clip_generators
from spatialfoley.generators.visage.stepper import StepFunction
from spatialfoley.generators.visage.token_layout import TokenLayout

_FEW_OF_MANY = 16
"""From here on, sorting out the k largest of a vocabulary is quicker than selecting the k-th: the same number."""


@dataclass(frozen=True)
class SamplingSettings:
    """How a token is drawn from its logits.

    Attributes:
        top_k: Only the k likeliest tokens can be drawn (those equal to the k-th included).
        temperature: Logits are divided by it; 0 takes the likeliest token.
        spatial_temperature: Temperature of the codebooks of Y, Z, X; None for the same.
        spatial_top_k: `top_k` of the codebooks of Y, Z, X; None for the same.
        expected_ratios: Whether the first level of Y, Z, X is taken at its expected value. Only for codecs whose
            first level is a scale (the tiny codec's ratio to W): where the network is unsure of the direction
            the field then becomes wider instead of jumping about.
    """

    top_k: int = 256
    temperature: float = 1.0
    spatial_temperature: float | None = None
    spatial_top_k: int | None = None
    expected_ratios: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a temperature is negative or not finite, or a k is not positive.
        """
        for name in ("temperature", "spatial_temperature"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value}, but must be finite and at least 0 (0: greedy)")
        for name in ("top_k", "spatial_top_k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, but must be at least 1")

    @classmethod
    def greedy(cls) -> SamplingSettings:
        """Always the likeliest token; needs no noise."""
        return cls(temperature=0.0)

    @property
    def of_w(self) -> tuple[float, int]:
        """Temperature and k of the codebooks of W."""
        return self.temperature, self.top_k

    @property
    def of_spatial(self) -> tuple[float, int]:
        """Temperature and k of the codebooks of Y, Z, X."""
        temperature = self.temperature if self.spatial_temperature is None else self.spatial_temperature
        return temperature, self.top_k if self.spatial_top_k is None else self.spatial_top_k


class NoiseSource(Protocol):
    """Exp(1) noise for the draws; token = argmax(probability / noise)."""

    def draw(self, active: int, vocabulary: int) -> Tensor:
        """Noise (B, active, vocabulary) of the next row, codebooks ascending."""
        ...


class SeededNoise:
    """Noise of each clip from its own generator, so that no clip depends on its batch or on the device."""

    def __init__(
        self,
        seed: int,
        clip_indices: Sequence[int],
        device: torch.device | str | None = None,
        candidates: int = 1,
    ) -> None:
        """Start one generator per clip and candidate.

        Args:
            seed: Any non-negative integer.
            clip_indices: One non-negative number per clip of the batch; the same number gives the same noise.
            device: Where the noise is needed. It is always drawn on the CPU.
            candidates: Candidates of each clip, side by side in the batch. The first has the noise that the clip
                has alone.

        Raises:
            ValueError: If a number is negative, or there is no clip or candidate.
        """
        self._device = device
        self._generators = clip_generators(seed, clip_indices, candidates)

    def draw(self, active: int, vocabulary: int) -> Tensor:
        """Noise (B, active, vocabulary) of the next row."""
        uniform = torch.empty(len(self._generators), active, vocabulary)
        for row, generator in zip(uniform, self._generators, strict=True):
            row.uniform_(generator=generator)
        # -log(0) is infinite: such a token is simply never drawn.
        return uniform.log_().neg_().to(self._device)


class StoredNoise:
    """Noise read from an array, one draw (B, V) per active codebook, in order."""

    def __init__(self, draws: Tensor) -> None:
        """Read from draws (number, B, V)."""
        self._draws = draws
        self._used = 0

    def draw(self, active: int, vocabulary: int) -> Tensor:
        """Noise (B, active, vocabulary) of the next row.

        Raises:
            ValueError: If the array is used up or has another vocabulary.
        """
        noise = self._draws[self._used : self._used + active]
        self._used += active
        if noise.shape[0] != active or noise.shape[2] != vocabulary:
            raise ValueError(
                f"the stored noise has the shape {tuple(self._draws.shape)}, but draws "
                f"{self._used - active} to {self._used - 1} of {vocabulary} values were asked for"
            )
        return noise.transpose(0, 1)


class TokenWatch(Protocol):
    """Sees every token that is drawn."""

    def __call__(
        self, codebooks: tuple[int, ...], predictions: Tensor, chosen: Tensor, drawn: Tensor | None
    ) -> None:
        """One row.

        Args:
            codebooks: The active ones.
            predictions: Logits (branches, B, active, V) as the step function gave them.
            chosen: Which of the V was taken (B, active).
            drawn: Where it was drawn and not given by the prefix (B, active); None for everywhere.
        """
        ...


@torch.no_grad()
def sample_rows(
    step_fn: StepFunction,
    layout: TokenLayout,
    frames: int,
    guidance_weights: tuple[float, ...],
    settings: SamplingSettings,
    noise: NoiseSource | None,
    on_row: Callable[[int, int], None] | None = None,
    prefix: Tensor | None = None,
    watch: TokenWatch | None = None,
) -> Tensor:
    """Generate the codes of a batch of clips.

    Args:
        step_fn: Gives the logits (branches, B, active, V) of each row in turn.
        layout: Which codebooks each row holds, and which tokens may be drawn.
        frames: Codec frames S.
        guidance_weights: One weight per branch, summing to 1 (`Guidance.weights`).
        settings: How tokens are drawn.
        noise: Noise for the draws; may be None when every codebook is greedy.
        on_row: Called after each row with its number (from 1) and the number of rows.
        prefix: Codes (B, P, K) of the first P < S frames, which are fed to the network as they are and use up no
            noise: the clip goes on from there.
        watch: Called with every row that is not wholly given by the prefix.

    Returns:
        Codes (B, S, K), int64.

    Raises:
        ValueError: If frames is not positive, noise is missing, the prefix leaves nothing to generate, or
            expected ratios are asked for where there is no level of ratios.
    """
    if frames < 1:
        raise ValueError(
            f"frames is {frames}, but must be at least 1: the clip is shorter than one codec frame"
        )
    greedy = settings.of_w[0] == 0 and settings.of_spatial[0] == 0
    if noise is None and not greedy:
        raise ValueError("noise is None, but a temperature above 0 needs it")
    if prefix is not None and prefix.shape[1] >= frames:
        raise ValueError(f"prefix has {prefix.shape[1]} frames, but must be shorter than the clip's {frames}")
    if settings.expected_ratios and layout.codec_levels == 1:
        raise ValueError(
            "expected_ratios is set, but needs a codec whose first level is a scale beside others of shape; "
            "this one has one code per channel"
        )
    if prefix is not None and layout.allowed is not None:
        layout.allowed.refuse(prefix, layout.pad_id)
    known = None if prefix is None or prefix.shape[1] == 0 else layout.interleave(prefix).transpose(0, 1)
    given_rows = 0 if prefix is None else layout.known_rows(prefix.shape[1])
    row_count = layout.row_count(frames)
    first_token = 0 if layout.window is None else layout.window.start
    rows: Tensor | None = None
    previous: Tensor | None = None
    for row_index in range(row_count):
        predictions = step_fn(row_index, previous)
        if known is not None and row_index < given_rows:
            previous = known[row_index]
            continue
        logits = mix_branches(predictions, guidance_weights)
        batch, count, vocabulary = logits.shape
        drawn = None if greedy or noise is None else noise.draw(count, vocabulary)
        if rows is None:
            rows = torch.full((row_count, batch, layout.codebooks), layout.pad_id, device=logits.device)
            if known is not None:
                rows[: len(known)] = known
        codebooks = layout.active_codebooks(row_index, row_count - 1)
        place = _placement(codebooks, layout, logits.device)
        if place.forbidden is not None:
            logits.masked_fill_(place.forbidden, -torch.inf)
        chosen = _choose(logits, place.w_count, settings, drawn)
        if settings.expected_ratios and place.ratios is not None:
            chosen[:, place.ratios] = expected_tokens(logits[:, place.ratios])
        fresh: Tensor | None = None
        if known is not None and row_index < len(known):
            # The row after the prefix still holds what comes late of its last frame.
            given = known[row_index][:, place.active]
            fresh = given == layout.pad_id
            chosen = torch.where(fresh, chosen, given - first_token)
        if watch is not None:
            watch(codebooks, predictions, chosen, fresh)
        previous = rows[row_index]
        previous[:, place.active] = chosen + first_token if first_token else chosen
        if on_row is not None:
            on_row(row_index + 1, row_count)
    assert rows is not None
    return layout.deinterleave(rows.transpose(0, 1))


def repeat_last_frame(codes: Tensor, frames: int) -> Tensor:
    """Lengthen codes (B, S, K) to `frames` codec frames by repeating the last, as published.

    The nominal frame rate of the codec is a little lower than its true one, so the generated frames may end
    before the clip does. Codes that are long enough are returned unchanged.

    Raises:
        ValueError: If there is no frame to repeat.
    """
    if codes.shape[1] == 0:
        raise ValueError("codes has no frame to repeat")
    missing = frames - codes.shape[1]
    if missing <= 0:
        return codes
    return torch.cat([codes, codes[:, -1:].expand(-1, missing, -1)], dim=1)


def draw_tokens(logits: Tensor, temperature: float, top_k: int, noise: Tensor | None) -> Tensor:
    """Draw one token per codebook.

    Args:
        logits: (B, active, V).
        temperature: 0 takes the likeliest token.
        top_k: Tokens below the k-th largest logit are left out; ties with it stay.
        noise: Exp(1) draws (B, active, V); not read at temperature 0.

    Returns:
        Tokens (B, active).
    """
    if temperature == 0 or noise is None:
        return logits.argmax(dim=-1)
    if temperature != 1.0:
        logits = logits / temperature
    vocabulary = logits.shape[-1]
    if top_k < vocabulary:
        if top_k * _FEW_OF_MANY <= vocabulary:
            kth_largest = logits.topk(top_k, dim=-1).values[..., -1:]
        else:
            kth_largest = logits.kthvalue(vocabulary - top_k + 1, dim=-1, keepdim=True).values
        logits = logits.masked_fill(logits < kth_largest, -torch.inf)
    return (torch.softmax(logits, dim=-1) / noise).argmax(dim=-1)


def expected_tokens(logits: Tensor) -> Tensor:
    """Tokens (B, active) nearest to the mean of the distributions (B, active, V), tokens taken as a scale."""
    scale = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
    return (torch.softmax(logits, dim=-1) @ scale).round().long()


def _choose(logits: Tensor, w_count: int, settings: SamplingSettings, noise: Tensor | None) -> Tensor:
    """Tokens (B, active) of one row whose first `w_count` codebooks are of W."""
    if settings.of_w == settings.of_spatial or w_count == logits.shape[1]:
        return draw_tokens(logits, *settings.of_w, noise)
    parts = []
    for part, rule in ((slice(0, w_count), settings.of_w), (slice(w_count, None), settings.of_spatial)):
        part_noise = None if noise is None else noise[:, part]
        parts.append(draw_tokens(logits[:, part], *rule, part_noise))
    return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class _Placement:
    """The codebooks of a row.

    Attributes:
        active: As an index.
        w_count: How many of them are of W (they come first).
        ratios: Places in `active` of the first levels of Y, Z, X; None if there are none.
        forbidden: Tokens that must not be drawn (active, V); None if all may be.
    """

    active: Tensor
    w_count: int
    ratios: Tensor | None
    forbidden: Tensor | None


@lru_cache(maxsize=64)
def _placement(active: tuple[int, ...], layout: TokenLayout, device: torch.device) -> _Placement:
    levels, own = layout.levels, layout.codec_levels
    ratios = [place for place, k in enumerate(active) if k >= levels and k % own == 0]
    return _Placement(
        active=torch.tensor(active, device=device),
        w_count=sum(codebook < levels for codebook in active),
        ratios=torch.tensor(ratios, device=device) if ratios else None,
        forbidden=None if layout.allowed is None else layout.allowed.forbidden(active, device),
    )
