"""PE-Spatial features of video frames: a grid of vectors that say what is where in the picture.

Bolya et al., "Perception Encoder: The best visual embeddings are not at the output of the network", 2025. A plain
vision transformer with learned positions and rotary positions in two dimensions. Parameter names are the published
ones. ViSAudio takes the last layer of PE-Spatial-L14-448, averaged over 2 × 2 patches: 16 × 16 vectors per frame.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.features.packed_transformer import (
    Matrix,
    PackedAttention,
    PackedMlp,
    packing_refused,
    release,
)
from spatialfoley.features.resize import check_frames, squash, standardise
from spatialfoley.kernels.bfloat16_rows import Groups
from spatialfoley.weights import compare_keys, load_state_dict

PUBLISHED_FRAME_RATE_HZ = 8
PUBLISHED_POOL = 2

_ROTARY_BASE = 10_000.0
_HALF = (0.5, 0.5, 0.5)
_FRAMES_AT_ONCE = 8
# Settings of the published table that PE-Spatial has in one value only.
_FIXED = {
    "output_dim": None,
    "pool_type": "none",
    "use_ln_post": False,
    "use_ln_pre": True,
    "use_abs_posemb": True,
    "use_rope2d": True,
}


@dataclass(frozen=True)
class PerceptionConfig:
    """Sizes of an encoder under their published names; the defaults are PE-Spatial-L14-448.

    Attributes:
        image_size: Side in pixels for which positions are stored; other sizes interpolate them.
        ls_init_value: Start value of the layer scale, or None without it.
    """

    patch_size: int = 14
    width: int = 1024
    layers: int = 24
    heads: int = 16
    mlp_ratio: float = 4.0
    image_size: int = 448
    use_cls_token: bool = True
    ls_init_value: float | None = None

    @property
    def grid(self) -> int:
        """Patches along each side at `image_size`."""
        return self.image_size // self.patch_size

    def __post_init__(self) -> None:
        """Check that a head divides into two rotary halves of pairs."""
        if self.width % (4 * self.heads):
            raise ValueError(
                f"width is {self.width}; it must be a multiple of 4 x heads ({self.heads}), since rotary "
                "positions turn pairs, half for columns and half for rows"
            )

    @classmethod
    def published(cls, name: str) -> PerceptionConfig:
        """The sizes of a published model such as "PE-Spatial-L14-448".

        Raises:
            ValueError: If there is no such model.
        """
        if name not in _PUBLISHED:
            raise ValueError(f"there is no model {name!r}; choose one of {', '.join(_PUBLISHED)}")
        return cls(**_PUBLISHED[name])

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> PerceptionConfig:
        """Settings as the published table writes them.

        Raises:
            ValueError: If a setting is unknown, or asks for a part that PE-Spatial lacks.
        """
        known = {field.name for field in fields(cls)}
        for name, value in settings.items():
            if name not in known and (name not in _FIXED or _FIXED[name] != value):
                raise ValueError(
                    f"{name} = {value!r} is not a setting of PE-Spatial; leave it out or give a PE-Spatial model"
                )
        return cls(**{name: value for name, value in settings.items() if name in known})


_PUBLISHED: dict[str, dict[str, Any]] = {
    "PE-Spatial-G14-448": {
        "width": 1536,
        "layers": 50,
        "mlp_ratio": 8960 / 1536,
        "use_cls_token": False,
        "ls_init_value": 0.1,
    },
    "PE-Spatial-L14-448": {},
    "PE-Spatial-B16-512": {"patch_size": 16, "width": 768, "layers": 12, "heads": 12, "image_size": 512},
    "PE-Spatial-S16-512": {"patch_size": 16, "width": 384, "layers": 12, "heads": 6, "image_size": 512},
    "PE-Spatial-T16-512": {"patch_size": 16, "width": 192, "layers": 12, "heads": 3, "image_size": 512},
}


class PerceptionEncoder(nn.Module):
    """The vision transformer: pictures in, one vector per patch out."""

    def __init__(self, config: PerceptionConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self._packed: list[tuple[PackedAttention, PackedMlp]] = []
        self.conv1 = nn.Conv2d(3, c.width, c.patch_size, stride=c.patch_size, bias=False)
        if c.use_cls_token:
            self.class_embedding = nn.Parameter(torch.zeros(c.width))
        self.positional_embedding = nn.Parameter(torch.zeros(int(c.use_cls_token) + c.grid**2, c.width))
        self.ln_pre = nn.LayerNorm(c.width)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(_Block(c) for _ in range(c.layers))})

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of patches, without class token.

        Args:
            pixels: Standardised pictures (B, 3, H, W) of any size; what exceeds whole patches is not seen.

        Returns:
            (B, H // patch_size, W // patch_size, width).
        """
        grid = (pixels.shape[2] // self.config.patch_size, pixels.shape[3] // self.config.patch_size)
        return self.tokens(pixels)[:, int(self.config.use_cls_token) :].unflatten(1, grid)

    def tokens(self, pixels: Tensor) -> Tensor:
        """All tokens [B, cls + h w, D], the class token first if there is one."""
        patches = self.conv1(pixels)  # [B, D, h, w]
        rows, columns = patches.shape[2:]
        x = patches.flatten(2).transpose(1, 2)
        if self.config.use_cls_token:
            x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1)
        x = self.ln_pre(x + self._positions(rows, columns))
        rotation = self._rotation(rows, columns, x.device)
        if self._packed:
            return self._through_packed(x.float().contiguous(), rotation)
        for block in self.transformer["resblocks"].children():
            x = block(x, rotation)
        return x

    def pack(self) -> bool:
        """Compute in bfloat16 on this CPU from now on, if it can; the weights of the blocks are dropped.

        Returns:
            Whether it does; if not, nothing has changed.
        """
        if packing_refused(self, self.config.width, self.config.heads, turned=True) is not None:
            return False
        for block in self.transformer["resblocks"].children():
            assert isinstance(block, _Block)
            self._packed.append(block.packed())
            release(block)
        self.float()
        return True

    def _through_packed(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        flat, groups = x.flatten(0, 1), [Groups.clips(*x.shape[:2])]
        for attention, mlp in self._packed:
            attention(flat, groups, rotation)
            mlp(flat)
        return x

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Learned positions [cls + h w, D], interpolated where the grid is not the stored one."""
        stored, side = self.positional_embedding, self.config.grid
        if (rows, columns) == (side, side):
            return stored
        first, grid = stored.split([len(stored) - side**2, side**2])
        picture = grid.T.unflatten(1, (side, side))[None]
        resized = functional.interpolate(picture, (rows, columns), mode="bilinear", align_corners=False)
        return torch.cat([first, resized[0].flatten(1).T])

    def _rotation(self, rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosine and sine [cls + h w, head / 2] of the angles of all pairs: column first, then row.

        The class token is not turned, and patches then count from 1: it lies one step before each edge.
        """
        pairs = self.config.width // self.config.heads // 4
        shift = int(self.config.use_cls_token)
        frequency = _ROTARY_BASE ** (-torch.arange(pairs, device=device, dtype=torch.float32) / pairs)
        by_row = (torch.arange(rows, device=device) + shift)[:, None] * frequency
        by_column = (torch.arange(columns, device=device) + shift)[:, None] * frequency
        angles = torch.cat(
            [by_column.expand(rows, -1, -1), by_row[:, None].expand(-1, columns, -1)], dim=-1
        ).flatten(0, 1)
        angles = functional.pad(angles, (0, 0, shift, 0))
        return angles.cos(), angles.sin()


class _Block(nn.Module):
    def __init__(self, config: PerceptionConfig) -> None:
        super().__init__()
        width, inner = config.width, int(config.width * config.mlp_ratio)
        self.heads = config.heads
        # Holds the weights under their published names; `_attend` applies them with rotary positions.
        self.attn = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, inner), "c_proj": nn.Linear(inner, width)})
        scale = config.ls_init_value
        self.ls_1, self.ls_2 = (
            nn.Identity() if scale is None else _LayerScale(width, scale) for _ in range(2)
        )

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.ls_1(self._attend(self.ln_1(x), rotation))
        return x + self.ls_2(self.mlp["c_proj"](functional.gelu(self.mlp["c_fc"](self.ln_2(x)))))

    def packed(self) -> tuple[PackedAttention, PackedMlp]:
        """Both halves of the block with packed weights."""
        weights = (part.detach().chunk(3) for part in (self.attn.in_proj_weight, self.attn.in_proj_bias))
        query, key, value = (Matrix(*pair) for pair in zip(*weights, strict=True))
        fc1, fc2 = (Matrix.of(self.mlp[name]) for name in ("c_fc", "c_proj"))
        out = Matrix.of(self.attn.out_proj)
        if isinstance(self.ls_1, _LayerScale) and isinstance(self.ls_2, _LayerScale):
            out, fc2 = (
                out.times(self.ls_1.gamma.detach().float()),
                fc2.times(self.ls_2.gamma.detach().float()),
            )
        attention = PackedAttention(self.ln_1, query, key, value, out, self.heads, turned=True)
        return attention, PackedMlp(self.ln_2, fc1, fc2, "gelu")

    def _attend(self, x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        qkv = functional.linear(x, self.attn.in_proj_weight, self.attn.in_proj_bias)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, h, N, d]
        out = functional.scaled_dot_product_attention(_turn(q, rotation), _turn(k, rotation), v)
        return self.attn.out_proj(out.transpose(1, 2).flatten(2))


