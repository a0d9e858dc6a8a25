"""Several codec frames in one: a codec seen at a lower frame rate, for generators that make them in one step.

Ours; ViSAGe-SC's slides have one codec frame in a step. A generator's step costs nearly the same however many codes
it gives, so a clip takes as many times less as a step holds more frames; the codes of one step are drawn without
seeing each other. Nothing is lost or changed: the codes of g frames of a channel stand side by side.

A group is ordered by channel, then codec frame, then level, so that each channel has g times its levels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from spatialfoley.codecs.codec import Codec


def group_codes(codes: Tensor, levels: int, frames: int, filling: int | None = None) -> Tensor:
    """Put the codes of several codec frames side by side.

    Args:
        codes: (B, S, C levels), by channel, then level.
        levels: Codebooks of one channel and frame.
        frames: Codec frames of a group, g.
        filling: Token of the frames that the last group lacks; None repeats the last frame.

    Returns:
        Codes (B, ceil(S / g), C g levels), by channel, then frame, then level.

    Raises:
        ValueError: If a number is below 1, or the codes do not have whole channels or no frame.
    """
    _check(codes, "levels", levels, frames)
    missing = -codes.shape[1] % frames
    if missing:
        end = codes[:, -1:].expand(-1, missing, -1)
        codes = torch.cat([codes, end if filling is None else torch.full_like(end, filling)], dim=1)
    # (B, S', g, C, levels) -> (B, S', C, g, levels)
    return codes.unflatten(2, (-1, levels)).unflatten(1, (-1, frames)).transpose(2, 3).flatten(2)


def ungroup_codes(codes: Tensor, levels: int, frames: int) -> Tensor:
    """The codes (B, S g, C levels) of groups (B, S, C g levels): the inverse of `group_codes`.

    Frames that filled up the last group stay; cut the sound, or the codes, to the length wanted.

    Raises:
        ValueError: As `group_codes`.
    """
    _check(codes, "levels times frames", levels * frames, frames)
    return codes.unflatten(2, (-1, frames, levels)).transpose(2, 3).flatten(1, 2).flatten(2)


class GroupedCodec:
    """A codec whose frame is several frames of another one.

    Attributes:
        codec: The other one.
        frames: How many of its frames.
        rate_hz: Sample rate.
        hop_samples: Samples of a group.
        frame_rate_hz: Groups per second, nominal.
        levels: Codebooks of one channel: those of every frame of a group.
        vocabulary_size: Tokens of every level are below it.
    """

    def __init__(self, codec: Codec, frames: int) -> None:
        """See a codec by groups.

        Raises:
            ValueError: If `frames` is not positive or does not divide the codec's frame rate.
        """
        frame_rate_hz = codec.rate_hz // codec.hop_samples
        if frames < 1 or frame_rate_hz % frames:
            raise ValueError(
                f"frames is {frames}, but must be at least 1 and divide the codec's {frame_rate_hz} frames a "
                "second: a generator counts whole groups in a second"
            )
        self.codec, self.frames = codec, frames
        self.rate_hz = codec.rate_hz
        self.hop_samples = codec.hop_samples * frames
        self.frame_rate_hz = frame_rate_hz // frames
        self.levels = codec.levels * frames
        self.vocabulary_size = codec.vocabulary_size

    def to(self, device: torch.device | str) -> GroupedCodec:
        """Move the codec, if it is on a device at all."""
        if hasattr(self.codec, "to"):
            self.codec = cast(Codec, cast(nn.Module, self.codec).to(device))
        return self

    def encode(self, samples: Tensor) -> Tensor:
        """Codes (B, S, C g levels) of sound (B, C, N); S = ceil(N / hop). The last frame is repeated as needed."""
        return group_codes(self.codec.encode(samples), self.codec.levels, self.frames)

    def decode(self, codes: Tensor) -> Tensor:
        """Sound (B, C, S hop) of codes (B, S, C g levels).

        Raises:
            ValueError: If the codes are not of whole groups, or as the codec says.
        """
        return self.codec.decode(ungroup_codes(codes, self.codec.levels, self.frames))


def _check(codes: Tensor, name: str, per_channel: int, frames: int) -> None:
    if per_channel < 1 or frames < 1:
        raise ValueError(f"levels and frames give {per_channel} and {frames}, but must be at least 1 each")
    if codes.ndim != 3 or 0 in codes.shape or codes.shape[2] % per_channel:
        raise ValueError(
            f"codes has the shape {tuple(codes.shape)}, but must be (batch, at least 1 frame, a multiple of "
            f"{per_channel}, which is {name})"
        )
