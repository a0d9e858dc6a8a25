"""Sizes of UniCodec, read off its weights, and the parts of its codebook that belong to kinds of sound."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

ENCODER = "feature_extractor.encodec.encoder"
QUANTIZER = "feature_extractor.encodec.quantizer.vq"
_LAYERS = f"{ENCODER}.transformer_enocoder.transformer.layers"

DOMAINS = ("speech", "music", "audio", "all")
"""Kinds of sound in the order of their published numbers "0", "1" and "2"; "all" is the whole codebook."""


@dataclass(frozen=True)
class UniCodecConfig:
    """Sizes of the network; the defaults are the published ones (210.87 M parameters, 185 M of them used)."""

    rate_hz: int = 24000
    first_width: int = 32
    """Channels after the first convolution of the encoder; each strided one doubles them."""
    strides: tuple[int, ...] = (2, 4, 5, 8)
    """Of the encoder, in the order in which sound passes them (published as ratios 8, 5, 4, 2)."""
    width: int = 512
    heads: int = 8
    layers: int = 8
    experts: int = 3
    expert_width: int = 2048
    codebook_size: int = 16384
    backbone_width: int = 768
    backbone_inner_width: int = 2304
    backbone_layers: int = 12
    bandwidths: int = 4
    """Settings of the backbone's norms; published weights were trained, and run, with number 0."""
    fourier_samples: int = 1280

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(
                f"heads is {self.heads}; it must divide width {self.width} into heads of an even width"
            )
        hop = self.hop_samples
        if self.fourier_samples < hop or (self.fourier_samples - hop) % 2:
            raise ValueError(
                f"fourier_samples is {self.fourier_samples}; with a hop of {hop} it must be larger by an even "
                "number"
            )

    @property
    def hop_samples(self) -> int:
        """Samples of one token."""
        return math.prod(self.strides)

    @classmethod
    def of_weights(cls, state: Mapping[str, Tensor], rate_hz: int = 24000, heads: int = 8) -> UniCodecConfig:
        """Sizes of the network that plain weights belong to.

        Args:
            state: Weights by key, weight norm multiplied out.
            rate_hz: Sample rate, which no weight tells.
            heads: Of the attention, which no weight tells.

        Raises:
            KeyError: If a layer that tells a size is missing.
        """
        # A strided convolution is twice as long as its stride; the last of the encoder has none.
        convolutions = sorted(_numbers(rf"{ENCODER}\.model\.(\d+)\.conv\.conv\.weight", state))
        strided = [f"{ENCODER}.model.{index}.conv.conv.weight" for index in convolutions[1:-1]]
        experts = _numbers(rf"{_LAYERS}\.0\.FFNMOE\.experts\.(\d+)\..+", state)
        codebook, inner = state[f"{QUANTIZER}.embedding.weight"], state["backbone.convnext.0.pwconv1.weight"]
        return cls(
            rate_hz=rate_hz,
            first_width=len(state[f"{ENCODER}.model.0.conv.conv.weight"]),
            strides=tuple(state[key].shape[-1] // 2 for key in strided),
            width=codebook.shape[1],
            heads=heads,
            layers=len(_numbers(rf"{_LAYERS}\.(\d+)\..+", state)),
            experts=len(experts),
            expert_width=len(state[f"{_LAYERS}.0.FFNMOE.experts.0.w1.weight"]),
            codebook_size=codebook.shape[0],
            backbone_width=inner.shape[1],
            backbone_inner_width=inner.shape[0],
            backbone_layers=len(_numbers(r"backbone\.convnext\.(\d+)\..+", state)),
            bandwidths=len(state["backbone.norm.scale.weight"]),
            fourier_samples=len(state["head.out.bias"]) - 2,
        )


def domain_tokens(domain: str, codebook_size: int) -> range:
    """Tokens of a kind of sound: a quarter of the codebook for speech, one for music, half for other sound.

    Args:
        domain: "speech" or "0", "music" or "1", "audio" or "2", "all" or "3".
        codebook_size: Entries of the codebook; 16384 as published: 0, 4096, 8192.

    Raises:
        ValueError: If there is no such domain.
    """
    numbers = {str(number): name for number, name in enumerate(DOMAINS)}
    name = numbers.get(domain, domain)
    if name not in DOMAINS:
        raise ValueError(f"domain is {domain!r}; give one of {', '.join(DOMAINS)}")
    quarter, half = codebook_size // 4, codebook_size // 2
    starts_and_ends = {"speech": (0, quarter), "music": (quarter, half), "audio": (half, codebook_size)}
    return range(*starts_and_ends.get(name, (0, codebook_size)))


def domain_mask(domain: str, codebook_size: int) -> Tensor:
    """Which tokens (codebook_size,) are of a kind of sound: true for those of `domain_tokens`.

    A generator whose training sound was coded in one domain is kept from others by setting the logits of the rest
    to minus infinity.

    Raises:
        ValueError: If there is no such domain.
    """
    allowed = domain_tokens(domain, codebook_size)
    tokens = torch.arange(codebook_size)
    return (tokens >= allowed.start) & (tokens < allowed.stop)


def _numbers(pattern: str, state: Mapping[str, Tensor]) -> set[int]:
    return {int(found[1]) for key in state if (found := re.fullmatch(pattern, key))}
