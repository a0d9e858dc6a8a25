"""What the networks are told about a clip: raw features, and what is made of them once per clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

Values = TypeVar("Values", "ClipFeatures", "FlowConditions")


@dataclass(frozen=True)
class ClipFeatures:
    """Features of a batch of clips, as the frozen encoders give them.

    Attributes:
        clip: One vector per video frame (B, T, clip_dim).
        sync: Synchronisation tokens (B, S, sync_dim), segment after segment.
        text: One vector per text token (B, W, text_dim).
        patches: Patches of the spatial encoder (B, T, grid, grid, pe_dim); None for a network without the
            spacetime module.
        video_dropped: Clips (B,) whose frames, synchronisation and patches are replaced by the null ones.
        text_dropped: Clips (B,) whose text is replaced by the null one.
    """

    clip: Tensor
    sync: Tensor
    text: Tensor
    patches: Tensor | None = None
    video_dropped: Tensor | None = None
    text_dropped: Tensor | None = None

    def to(self, device: torch.device | str) -> ClipFeatures:
        """The same features on a device."""
        return _changed(self, lambda value: value.to(device))


class FrameGroups(NamedTuple):
    """The different ones among the latent frames of all clips, as their conditions are concerned.

    Attributes:
        clip: Clip of each group (U,).
        sync: Its synchronisation (U, dim).
        spatial: Its spatial features in one channel (U, dim), or None.
        of_frame: Group of each latent frame (B L,), clip after clip.
    """

    clip: Tensor
    sync: Tensor
    spatial: Tensor | None
    of_frame: Tensor


@dataclass(frozen=True)
class FlowConditions:
    """Conditions that do not depend on the time: made once, used at every step and by every branch.

    Attributes:
        clip_tokens: (B, T, dim).
        sync_frames: (B, L, dim), one per latent frame.
        text_tokens: (B, W, dim).
        clip_pooled: (B, dim).
        text_pooled: (B, dim).
        spatial: Frame-aligned spatial features of each audio channel (B, N, L, dim); None without the module.
    """

    clip_tokens: Tensor
    sync_frames: Tensor
    text_tokens: Tensor
    clip_pooled: Tensor
    text_pooled: Tensor
    spatial: Tensor | None = None
    _groups: dict[int | None, FrameGroups] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def batch(self) -> int:
        """Number of clips B."""
        return len(self.clip_tokens)

    @property
    def latent_frames(self) -> int:
        """Latent frames L."""
        return self.sync_frames.shape[1]

    def frame_groups(self, channel: int | None = None) -> FrameGroups:
        """Which latent frames have the same conditions: found once and kept.

        Frames get the nearest synchronisation token, so that most come in pairs; without video, tokens repeat too.

        Args:
            channel: Whose spatial features count as well; None for synchronisation alone.
        """
        if channel not in self._groups:
            parts = [self.sync_frames]
            if channel is not None and self.spatial is not None:
                parts.append(self.spatial[:, channel])
            rows = torch.cat(parts, dim=-1)
            clip = torch.arange(self.batch, device=rows.device, dtype=rows.dtype)
            labelled = torch.cat([clip[:, None, None].expand(-1, self.latent_frames, 1), rows], dim=-1)
            different, index = labelled.flatten(0, 1).unique(dim=0, return_inverse=True)
            label, sync, *spatial = different.split([1, *(part.shape[-1] for part in parts)], dim=-1)
            groups = FrameGroups(label[:, 0].long(), sync, spatial[0] if spatial else None, index)
            self._groups[channel] = groups
        return self._groups[channel]

    def expand(self, batch: int) -> FlowConditions:
        """The conditions of one clip as those of `batch` equal clips, without copying.

        Raises:
            ValueError: If there are several clips already, of another number.
        """
        if self.batch not in (1, batch):
            raise ValueError(
                f"conditions of {self.batch} clips cannot be those of {batch}; give 1 or {batch}"
            )
        return _changed(self, lambda value: value.expand(batch, *value.shape[1:]))

    def with_text_of(self, other: FlowConditions) -> FlowConditions:
        """Frames of this clip with the words of another, e.g. of a negative text."""
        return replace(self, text_tokens=other.text_tokens, text_pooled=other.text_pooled)


def join_conditions(parts: Sequence[FlowConditions]) -> FlowConditions:
    """One batch of all parts, in order.

    Raises:
        ValueError: If only some of them have spatial features, or they are of clips of different lengths.
    """
    if len({part.spatial is None for part in parts}) > 1:
        raise ValueError(
            "some conditions have spatial features and some have none; prepare all with one network"
        )

    lengths = {(part.latent_frames, part.clip_tokens.shape[1], part.text_tokens.shape[1]) for part in parts}
    if len(lengths) > 1:
        raise ValueError(
            f"conditions have different numbers of (latent frames, frames, words): {sorted(lengths)}"
        )
    names = [
        entry.name
        for entry in fields(FlowConditions)
        if entry.init and getattr(parts[0], entry.name) is not None
    ]
    joined: dict[str, Any] = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return FlowConditions(**joined)


def _changed(values: Values, change: Callable[[Tensor], Tensor]) -> Values:
    """The same values with every tensor changed."""
    present = {entry.name: getattr(values, entry.name) for entry in fields(values) if entry.init}
    changes: dict[str, Any] = {name: change(value) for name, value in present.items() if value is not None}
    return replace(values, **changes)
