"""ViSAudio: MMAudio with a branch for each audio channel.

The channels go one after the other through the same joint blocks, whose frames and words carry over from one to
the next, and then through single blocks of their own, under a condition of their own.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from spatialfoley.generators.visaudio.backbone import FlowTrunk, check_state, latent_projection
from spatialfoley.generators.visaudio.blocks import (
    FinalLayer,
    JointBlock,
    JointModulation,
    Rotation,
    StreamBlock,
    Streams,
    start_weights,
)
from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions, FrameGroups
from spatialfoley.generators.visaudio.config import SequenceLengths, VisaudioConfig
from spatialfoley.generators.visaudio.spacetime import SpacetimeModule

_SHARED = "shared"


class VisaudioNetwork(FlowTrunk):
    """Velocities of the latents of N channels."""

    def __init__(self, config: VisaudioConfig) -> None:
        super().__init__(config.backbone)
        self.config = config
        sizes, names = config.backbone, config.branches
        # The first branch always enters by MMAudio's own projection.
        own_entries = names[1:] if config.latent_projection == "per_branch" else ()
        self.branch_input_proj = nn.ModuleDict({name: latent_projection(sizes) for name in own_entries})
        self.branch_blocks = nn.ModuleDict(
            {
                name: nn.ModuleList(StreamBlock(sizes, kernel=3) for _ in range(sizes.fused_depth))
                for name in names
            }
        )
        own_ends = names if config.final_layer == "per_branch" else (_SHARED,)
        self.final_layers = nn.ModuleDict({name: FinalLayer(sizes) for name in own_ends})
        self.spacetime = SpacetimeModule(config) if config.spacetime else None
        start_weights(self)
        if self.spacetime is not None:
            self.spacetime.start_weights()

    def prepare(self, features: ClipFeatures, latent_frames: int) -> FlowConditions:
        """Everything about the clips that does not depend on the time, the spatial features included.

        Args:
            features: Of the clips; with patches, unless the network has no spacetime module.
            latent_frames: Latent frames L of the sound.

        Raises:
            ValueError: If a shape does not fit the network, or patches are missing.
        """
        conditions = super().prepare(features, latent_frames)
        if self.spacetime is None:
            return conditions
        if features.patches is None or len(features.patches) != conditions.batch:
            raise ValueError(
                f"patches of {conditions.batch} clips are needed, but there are "
                f"{'none' if features.patches is None else len(features.patches)}; "
                "only a network with spacetime=False does without"
            )
        spatial = self.spacetime.frame_aligned(features.patches, latent_frames, features.video_dropped)
        return replace(conditions, spatial=spatial)

    def null_conditions(
        self, lengths: SequenceLengths, negative_text: Tensor | None = None
    ) -> FlowConditions:
        """Conditions of no video and no text, for guidance: of one clip, to be reused for every clip.

        Args:
            lengths: Of the clips they are used beside.
            negative_text: Text features (B, W, text_dim) in place of the empty text; then of B clips.
        """
        conditions = super().null_conditions(lengths, negative_text)
        if self.spacetime is None:
            return conditions
        spatial = self.spacetime.null_frame_aligned(lengths.latent)
        return replace(conditions, spatial=spatial.expand(conditions.batch, -1, -1, -1))

    def forward(self, x: Tensor, t: Tensor, conditions: FlowConditions) -> Tensor:
        """Velocities at x.

        Args:
            x: Normalised latents of every channel (B, N, L, latent_dim), in the order of `config.branches`.
            t: Flow times (B,), float32, 0 for noise to 1 for sound.
            conditions: Of the B clips, from `prepare`.

        Returns:
            (B, N, L, latent_dim) in the type of x.

        Raises:
            ValueError: If the shapes do not belong together.
        """
        self._check_state(x, t, conditions)
        if self.packed is not None:
            return self.packed(x, t, conditions)
        global_condition = self.global_condition(conditions, t)
        latents = self.joint_states(x, conditions, global_condition)
        rotation, _ = self.rotations(x.shape[2], 1, x.device)
        velocities = []
        for index, latent in enumerate(latents):
            condition = self.branch_condition(index, conditions, global_condition)
            for block in self.channel_blocks(index):
                latent = block(latent, condition, rotation)
            last, own_condition = self.final(index)
            velocities.append(last(latent, condition if own_condition else global_condition).to(x.dtype))
        return torch.stack(velocities, dim=1)

    @property
    def channels(self) -> int:
        """Audio channels N."""
        return len(self.config.branches)

    def channel_blocks(self, index: int) -> nn.ModuleList:
        """The blocks that see one channel alone."""
        blocks = self.branch_blocks[self.config.branches[index]]
        assert isinstance(blocks, nn.ModuleList)
        return blocks

    def channel_condition(
        self, index: int, conditions: FlowConditions, global_condition: Tensor, groups: FrameGroups
    ) -> Tensor:
        """What modulates the blocks of a channel: (U, dim); see `FlowTrunk` and `branch_condition`."""
        if self.spacetime is None:
            return global_condition[groups.clip, 0] + groups.sync
        assert groups.spatial is not None
        known = self._known_condition(conditions, global_condition)[groups.clip, 0]
        return self.spacetime.unite(self.config.branches[index], known + groups.sync, groups.spatial)

    def final(self, index: int) -> tuple[FinalLayer, bool]:
        """Last layer of a channel, and whether it is modulated as the blocks are, not by the global condition."""
        name = self.config.branches[index]
        last = self.final_layers[name if name in self.final_layers else _SHARED]
        assert isinstance(last, FinalLayer)
        return last, self.config.final_condition != "global"

    def entry(self, index: int) -> nn.Sequential:
        """The projection by which a channel enters."""
        name = self.config.branches[index]
        own = name in self.branch_input_proj
        entry = self.branch_input_proj[name] if own else self.audio_input_proj
        assert isinstance(entry, nn.Sequential)
        return entry

    def spatial_channel(self, index: int) -> int | None:
        """Whose spatial features a channel sees; None without the module."""
        return None if self.spacetime is None else index

    def joint_tokens(self, conditions: FlowConditions) -> tuple[Tensor, Tensor]:
        """Frames and words as the joint blocks see them."""
        clip, text = conditions.clip_tokens, conditions.text_tokens
        if self.config.joint_tokens == "averaged":
            return clip.mean(dim=1, keepdim=True), text.mean(dim=1, keepdim=True)
        return clip, text

    @property
    def tokens_carry_over(self) -> bool:
        """Whether a channel reads frames and words as the channel before left them."""
        return self.config.token_update == "sequential"

    def joint_states(self, x: Tensor, conditions: FlowConditions, global_condition: Tensor) -> list[Tensor]:
        """Each channel (B, L, dim) after the joint blocks: eq. 5 and 6 of the paper.

        Args:
            x: Latents (B, N, L, latent_dim).
            conditions: Of the clips.
            global_condition: (B, 1, dim), with the time in it.
        """
        state = x.to(conditions.clip_tokens.dtype)
        latents = [self.entry(index)(state[:, index]) for index in range(self.channels)]
        clip, text = self.joint_tokens(conditions)
        frame_condition = global_condition + conditions.sync_frames
        rotations = self.rotations(x.shape[2], clip.shape[1], x.device)
        for block in self.joint_blocks:
            assert isinstance(block, JointBlock)
            modulation = block.modulation(global_condition, frame_condition)
            latents, clip, text = self._joint_step(block, latents, clip, text, modulation, rotations)
        return latents

    def branch_condition(self, index: int, conditions: FlowConditions, global_condition: Tensor) -> Tensor:
        """What modulates the single blocks of a channel (B, L, dim): eq. 10 of the paper."""
        if self.spacetime is None:
            return global_condition + conditions.sync_frames
        assert conditions.spatial is not None
        condition = self._known_condition(conditions, global_condition) + conditions.sync_frames
        return self.spacetime.unite(self.config.branches[index], condition, conditions.spatial[:, index])

    def _known_condition(self, conditions: FlowConditions, global_condition: Tensor) -> Tensor:
        """A20: the global condition of eq. 10 (B, 1, dim), with or without the time."""
        if self.config.spacetime_sees_time:
            return global_condition
        known: Tensor = self.global_cond_mlp(conditions.clip_pooled + conditions.text_pooled)
        return known[:, None]

    def _joint_step(
        self,
        block: JointBlock,
        latents: list[Tensor],
        clip: Tensor,
        text: Tensor,
        modulation: JointModulation,
        rotations: tuple[Rotation, Rotation],
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """One joint block for every channel in turn: channels, frames and words after it."""
        updated: list[Tensor] = []
        first: Streams | None = None
        for latent in latents:
            streams = block(Streams(latent, clip, text), modulation, *rotations)
            updated.append(streams.latent)
            first = first or streams
            if self.config.token_update == "sequential":
                clip, text = streams.clip, streams.text
        if self.config.token_update == "first_branch":
            assert first is not None
            clip, text = first.clip, first.text
        return updated, clip, text

    def _check_state(self, x: Tensor, t: Tensor, conditions: FlowConditions) -> None:
        check_state(x, t, conditions, self.sizes.latent_dim)
        count = len(self.config.branches)
        if x.ndim != 4 or x.shape[1] != count:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, but must be (clips, {count} channels, frames, latents)"
            )
        if self.spacetime is not None and conditions.spatial is None:
            raise ValueError("conditions have no spatial features; prepare them with this network")
