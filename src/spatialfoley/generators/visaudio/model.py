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
from spatialfoley.generators.visaudio.conditions import ClipFeatures, FlowConditions
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
        global_condition = self.global_condition(conditions, t)
        latents = self.joint_states(x, conditions, global_condition)
        rotation, _ = self.rotations(x.shape[2], 1, x.device)
        velocities = []
        for index, name in enumerate(self.config.branches):
            condition = self.branch_condition(index, conditions, global_condition)
            latent = latents[index]
            blocks = self.branch_blocks[name]
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                latent = block(latent, condition, rotation)
            last = self.final_layers[name if name in self.final_layers else _SHARED]
            last_condition = global_condition if self.config.final_condition == "global" else condition
            velocities.append(last(latent, last_condition).to(x.dtype))
        return torch.stack(velocities, dim=1)

    def joint_states(self, x: Tensor, conditions: FlowConditions, global_condition: Tensor) -> list[Tensor]:
        """Each channel (B, L, dim) after the joint blocks: eq. 5 and 6 of the paper.

        Args:
            x: Latents (B, N, L, latent_dim).
            conditions: Of the clips.
            global_condition: (B, 1, dim), with the time in it.
        """
        state = x.to(conditions.clip_tokens.dtype)
        latents = [self._entry(name)(state[:, index]) for index, name in enumerate(self.config.branches)]
        clip, text = conditions.clip_tokens, conditions.text_tokens
        if self.config.joint_tokens == "averaged":
            clip, text = clip.mean(dim=1, keepdim=True), text.mean(dim=1, keepdim=True)
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
        if not self.config.spacetime_sees_time:
            known: Tensor = self.global_cond_mlp(conditions.clip_pooled + conditions.text_pooled)
            global_condition = known[:, None]
        condition = global_condition + conditions.sync_frames
        return self.spacetime.unite(self.config.branches[index], condition, conditions.spatial[:, index])

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

    def _entry(self, branch: str) -> nn.Module:
        if branch in self.branch_input_proj:
            return self.branch_input_proj[branch]
        return self.audio_input_proj

    def _check_state(self, x: Tensor, t: Tensor, conditions: FlowConditions) -> None:
        check_state(x, t, conditions, self.sizes.latent_dim)
        count = len(self.config.branches)
        if x.ndim != 4 or x.shape[1] != count:
            raise ValueError(
                f"x has shape {tuple(x.shape)}, but must be (clips, {count} channels, frames, latents)"
            )
        if self.spacetime is not None and conditions.spatial is None:
            raise ValueError("conditions have no spatial features; prepare them with this network")
