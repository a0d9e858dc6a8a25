"""How the sound of N channels becomes the latents of N branches: three named forms of one interface.

* `published`: every channel is coded by itself, with its own level and its own noise, as ViSAudio does it. Nothing
  ties the channels together; small models generate channels that do not cohere.
* `sign-factored`: what two channels have in common is taken out of the latents. The first channel has shape and
  level; each other one has the shape it would have with the sign (ambisonics) or the delay (ears) of the first,
  and a relation to the first: signed ratio, or level difference and delay. All branches start from the same noise
  for the shape, so that "the same sound" is the plainest answer.
* `parametric`: one branch makes the sound; where it is comes from the `SpatialHead`, as bands of ratios or gains.

Measured beside each other in docs/results.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from spatialfoley.generators.noise import clip_generators

Form = Literal["published", "sign-factored", "parametric"]
Layout = Literal["mono", "binaural", "foa"]

BRANCHES: dict[Layout, tuple[str, ...]] = {
    "mono": ("mono",),
    "binaural": ("left", "right"),
    "foa": ("w", "y", "z", "x"),
}
"""Branches of the forms that make every channel; `parametric` always has that of "mono"."""

SILENCE_DB = -75.0
RATIO_LIMIT = 1.3
_LEVEL_MIDDLE_DB, _LEVEL_SPREAD_DB = -45.0, 15.0
_DIFFERENCE_SPREAD_DB = 5.0
_DELAY_SPREAD_S = 3e-4
_RATIO_SCALE, _WEAK_RATIO = 2.0, 0.05


@dataclass(frozen=True)
class ChannelSound:
    """Sound of a batch of clips as the tiny codec codes it, with what channels have in common written once.

    Attributes:
        shape: Latents of every channel, aligned with the first (B, N, S, D): of the sign, or the delay, of the
            first channel. With `published`, each channel's own.
        level_db: Level of every channel (B, N, S), SILENCE_DB or below where it is silent.
        sign: +1 or -1, the sign of every channel against the first (B, N, S); ones for ears.
        delay_s: By how much the left ear is ahead (B, S); zeros for ambisonics and mono.
    """

    shape: Tensor
    level_db: Tensor
    sign: Tensor
    delay_s: Tensor


@dataclass(frozen=True)
class FormSettings:
    """Which form, for which channels.

    Attributes:
        form: See the module.
        layout: Channels of the sound.
        shape_dim: Latent channels of the codec.
        frames_per_token: Codec frames that are one token of the network.
    """

    form: Form = "sign-factored"
    layout: Layout = "binaural"
    shape_dim: int = 24
    frames_per_token: int = 2

    def __post_init__(self) -> None:
        """Check the choices.

        Raises:
            ValueError: If one is unknown.
        """
        for name, choices in (("form", get_args(Form)), ("layout", get_args(Layout))):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(choices)}"
                )
        if min(self.shape_dim, self.frames_per_token) < 1:
            raise ValueError(
                f"shape_dim {self.shape_dim} and frames_per_token {self.frames_per_token} must be at least 1"
            )

    @property
    def branches(self) -> tuple[str, ...]:
        """Branches that the network needs."""
        return BRANCHES["mono" if self.form == "parametric" else self.layout]

    @property
    def relations(self) -> int:
        """Numbers beside the shape, per codec frame: level or relation, and the delay where there is one."""
        return 2 if self.form == "sign-factored" and self.layout == "binaural" else 1

    @property
    def latent_dim(self) -> int:
        """Latent channels of a token."""
        return self.frames_per_token * (self.shape_dim + self.relations)

    def tokens(self, codec_frames: int) -> int:
        """Tokens of a clip: the last one may reach past its end."""
        return -(-codec_frames // self.frames_per_token)

    def relation_mask(self) -> Tensor:
        """True (latent_dim,) for the numbers beside the shape."""
        mask = torch.zeros(self.frames_per_token, self.shape_dim + self.relations, dtype=torch.bool)
        mask[:, self.shape_dim :] = True
        return mask.flatten()


def pack(sound: ChannelSound, settings: FormSettings, silence: Tensor | None = None) -> Tensor:
    """Latents of sound; relations have about unit spread.

    Args:
        sound: With the branches of `settings`.
        settings: The form.
        silence: Shapes (B, S, D) for frames in which a channel is silent, the same for all channels; None for zero.

    Returns:
        (B, N, L, latent_dim).
    """
    heard = sound.level_db > SILENCE_DB
    filled = torch.zeros_like(sound.shape) if silence is None else silence[:, None].expand_as(sound.shape)
    shape = torch.where(heard[..., None], sound.shape, filled)
    level = (sound.level_db.clamp_min(SILENCE_DB) - _LEVEL_MIDDLE_DB) / _LEVEL_SPREAD_DB
    numbers = [level]
    if settings.form == "published":
        shape = shape * sound.sign[..., None]
    elif settings.form == "sign-factored" and settings.layout == "foa":
        # Through zero where a source crosses a plane: a logarithm would not be smooth there.
        ratio = sound.sign[:, 1:] * 10 ** ((sound.level_db[:, 1:] - sound.level_db[:, :1]) / 20)
        ratio = ratio.clamp(-RATIO_LIMIT, RATIO_LIMIT) * heard[:, :1]
        # A channel too weak to be heard beside the first says nothing about its shape.
        weak = torch.cat([torch.zeros_like(heard[:, :1]), ratio.abs() < _WEAK_RATIO], dim=1)
        shape = torch.where(weak[..., None], shape[:, :1], shape)
        numbers = [torch.cat([level[:, :1], _RATIO_SCALE * ratio], dim=1)]
    elif settings.form == "sign-factored" and settings.layout == "binaural":
        difference = (sound.level_db[:, 1:] - sound.level_db[:, :1]).clamp(-20, 20) / _DIFFERENCE_SPREAD_DB
        delay = (sound.delay_s / _DELAY_SPREAD_S)[:, None].expand_as(level)
        numbers = [torch.cat([level[:, :1], difference * heard[:, :1]], dim=1), delay]
    frames = torch.cat([shape, torch.stack(numbers, dim=-1)], dim=-1)  # (B, N, S, D + relations)
    missing = -frames.shape[2] % settings.frames_per_token
    frames = torch.nn.functional.pad(frames, (0, 0, 0, missing))
    return frames.unflatten(2, (-1, settings.frames_per_token)).flatten(3)


def unpack(latents: Tensor, settings: FormSettings, codec_frames: int) -> ChannelSound:
    """The inverse of `pack`: the sound of `codec_frames` frames."""
    frames = latents.unflatten(3, (settings.frames_per_token, -1)).flatten(2, 3)[:, :, :codec_frames]
    shape, numbers = frames[..., : settings.shape_dim], frames[..., settings.shape_dim :]
    level_db = numbers[..., 0] * _LEVEL_SPREAD_DB + _LEVEL_MIDDLE_DB
    sign, delay_s = torch.ones_like(level_db), torch.zeros_like(level_db[:, 0])
    if settings.form == "sign-factored" and settings.layout == "foa":
        ratio = numbers[:, 1:, :, 0] / _RATIO_SCALE
        sign = torch.cat([sign[:, :1], torch.where(ratio < 0, -1.0, 1.0)], dim=1)
        others_db = level_db[:, :1] + 20 * torch.log10(ratio.abs().clamp_min(1e-4))
        level_db = torch.cat([level_db[:, :1], others_db], dim=1)
    elif settings.form == "sign-factored" and settings.layout == "binaural":
        right_db = level_db[:, :1] + numbers[:, 1:, :, 0] * _DIFFERENCE_SPREAD_DB
        level_db = torch.cat([level_db[:, :1], right_db], dim=1)
        delay_s = numbers[..., 1].mean(dim=1) * _DELAY_SPREAD_S  # both branches tell it
    return ChannelSound(shape, level_db, sign, delay_s)


def amplitudes(sound: ChannelSound) -> Tensor:
    """Signed linear gain (B, N, S) of every channel; 0 where it is as good as silent."""
    gain = sound.sign * 10 ** (sound.level_db / 20)
    return torch.where(sound.level_db > SILENCE_DB + 1.0, gain, 0.0)


def form_noise(
    settings: FormSettings, seed: int, windows: Sequence[int], tokens: int, temperature: float = 1.0
) -> Tensor:
    """Start of the flow (B, N, tokens, latent_dim), for each window from its own generator on the CPU.

    The sign-factored form shares the noise of the shape between the branches, never that of the relations.

    Args:
        settings: The form.
        seed: Of the clip.
        windows: Numbers of the windows.
        tokens: Tokens of a window.
        temperature: Factor of the noise of levels, ratios and delays, from 0. Below 1 they come nearer to what is
            expected, and what starts starts when it is seen to.
    """
    count, mask = len(settings.branches), settings.relation_mask()

    def window(generator: torch.Generator) -> Tensor:
        noise = torch.randn(count, tokens, settings.latent_dim, generator=generator)
        shared = share_shape_noise(noise[None], settings, mask)[0]
        return torch.where(mask, temperature * shared, shared)

    return torch.stack([window(generator) for generator in clip_generators(seed, windows)])


def share_shape_noise(noise: Tensor, settings: FormSettings, mask: Tensor | None = None) -> Tensor:
    """Independent noise (B, N, L, latent_dim) as the form wants it."""
    if settings.form != "sign-factored" or noise.shape[1] == 1:
        return noise
    mask = settings.relation_mask() if mask is None else mask
    return torch.where(mask.to(noise.device), noise, noise[:, :1])
