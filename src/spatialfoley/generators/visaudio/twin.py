"""The tiny twins: ViSAudio's network on the tiny codec's latents, told what the tiny visual encoder sees.

What CLIP, Synchformer and PE-Spatial are to the published model, one small encoder is here: its embedding of every
frame is both the clip and the synchronisation feature, its map of where the sound is the grid of patches. Words
are those of a short list, told apart by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions
from spatialfoley.generators.visaudio.config import MMAudioConfig, SequenceLengths, VisaudioConfig
from spatialfoley.generators.visaudio.forms import FormSettings
from spatialfoley.generators.visaudio.model import VisaudioNetwork

CLIP_STRIDE, PATCH_STRIDE = 4, 2
"""Frames that share a clip token, and a grid of patches."""

PATCH_GRID = 8
_ENCODER_GRID = 7
_FUNCTION_WORDS = frozenset(("a", "an", "and", "of", "the", "with"))


@dataclass(frozen=True)
class TwinConfig:
    """A tiny twin.

    Attributes:
        form: Latents of the channels.
        network: Sizes; latent channels, branches and the widths of text and patches follow from the rest.
        words: What the text may name.
        frame_rate_hz: Frames that are seen per second.
        codec_rate_hz: Codec frames per second.
        window_s: Seconds of the clips it was trained on.
    """

    form: FormSettings
    network: VisaudioConfig
    words: tuple[str, ...]
    frame_rate_hz: int = 20
    codec_rate_hz: int = 50
    window_s: float = 5.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TwinConfig:
        """Read settings by name.

        Raises:
            ValueError: If a name is unknown or a value impossible.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(
                f"unknown settings {', '.join(unknown)}; known are {', '.join(cls.__dataclass_fields__)}"
            )
        rest = {name: value for name, value in values.items() if name not in ("form", "network", "words")}
        form = FormSettings(**values["form"])
        words = tuple(values["words"])
        network = dict(values["network"])
        fixed = {"latent_dim": form.latent_dim, "text_dim": len(words), "text_tokens": 1}
        backbone = MMAudioConfig.from_dict({**network.pop("backbone", {}), **fixed, "sync_segment_tokens": 1})
        sizes = {"branches": list(form.branches), "pe_dim": 1, "pe_grid": PATCH_GRID}
        built = VisaudioConfig.from_dict({**network, **sizes, "backbone": backbone.to_dict()})
        return cls(form, built, words, **rest)

    def to_dict(self) -> dict[str, Any]:
        """Settings as plain values, ready for JSON; `from_dict` reads them back."""
        return {**asdict(self), "network": self.network.to_dict(), "words": list(self.words)}

    def lengths(self, codec_frames: int) -> SequenceLengths:
        """Tokens of a clip of so many codec frames."""
        frames = self.video_frames(codec_frames)
        return SequenceLengths(self.form.tokens(codec_frames), -(-frames // CLIP_STRIDE), frames)

    def video_frames(self, codec_frames: int) -> int:
        """Video frames seen during so many codec frames."""
        return -(-codec_frames * self.frame_rate_hz // self.codec_rate_hz)


class TwinNetwork(VisaudioNetwork):
    """The network of a twin, on latents that are white under the `SpectralPrior`."""

    def __init__(self, twin: TwinConfig) -> None:
        super().__init__(twin.network)
        self.twin = twin
        self.white = ~twin.form.relation_mask()

    def forward(self, x: Tensor, t: Tensor, conditions: FlowConditions) -> Tensor:
        """Velocities as the published network's, but of the shapes only what is left of them is learned.

        Of latents that are white and nothing else, the expected velocity is (2t - 1) / (t^2 + (1 - t)^2) x. Blocks
        that normalise their input would have to learn that first.
        """
        time = t.view(-1, *[1] * (x.ndim - 1)).to(x.dtype)
        known = (2 * time - 1) / (time.square() + (1 - time).square()) * x
        return super().forward(x, t, conditions) + torch.where(self.white.to(x.device), known, 0.0)


def twin_features(embedding: Tensor, energy_map: Tensor, words: Tensor) -> ClipFeatures:
    """What the tiny encoder says of clips, in the places of the published features.

    Args:
        embedding: Of every frame (B, T, D).
        energy_map: Where the sound is, over 7 x 7 patches that sum to 1 (B, T, 49).
        words: 1 for every word that the text names (B, words).

    Returns:
        Clip tokens of CLIP_STRIDE frames, synchronisation tokens of each, grids of PATCH_STRIDE frames.
    """
    maps = _averaged(energy_map * _ENCODER_GRID**2, PATCH_STRIDE)
    grids = maps.unflatten(2, (_ENCODER_GRID, _ENCODER_GRID)).flatten(0, 1)[:, None]
    wide = functional.interpolate(grids, size=(PATCH_GRID, PATCH_GRID), mode="bilinear")
    patches = wide[:, 0].unflatten(0, maps.shape[:2])[..., None]
    return ClipFeatures(_averaged(embedding, CLIP_STRIDE), embedding, words[:, None], patches)


def named_words(text: str, words: tuple[str, ...]) -> tuple[Tensor, list[str]]:
    """1 for every word of the list that a text names (words,), and what the text says beside them."""
    said = re.findall(r"[a-z]+", text.lower())
    known = {form: index for index, word in enumerate(words) for form in (word, f"{word}s")}
    named = torch.zeros(len(words))
    for word in said:
        if word in known:
            named[known[word]] = 1.0
    return named, [word for word in said if word not in known and word not in _FUNCTION_WORDS]


def _averaged(values: Tensor, stride: int) -> Tensor:
    """Means (B, ceil(T / stride), C) over neighbouring frames of (B, T, C)."""
    pooled = functional.avg_pool1d(values.transpose(1, 2), stride, ceil_mode=True)
    return pooled.transpose(1, 2)