class _LayerScale(nn.Module):
    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


def _turn(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of the last axis by their angles, in float32."""
    cosine, sine = rotation
    first, second = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
    return turned.flatten(-2).to(x.dtype)


class PerceptionFeatures:
    """The frozen encoder: one clip in, a grid of vectors per frame out.

    Attributes:
        model: The network, in evaluation mode.
        frame_rate_hz: Frames per second that ViSAudio expects.
        size_px: Side of the square that the network sees.
        pool: Patches along each side of the square that is averaged into one vector.
    """

    def __init__(
        self, model: PerceptionEncoder, size_px: int | None = None, pool: int = PUBLISHED_POOL
    ) -> None:
        """Wrap a network.

        Args:
            model: The network.
            size_px: Side of the square that it sees; None for the one it was trained on.
            pool: 1 for no averaging.

        Raises:
            ValueError: If the patches cannot be averaged in whole squares.
        """
        self.model = model.eval()
        self.frame_rate_hz = PUBLISHED_FRAME_RATE_HZ
        self.size_px = model.config.image_size if size_px is None else size_px
        self.pool = pool
        grid = self.size_px // model.config.patch_size
        if pool < 1 or grid < 1 or grid % pool:
            raise ValueError(
                f"pool is {pool} and size_px {self.size_px}, but {self.size_px} px give {grid} x {grid} patches of "
                f"{model.config.patch_size} px; give a pool that divides {grid}, or another size_px"
            )

    @classmethod
    def load(
        cls,
        path: Path,
        config: PerceptionConfig | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        size_px: int | None = None,
        pool: int = PUBLISHED_POOL,
    ) -> PerceptionFeatures:
        """Read a published file or its folder; names behind `module.` or `visual.` are taken from there.

        Args:
            path: File or folder.
            config: Sizes; PE-Spatial-L14-448 unless given.
            device: Where to run.
            dtype: Type of the weights.
            size_px: As for the constructor.
            pool: As for the constructor.

        Raises:
            ValueError: If files are missing or keys do not fit; the keys are listed.
        """
        state = strip_wrappers(load_state_dict(path))
        with torch.device("meta"):
            model = PerceptionEncoder(config or PerceptionConfig())
        expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        compare_keys(expected, state, str(path))
        model.load_state_dict({key: value.to(device, dtype) for key, value in state.items()}, assign=True)
        if dtype == torch.bfloat16:
            model.pack()
        return cls(model, size_px, pool)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> Tensor:
        """Features of one clip.

        Args:
            frames: uint8 RGB (T, H, W, 3) at `frame_rate_hz`, of any size; squashed to a square.

        Returns:
            float32 (T, g, g, width), g = size_px // patch_size // pool; rows from the top, columns from the left.

        Raises:
            ValueError: If the frames have another shape or type.
        """
        check_frames(frames)
        weights = self.model.conv1.weight
        features = []
        for first in range(0, len(frames), _FRAMES_AT_ONCE):
            pixels = squash(frames[first : first + _FRAMES_AT_ONCE], self.size_px, mode="bilinear")
            pixels = standardise(pixels.to(weights.device), _HALF, _HALF).to(weights.dtype)
            grid = self.model(pixels).float().permute(0, 3, 1, 2)
            features.append(functional.avg_pool2d(grid, self.pool).permute(0, 2, 3, 1))
        return torch.cat(features)


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the encoder alone: `module.` removed; of a file with a text half only what is under `visual.`."""
    plain = {re.sub(r"^module\.", "", name): value for name, value in state.items()}
    if any(name.startswith("visual.") for name in plain):
        return {
            name.removeprefix("visual."): value for name, value in plain.items() if name.startswith("visual.")
        }
    return plain
