"""The MMAudio flow networks: video and text to the velocity of the latents of one audio channel.

`FlowTrunk` is what ViSAudio keeps of them unchanged; `MMAudioNetwork` adds the rest, in the published key layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visaudio.blocks import (
    FinalLayer,
    FrameConv1d,
    GatedFeedForward,
    JointBlock,
    Rotation,
    StreamBlock,
    Streams,
    TimestepEmbedder,
    rotary_table,
    start_weights,
)
from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions, FrameGroups
from spatialfoley.generators.visaudio.config import MMAudioConfig, SequenceLengths


class FlowTrunk(nn.Module):
    """Projections of all inputs, null conditions and joint blocks."""

    packed: Callable[[Tensor, Tensor, FlowConditions], Tensor] | None = None
    """What computes the velocities instead of the blocks, see `packed_flow.pack_network`."""

    def __init__(self, config: MMAudioConfig) -> None:
        super().__init__()
        self.sizes = config
        dim, inner = config.hidden_dim, config.ffn_dim
        self.latent_mean: Tensor
        self.latent_std: Tensor
        self.empty_string_feat: Tensor
        # Facts of the data and of the frozen text encoder, not learned: zero and one until weights are loaded.
        self.register_buffer("latent_mean", torch.zeros(1, 1, config.latent_dim))
        self.register_buffer("latent_std", torch.ones(1, 1, config.latent_dim))
        self.register_buffer("empty_string_feat", torch.zeros(config.text_tokens, config.text_dim))
        self.empty_clip_feat = nn.Parameter(torch.zeros(1, config.clip_dim))
        self.empty_sync_feat = nn.Parameter(torch.zeros(1, config.sync_dim))
        self.sync_pos_emb = nn.Parameter(torch.zeros(1, 1, config.sync_segment_tokens, config.sync_dim))
        self.audio_input_proj = latent_projection(config)
        self.clip_input_proj = nn.Sequential(
            nn.Linear(config.clip_dim, dim), *_activation(config.v2), GatedFeedForward(dim, inner, 3)
        )
        self.sync_input_proj = nn.Sequential(
            FrameConv1d(config.sync_dim, dim, 7),
            nn.SiLU() if config.v2 else nn.SELU(),
            GatedFeedForward(dim, inner, 3),
        )
        self.text_input_proj = nn.Sequential(
            nn.Linear(config.text_dim, dim), *_activation(config.v2), GatedFeedForward(dim, inner)
        )
        self.clip_cond_proj = nn.Linear(dim, dim)
        self.text_cond_proj = nn.Linear(dim, dim)
        self.global_cond_mlp = GatedFeedForward(dim, inner)
        self.t_embed = TimestepEmbedder(dim, config.timestep_width, config.timestep_max_period)
        last = config.joint_depth - 1
        self.joint_blocks = nn.ModuleList(
            JointBlock(config, last=i == last) for i in range(config.joint_depth)
        )

    def prepare(self, features: ClipFeatures, latent_frames: int) -> FlowConditions:
        """Everything about the clips that does not depend on the time.

        Args:
            features: Of the clips.
            latent_frames: Latent frames L of the sound.

        Raises:
            ValueError: If a shape does not fit the network.
        """
        self._check(features, latent_frames)
        clip = _replaced(features.clip, features.video_dropped, self.empty_clip_feat)
        sync = _replaced(features.sync, features.video_dropped, self.empty_sync_feat)
        text = _replaced(features.text, features.text_dropped, self.empty_string_feat)
        clip_tokens = self.clip_input_proj(clip)
        text_tokens, text_pooled = self._text_conditions(text)
        return FlowConditions(
            clip_tokens=clip_tokens,
            sync_frames=self._sync_frames(sync, latent_frames),
            text_tokens=text_tokens,
            clip_pooled=self.clip_cond_proj(clip_tokens.mean(dim=1)),
            text_pooled=text_pooled,
        )

    def null_conditions(
        self, lengths: SequenceLengths, negative_text: Tensor | None = None
    ) -> FlowConditions:
        """Conditions of no video and no text, for guidance: of one clip, to be reused for every clip.

        Args:
            lengths: Of the clips they are used beside.
            negative_text: Text features (B, W, text_dim) in place of the empty text; then of B clips.
        """
        features = ClipFeatures(
            clip=self.empty_clip_feat.expand(1, lengths.clip, -1),
            sync=self.empty_sync_feat.expand(1, lengths.sync, -1),
            text=self.empty_string_feat[None],
        )
        # Of this class even for ViSAudio, which makes its spatial part from a single frame.
        null = FlowTrunk.prepare(self, features, lengths.latent)
        if negative_text is None:
            return null
        _check_tokens("negative_text", negative_text, len(negative_text), self.sizes.text_dim)
        self._check_text("negative_text", negative_text)
        tokens, pooled = self._text_conditions(negative_text.to(self.empty_string_feat))
        return replace(null.expand(len(tokens)), text_tokens=tokens, text_pooled=pooled)

    @property
    def arithmetic(self) -> str:
        """What products are computed in."""
        dtype = str(self.clip_cond_proj.weight.dtype).removeprefix("torch.")
        return dtype if self.packed is None else "bfloat16"

    @property
    def channels(self) -> int:
        """Audio channels N."""
        raise NotImplementedError

    def channel_blocks(self, index: int) -> nn.ModuleList:
        """The blocks that see one channel alone."""
        raise NotImplementedError

    def channel_condition(
        self, index: int, conditions: FlowConditions, global_condition: Tensor, groups: FrameGroups
    ) -> Tensor:
        """What modulates the blocks of a channel: (U, dim), for each group of latent frames.

        Args:
            index: Channel.
            conditions: Of the clips.
            global_condition: (B, 1, dim), with the time in it.
            groups: Of latent frames, by what this channel sees; see `spatial_channel`.
        """
        raise NotImplementedError

    def final(self, index: int) -> tuple[FinalLayer, bool]:
        """Last layer of a channel, and whether it is modulated as the blocks are, not by the global condition."""
        raise NotImplementedError

    def entry(self, index: int) -> nn.Sequential:
        """The projection by which a channel enters."""
        return self.audio_input_proj

    def spatial_channel(self, index: int) -> int | None:
        """Whose spatial features a channel sees; None for a network without."""
        return None

    def joint_tokens(self, conditions: FlowConditions) -> tuple[Tensor, Tensor]:
        """Frames and words as the joint blocks see them."""
        return conditions.clip_tokens, conditions.text_tokens

    @property
    def tokens_carry_over(self) -> bool:
        """Whether a channel reads frames and words as the channel before left them."""
        return True

    def normalise(self, latents: Tensor) -> Tensor:
        """Latents of the autoencoder (..., L, latent_dim) -> zero mean and unit spread."""
        return (latents - self.latent_mean[0]) / self.latent_std[0]

    def unnormalise(self, latents: Tensor) -> Tensor:
        """The inverse of `normalise`."""
        return latents * self.latent_std[0] + self.latent_mean[0]

    def global_condition(self, conditions: FlowConditions, t: Tensor) -> Tensor:
        """One vector per clip (B, 1, dim): what is seen and said on the whole, and the times t (B,)."""
        known: Tensor = self.global_cond_mlp(conditions.clip_pooled + conditions.text_pooled)
        return (known + self.t_embed(t))[:, None]

    def rotations(
        self, latent_frames: int, clip_tokens: int, device: torch.device
    ) -> tuple[Rotation, Rotation]:
        """Positions of latent frames and of video frames on one time axis."""
        width = self.sizes.head_dim
        return (
            rotary_table(latent_frames, width, 1.0, device),
            rotary_table(clip_tokens, width, latent_frames / clip_tokens, device),
        )

    def _text_conditions(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Text features (B, W, text_dim) -> tokens (B, W, dim) and their average (B, dim)."""
        tokens: Tensor = self.text_input_proj(text)
        pooled: Tensor = self.text_cond_proj(tokens.mean(dim=1))
        return tokens, pooled

    def _sync_frames(self, sync: Tensor, latent_frames: int) -> Tensor:
        """Synchronisation tokens (B, S, sync_dim) -> (B, L, dim): the nearest one for each latent frame."""
        segments = sync.unflatten(1, (-1, self.sizes.sync_segment_tokens)) + self.sync_pos_emb
        projected = self.sync_input_proj(segments.flatten(1, 2)).transpose(1, 2)
        return functional.interpolate(projected, size=latent_frames, mode="nearest-exact").transpose(1, 2)

    def _check(self, features: ClipFeatures, latent_frames: int) -> None:
        sizes, batch = self.sizes, len(features.clip)
        if latent_frames < 1:
            raise ValueError(f"latent_frames is {latent_frames}, but must be at least 1")
        for name, width in (("clip", sizes.clip_dim), ("sync", sizes.sync_dim), ("text", sizes.text_dim)):
            _check_tokens(name, getattr(features, name), batch, width)
        self._check_text("text", features.text)
        if features.sync.shape[1] % sizes.sync_segment_tokens:
            raise ValueError(
                f"sync has {features.sync.shape[1]} tokens, but must have a multiple of "
                f"{sizes.sync_segment_tokens}: give whole segments"
            )

    def _check_text(self, name: str, text: Tensor) -> None:
        if text.shape[1] != self.sizes.text_tokens:
            raise ValueError(
                f"{name} has {text.shape[1]} tokens, but must have {self.sizes.text_tokens}, padding included"
            )


