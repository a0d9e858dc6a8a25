"""The Conditional Spacetime Module of ViSAudio: patches of the video to a condition for each channel.

Algorithm 1 of the paper (from patches to one vector per latent frame) and its eq. 10.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visaudio.blocks import FrameConv1d, GatedFeedForward
from spatialfoley.generators.visaudio.config import VisaudioConfig

_HALVINGS = 2
_SHARED = "shared"


class PatchProjection(nn.Module):
    """Steps 2 to 7 of Algorithm 1: the patches of one video frame -> one vector."""

    def __init__(self, config: VisaudioConfig) -> None:
        super().__init__()
        dim, inner = config.backbone.hidden_dim, config.backbone.ffn_dim
        kernel = config.pe_downsample_kernel
        self.average = config.pe_readout == "average"
        self.channel_conv = FrameConv1d(config.pe_dim, dim, config.pe_channel_kernel)
        self.downsample = nn.ModuleList(
            nn.Conv2d(dim, dim, kernel, stride=2, padding=kernel // 2) for _ in range(_HALVINGS)
        )
        self.ffn = GatedFeedForward(dim, inner, kernel=3)
        tokens = (config.pe_grid // 2**_HALVINGS) ** 2
        self.mlp = nn.Sequential(
            nn.Linear(dim if self.average else tokens * dim, dim), nn.SiLU(), nn.Linear(dim, dim)
        )

    def enter(self, patches: Tensor) -> Tensor:
        """The first convolution of patches without their position: (frames, grid, grid, pe_dim) -> (.., dim).

        It is linear, so that branches that share it share its result, and each adds that of its position.
        """
        entered: Tensor = self.channel_conv(patches.flatten(1, 2))
        return entered.unflatten(1, patches.shape[1:3])

    def forward(self, entered: Tensor, position: Tensor) -> Tensor:
        """What `enter` made (frames, grid, grid, dim), position (1, grid, grid, pe_dim) -> (frames, dim)."""
        weight, padding = self.channel_conv.weight, self.channel_conv.padding
        placed = functional.conv1d(position.flatten(1, 2).transpose(1, 2), weight, None, padding=padding)
        plane = functional.silu(entered.permute(0, 3, 1, 2) + placed.unflatten(2, entered.shape[1:3]))
        for halve in self.downsample:
            plane = functional.silu(halve(plane))
        mixed = self.ffn(plane.flatten(2).transpose(1, 2))
        if self.average:
            averaged: Tensor = self.mlp(mixed).mean(dim=1)
            return averaged
        projected: Tensor = self.mlp(mixed.flatten(1))
        return projected


class SpacetimeModule(nn.Module):
    """Spatial features of each channel, and their union with the frame condition."""

    def __init__(self, config: VisaudioConfig) -> None:
        super().__init__()
        self.config = config
        dim, grid = config.backbone.hidden_dim, config.pe_grid
        self.positions = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(1, 1, grid, grid, config.pe_dim)) for name in config.branches}
        )
        own = config.pe_projection == "per_branch"
        self.projections = nn.ModuleDict(
            {name: PatchProjection(config) for name in (config.branches if own else (_SHARED,))}
        )
        self.unions = nn.ModuleDict({name: nn.Linear(2 * dim, dim) for name in config.branches})
        learned = config.null_spatial == "learned"
        self.empty_pe_feat = nn.Parameter(torch.zeros(1, config.pe_dim)) if learned else None

    def start_weights(self) -> None:
        """Start values (A4, A12); the layers of Algorithm 1 keep theirs."""
        for position in self.positions.values():
            nn.init.normal_(position, std=self.config.pe_position_std)
        if self.config.spacetime_init == "identity":
            for union in self.unions.values():
                assert isinstance(union, nn.Linear)
                dim = union.out_features
                with torch.no_grad():
                    union.weight.copy_(torch.cat([torch.eye(dim), torch.zeros(dim, dim)], dim=1))
                    union.bias.zero_()

    def frame_aligned(self, patches: Tensor, latent_frames: int, dropped: Tensor | None = None) -> Tensor:
        """Algorithm 1 for every channel.

        Args:
            patches: (B, T, grid, grid, pe_dim) with `pe_input_grid` patches along each side.
            latent_frames: Latent frames L.
            dropped: Clips (B,) whose patches are replaced by the null one.

        Returns:
            Spatial features (B, N, L, dim).

        Raises:
            ValueError: If the patches have another shape.
        """
        grid, width = self.config.pe_input_grid, self.config.pe_dim
        if patches.ndim != 5 or patches.shape[2:] != (grid, grid, width) or patches.shape[1] < 1:
            raise ValueError(
                f"patches has shape {tuple(patches.shape)}, but must be (clips, frames, {grid}, {grid}, {width})"
            )
        patches = patches.to(self._null_patch().dtype)
        if self.config.pe_pool > 1:
            patches = _pooled(patches, self.config.pe_pool)
        if dropped is not None:
            patches = torch.where(dropped[:, None, None, None, None], self._null_patch(), patches)
        return self._of_branches(patches, latent_frames)

    def null_frame_aligned(self, latent_frames: int) -> Tensor:
        """Algorithm 1 for no video (1, N, L, dim): all frames are equal, so one is computed and repeated."""
        grid = self.config.pe_grid
        empty = self._null_patch().expand(1, 1, grid, grid, -1)
        return self._of_branches(empty, 1).expand(-1, -1, latent_frames, -1)

    def unite(self, branch: str, condition: Tensor, spatial: Tensor) -> Tensor:
        """Eq. 10: frame condition and spatial features of a channel, both (B, L, dim) -> (B, L, dim)."""
        united: Tensor = self.unions[branch](torch.cat([condition, spatial], dim=-1))
        return united

    def _null_patch(self) -> Tensor:
        """One patch (1, pe_dim) of no video."""
        if self.empty_pe_feat is not None:
            return self.empty_pe_feat
        position = self.positions[self.config.branches[0]]
        return torch.zeros(1, self.config.pe_dim, dtype=position.dtype, device=position.device)

    def _of_branches(self, patches: Tensor, latent_frames: int) -> Tensor:
        """(B, T, grid, grid, pe_dim) -> (B, N, L, dim)."""
        entered: dict[str, Tensor] = {}
        made = []
        for branch in self.config.branches:
            name = branch if branch in self.projections else _SHARED
            projection = self.projections[name]
            assert isinstance(projection, PatchProjection)
            if name not in entered:
                entered[name] = projection.enter(patches.flatten(0, 1))
            vectors = projection(entered[name], self.positions[branch][0]).unflatten(0, patches.shape[:2])
            aligned = functional.interpolate(vectors.transpose(1, 2), size=latent_frames, mode="linear")
            made.append(aligned.transpose(1, 2))
        return torch.stack(made, dim=1)


def _pooled(patches: Tensor, side: int) -> Tensor:
    """Average neighbouring patches: (B, T, side G, side G, C) -> (B, T, G, G, C)."""
    return patches.unflatten(3, (-1, side)).unflatten(2, (-1, side)).mean(dim=(3, 5))
