"""Several tries at one clip, drawn as one batch, and the choice of the best.

ViSAGe-SC's slides name "reranking" without a rule; number, scores and weights here are our reading. A score is a
pure function of the candidates, higher is better; several are brought to one scale before they are weighed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spatialfoley.generators.visage.engine import DecoderEngine
from spatialfoley.generators.visage.sampler import SamplingSettings, SeededNoise, sample_rows
from spatialfoley.generators.visage.token_layout import TokenLayout

MOST_CANDIDATES = 32
"""At full size every candidate holds some 100 MB of keys and values for each branch of the guidance."""


@dataclass(frozen=True)
class Candidates:
    """N tries at each of C clips.

    Attributes:
        codes: (C, N, S, K).
        log_likelihood: Mean of the logarithm of a drawn token's probability (C, N), in nats, as the conditions tell
            it: without guidance, at temperature 1, over all tokens that are allowed.
    """

    codes: Tensor
    log_likelihood: Tensor

    def chosen(self, best: Tensor) -> Tensor:
        """Codes (C, S, K) of one candidate (C,) per clip."""
        return self.codes[torch.arange(len(best), device=self.codes.device), best.to(self.codes.device)]


CandidateScore = Callable[[Candidates], Tensor]
"""Candidates -> scores (C, N), higher is better."""

FieldScore = Callable[[int, Tensor], float]
"""(clip, its sound (4, samples)) -> how well they agree, higher is better."""


class TokenLikelihood:
    """Adds up the log-probabilities of drawn tokens, from the logits of the branch that knows everything.

    Attributes:
        total: Sum over the drawn tokens (B,) in nats.
        count: Number of drawn tokens (B,).
    """

    def __init__(self, layout: TokenLayout, batch: int, device: torch.device | str = "cpu") -> None:
        self._layout = layout
        self.total = torch.zeros(batch, device=device)
        self.count = torch.zeros(batch, dtype=torch.int64, device=device)

    @property
    def mean(self) -> Tensor:
        """Mean log-probability of a drawn token (B,); 0 if none was drawn."""
        return self.total / self.count.clamp(min=1)

    def __call__(
        self, codebooks: tuple[int, ...], predictions: Tensor, chosen: Tensor, drawn: Tensor | None
    ) -> None:
        """A `TokenWatch`."""
        logits = predictions[0].float()
        allowed = self._layout.allowed
        forbidden = None if allowed is None else allowed.forbidden(codebooks, logits.device)
        if forbidden is not None:
            logits = logits.masked_fill(forbidden, -torch.inf)
        # Of a padded prefix no token may be looked up; it is not counted either.
        places = chosen.clamp(0, logits.shape[-1] - 1)[..., None]
        found = logits.gather(-1, places)[..., 0] - logits.logsumexp(-1)
        drawn = torch.ones_like(chosen, dtype=torch.bool) if drawn is None else drawn
        self.total += torch.where(drawn, found, 0.0).sum(dim=1)
        self.count += drawn.sum(dim=1)


def check_candidates(candidates: int) -> int:
    """The number of candidates.

    Raises:
        ValueError: If it is not 1 to `MOST_CANDIDATES`.
    """
    if not 1 <= candidates <= MOST_CANDIDATES:
        raise ValueError(f"candidates is {candidates}; give a whole number from 1 to {MOST_CANDIDATES}")
    return candidates


def sample_candidates(
    engine: DecoderEngine,
    layout: TokenLayout,
    encoder_hidden: Tensor,
    frames: int,
    guidance_weights: tuple[float, ...],
    settings: SamplingSettings,
    seed: int,
    clip_indices: Sequence[int],
    candidates: int = 4,
    prefix: Tensor | None = None,
    on_row: Callable[[int, int], None] | None = None,
) -> Candidates:
    """Draw all candidates of all clips in one batch.

    Args:
        engine: Of the network.
        layout: Of the network.
        encoder_hidden: Encoder states (branches, C, T + 2, D), first the branch that knows everything.
        frames: Codec frames S.
        guidance_weights: One per branch.
        settings: How tokens are drawn.
        seed: Any non-negative integer.
        clip_indices: One number per clip. Noise depends on seed, number and candidate alone, and candidate 0 is the
            clip that is made with one candidate (kernels other than the native ones may round it otherwise).
        candidates: N, 1 to `MOST_CANDIDATES`.
        prefix: Codes (C, P, K) that every candidate of a clip goes on from.
        on_row: As for `sample_rows`.

    Raises:
        ValueError: If candidates is out of range, or as `sample_rows` and the engine say.
    """
    count = check_candidates(candidates)
    states = encoder_hidden.repeat_interleave(count, dim=1)
    batch, device = states.shape[1], states.device
    likelihood = TokenLikelihood(layout, batch, device)
    codes = sample_rows(
        engine.start(states, layout.row_count(frames)),
        layout,
        frames,
        guidance_weights,
        settings,
        SeededNoise(seed, clip_indices, device, count),
        on_row,
        None if prefix is None else prefix.repeat_interleave(count, dim=0),
        likelihood,
    )
    clips = batch // count
    return Candidates(codes.unflatten(0, (clips, count)), likelihood.mean.unflatten(0, (clips, count)))


def token_likelihood(candidates: Candidates) -> Tensor:
    """The score (C, N) of what the network itself finds likely."""
    return candidates.log_likelihood


def field_score(decode: Callable[[Tensor], Tensor], score: FieldScore) -> CandidateScore:
    """A score of what is heard: audio-visual agreement, or spatial agreement (`spatial_agreement`).

    Args:
        decode: Codes (B, S, K) to sound (B, 4, samples); called once per clip with all its candidates.
        score: Of one sound of a clip.
    """

    def scored(candidates: Candidates) -> Tensor:
        return torch.tensor(
            [[score(clip, sound) for sound in decode(codes)] for clip, codes in enumerate(candidates.codes)]
        )

    return scored


def choose_best(scores: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
    """The best candidate (C,) of each clip.

    Each score is brought to mean 0 and deviation 1 over the candidates of a clip, so that their units do not count.
    Of equal candidates the first is taken.

    Args:
        scores: By name, (C, N) each.
        weights: By name; None for 1 each. A score without a weight counts 0.

    Raises:
        ValueError: If there is no score, one is not finite or of another shape, or a weight has no score.
    """
    if not scores:
        raise ValueError("scores is empty; give at least one, for example the token likelihood")
    shape = next(iter(scores.values())).shape
    for name, score in scores.items():
        if score.shape != shape or not bool(score.isfinite().all()):
            raise ValueError(
                f"the score {name!r} of shape {tuple(score.shape)} must be finite and of the shape {tuple(shape)}"
            )
    chosen = dict.fromkeys(scores, 1.0) if weights is None else dict(weights)
    unknown = sorted(set(chosen) - set(scores))
    if unknown:
        raise ValueError(f"weights name {', '.join(unknown)}, but the scores are {', '.join(sorted(scores))}")
    total = torch.zeros(shape)
    for name, weight in chosen.items():
        score = scores[name].double().cpu()
        spread = score.std(dim=1, correction=0, keepdim=True)
        even = (score - score.mean(dim=1, keepdim=True)) / torch.where(spread > 0, spread, 1.0)
        total = total + weight * even
    return total.argmax(dim=1)