class MMAudioNetwork(FlowTrunk):
    """Velocity of the latents of one channel."""

    def __init__(self, config: MMAudioConfig) -> None:
        super().__init__(config)
        self.config = config
        self.fused_blocks = nn.ModuleList(StreamBlock(config, kernel=3) for _ in range(config.fused_depth))
        self.final_layer = FinalLayer(config)
        start_weights(self)

    @property
    def channels(self) -> int:
        """One."""
        return 1

    def channel_blocks(self, index: int) -> nn.ModuleList:
        """The blocks that see the sound alone."""
        return self.fused_blocks

    def channel_condition(
        self, index: int, conditions: FlowConditions, global_condition: Tensor, groups: FrameGroups
    ) -> Tensor:
        """What modulates the blocks: (U, dim); see `FlowTrunk`."""
        return global_condition[groups.clip, 0] + groups.sync

    def final(self, index: int) -> tuple[FinalLayer, bool]:
        """The last layer, under the global condition."""
        return self.final_layer, False

    def forward(self, x: Tensor, t: Tensor, conditions: FlowConditions) -> Tensor:
        """Velocity at x.

        Args:
            x: Normalised latents (B, L, latent_dim).
            t: Flow times (B,), float32, 0 for noise to 1 for sound.
            conditions: Of the B clips, from `prepare`.

        Returns:
            (B, L, latent_dim) in the type of x.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        check_state(x, t, conditions, self.sizes.latent_dim)
        if self.packed is not None:
            return self.packed(x, t, conditions)
        dtype = conditions.clip_tokens.dtype
        global_condition = self.global_condition(conditions, t)
        frame_condition = global_condition + conditions.sync_frames
        latent_rotation, clip_rotation = self.rotations(x.shape[1], conditions.clip_tokens.shape[1], x.device)
        streams = Streams(self.audio_input_proj(x.to(dtype)), conditions.clip_tokens, conditions.text_tokens)
        for block in self.joint_blocks:
            assert isinstance(block, JointBlock)
            modulation = block.modulation(global_condition, frame_condition)
            streams = block(streams, modulation, latent_rotation, clip_rotation)
        latent = streams.latent
        for fused in self.fused_blocks:
            latent = fused(latent, frame_condition, latent_rotation)
        # The published weights were trained with the global condition here, a slip their authors kept.
        velocity: Tensor = self.final_layer(latent, global_condition)
        return velocity.to(x.dtype)


def latent_projection(config: MMAudioConfig) -> nn.Sequential:
    """Noisy latents (B, L, latent_dim) -> (B, L, dim)."""
    return nn.Sequential(
        FrameConv1d(config.latent_dim, config.hidden_dim, 7),
        nn.SiLU() if config.v2 else nn.SELU(),
        GatedFeedForward(config.hidden_dim, config.ffn_dim, 7),
    )


def check_state(x: Tensor, t: Tensor, conditions: FlowConditions, latent_dim: int) -> None:
    """Raise ValueError unless x (B, ..., L, latent_dim) and t (B,) belong to the conditions."""
    expected = (conditions.batch, conditions.latent_frames, latent_dim)
    if (len(x), *x.shape[-2:]) != expected:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, but the conditions are of {expected[0]} clips of {expected[1]} "
            f"latent frames and the network has {latent_dim} latent channels"
        )
    if t.shape != (conditions.batch,):
        raise ValueError(
            f"t has shape {tuple(t.shape)}, but must be ({conditions.batch},): one time per clip"
        )


def _activation(v2: bool) -> list[nn.Module]:
    """The first version has none here, which also moves the published key of the next layer."""
    return [nn.SiLU()] if v2 else []


def _check_tokens(name: str, value: Tensor, batch: int, width: int) -> None:
    if value.ndim != 3 or len(value) != batch or value.shape[1] < 1 or value.shape[2] != width:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, but must be ({batch}, tokens, {width})")


def _replaced(values: Tensor, dropped: Tensor | None, null: Tensor) -> Tensor:
    """Values (B, L, C) in the network's type, those of dropped clips (B,) replaced by null (1 or L, C)."""
    values = values.to(null.dtype)
    if dropped is None:
        return values
    if dropped.shape != (len(values),):
        raise ValueError(
            f"a mask of dropped clips has shape {tuple(dropped.shape)}, but must be ({len(values)},)"
        )
    return torch.where(dropped[:, None, None], null, values)
