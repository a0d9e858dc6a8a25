"""Synchformer's visual features: what moves when, in 24 tokens per second.

Iashin et al., "Synchformer: Efficient Synchronization from Sparse Cues", 2024, whose visual branch is a
MotionFormer (Patrick et al., 2021) with attention divided into time and space. MMAudio cuts the video into
overlapping segments and encodes each alone. Parameter names are those of the published checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
from spatialfoley.features.resize import crop_centre, standardise
from spatialfoley.kernels.bfloat16_rows import Groups
from spatialfoley.weights import compare_keys, load_state_dict

PUBLISHED_FRAME_RATE_HZ = 25
SEGMENT_STEP_FRAMES = 8

_PREFIX = "vfeat_extractor."
_EPSILON = 1e-6
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class SynchformerConfig:
    """Sizes of the visual branch; the defaults are the published ones."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    size_px: int = 224
    patch_px: int = 16
    segment_frames: int = 16
    frames_per_token: int = 2

    @property
    def patches(self) -> int:
        """Patches of one frame."""
        return (self.size_px // self.patch_px) ** 2

    @property
    def segment_tokens(self) -> int:
        """Tokens in time that one segment becomes."""
        return self.segment_frames // self.frames_per_token

    def __post_init__(self) -> None:
        """Check that the sizes fit each other."""
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads ({self.heads})")
        if self.segment_frames % self.frames_per_token or self.size_px % self.patch_px:
            raise ValueError(
                f"segments of {self.segment_frames} frames of {self.size_px} px cannot be cut into cubes of "
                f"{self.frames_per_token} frames and {self.patch_px} px; give multiples"
            )


class SynchformerVisual(nn.Module):
    """The visual branch under its published parameter names, which all start with `vfeat_extractor.`."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.config = config
        self.vfeat_extractor = _MotionFormer(config)

    def forward(self, segments: Tensor) -> Tensor:
        """Features (B, S, tokens, width) of S segments (B, S, frames, 3, H, W) with values in [-1, 1]."""
        return self.vfeat_extractor(segments.flatten(0, 1)).unflatten(0, segments.shape[:2])


class _MotionFormer(nn.Module):
    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        c = config
        cube = (c.frames_per_token, c.patch_px, c.patch_px)
        self.config = c
        self._packed: list[tuple[PackedAttention, PackedAttention, PackedMlp]] = []
        self.cls_token = nn.Parameter(torch.zeros(1, 1, c.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + c.patches, c.width))
        self.temp_embed = nn.Parameter(torch.zeros(1, c.segment_tokens, c.width))
        # Stored in the published file, used by nothing.
        self.patch_embed = _Projection(nn.Conv2d(3, c.width, c.patch_px, stride=c.patch_px))
        self.patch_embed_3d = _Projection(nn.Conv3d(3, c.width, cube, stride=cube))
        self.blocks = nn.ModuleList(_Block(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.width, eps=_EPSILON)
        self.spatial_attn_agg = TokenSummary(c.width, c.heads, int(c.width * c.mlp_ratio))

    def forward(self, segments: Tensor) -> Tensor:
        """Features [N, t, D] of segments [N, T, 3, H, W]."""
        tokens = self.tokens(segments)
        patches = self.norm(tokens[:, 1:]).unflatten(1, (self.config.segment_tokens, -1))  # [N, t, P, D]
        return self.spatial_attn_agg(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])

    def tokens(self, segments: Tensor) -> Tensor:
        """Class token and patches [N, 1 + t P, D], in order of time, row, column, after the last block."""
        patches = self.patch_embed_3d.proj(segments.transpose(1, 2)).flatten(3)  # [N, D, t, P]
        patches = patches.permute(0, 2, 3, 1) + self.pos_embed[:, None, 1:] + self.temp_embed[:, :, None]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(patches), -1, -1)
        x = torch.cat([first, patches.flatten(1, 2)], dim=1)
        if self._packed:
            return self._through_packed(x.float().contiguous())
        for block in self.blocks:
            x = block(x)
        return x

    def pack(self) -> bool:
        """Compute in bfloat16 on this CPU from now on, if it can; the weights of the blocks are dropped.

        Returns:
            Whether it does; if not, nothing has changed.
        """
        if packing_refused(self, self.config.width, self.config.heads, turned=False) is not None:
            return False
        for block in self.blocks:
            assert isinstance(block, _Block)
            self._packed.append(block.packed())
            release(block)
        self.float()
        return True

    def _through_packed(self, x: Tensor) -> Tensor:
        flat, (count, length) = x.flatten(0, 1), x.shape[:2]
        times, patches = self.config.segment_tokens, (length - 1) // self.config.segment_tokens
        first = torch.arange(count) * length
        place, time = torch.arange(patches), torch.arange(times) * patches
        everything = Groups(first, 1, first, length)
        over_time = Groups(
            (first[:, None] + 1 + place).flatten(),
            times,
            step=patches,
            extra=first.repeat_interleave(patches),
        )
        over_space = Groups(
            (first[:, None] + 1 + time).flatten(), patches, extra=first.repeat_interleave(times)
        )
        for in_time, in_space, mlp in self._packed:
            in_time(flat, [everything, over_time])
            in_space(flat, [everything, over_space])
            mlp(flat)
        return x


class _Projection(nn.Module):
    """Gives a convolution its published name `<parent>.proj`."""

    def __init__(self, proj: nn.Module) -> None:
        super().__init__()
        self.proj = proj


class _Block(nn.Module):
    """Attention over time, then over space, then a perceptron, each on normed input and added."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        width, inner = config.width, int(config.width * config.mlp_ratio)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=_EPSILON) for _ in range(3))
        self.timeattn = _DividedAttention(config)
        self.attn = _DividedAttention(config)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})

    def packed(self) -> tuple[PackedAttention, PackedAttention, PackedMlp]:
        """The parts of the block with packed weights."""
        return (
            self.timeattn.packed(self.norm3),
            self.attn.packed(self.norm1),
            PackedMlp(self.norm2, Matrix.of(self.mlp["fc1"]), Matrix.of(self.mlp["fc2"]), "gelu"),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.timeattn(self.norm3(x), over_time=True)
        x = x + self.attn(self.norm1(x), over_time=False)
        return x + self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x))))


class _DividedAttention(nn.Module):
    """The class token looks at everything; a patch looks at it and at its own place, or at its own frame."""

    def __init__(self, config: SynchformerConfig) -> None:
        super().__init__()
        self.heads, self.times = config.heads, config.segment_tokens
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def packed(self, norm: nn.LayerNorm) -> PackedAttention:
        """With packed weights and the norm before it."""
        weights = (part.detach().chunk(3) for part in (self.qkv.weight, self.qkv.bias))
        query, key, value = (Matrix(*pair) for pair in zip(*weights, strict=True))
        return PackedAttention(norm, query, key, value, Matrix.of(self.proj), self.heads, turned=False)

    def forward(self, x: Tensor, over_time: bool) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [3, N, h, 1 + t P, d]
        first = functional.scaled_dot_product_attention(qkv[0, :, :, :1], qkv[1], qkv[2])
        groups = qkv[:, :, :, 1:].unflatten(3, (self.times, -1))  # [3, N, h, t, P, d]
        if over_time:
            groups = groups.transpose(3, 4)
        seen = qkv[1:, :, :, None, :1].expand(-1, -1, -1, groups.shape[3], -1, -1)
        key, value = torch.cat([seen, groups[1:]], dim=4)
        patches = functional.scaled_dot_product_attention(groups[0], key, value)
        if over_time:
            patches = patches.transpose(2, 3)
        together = torch.cat([first, patches.flatten(2, 3)], dim=2)  # [N, h, 1 + t P, d]
        return self.proj(together.transpose(1, 2).flatten(2))


class TokenSummary(nn.Module):
    """One pre-norm transformer layer over [class token, tokens]; its class token is the result.

    Of the patches of a frame here, of the frequencies of a moment in the sound branch. Only the class token is
    read, so only it is taken through the query, the output and the perceptron.
    """

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        # Holds the weights under their published names; `forward` applies them.
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=_EPSILON) for _ in range(2))

    def forward(self, patches: Tensor) -> Tensor:
        """Summaries [F, D] of F times P tokens [F, P, D]."""
        first = self.cls_token.expand(len(patches), -1, -1)
        normed = self.norm1(torch.cat([first, patches], dim=1))
        attended, _ = self.self_attn(normed[:, :1], normed, normed, need_weights=False)
        x = (first + attended)[:, 0]
        return x + self.linear2(functional.gelu(self.linear1(self.norm2(x))))


class SynchformerFeatures:
    """The frozen encoder: one clip in, its features out.

    Attributes:
        model: The network, in evaluation mode.
        frame_rate_hz: Frames per second that the network was trained on.
        size_px: Side of the square that the network sees.
    """

    def __init__(self, model: SynchformerVisual, segments_at_once: int = 4) -> None:
        """Wrap a network; `segments_at_once` bounds its memory (about 0.2 GB per segment in float32)."""
        self.model = model.eval()
        self.segments_at_once = segments_at_once
        self.frame_rate_hz = PUBLISHED_FRAME_RATE_HZ
        self.size_px = model.config.size_px

    @classmethod
    def load(
        cls,
        path: Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        config: SynchformerConfig | None = None,
    ) -> SynchformerFeatures:
        """Read the published file or its folder; what is not the visual branch is left out.

        Raises:
            ValueError: If files are missing or keys do not fit; the keys are listed.
        """
        stored = load_state_dict(path)
        state = {key: value for key, value in stored.items() if key.startswith(_PREFIX)}
        with torch.device("meta"):
            model = SynchformerVisual(config or SynchformerConfig())
        expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        compare_keys(expected, state, str(path))
        model.load_state_dict({key: value.to(device, dtype) for key, value in state.items()}, assign=True)
        if dtype == torch.bfloat16:
            model.vfeat_extractor.pack()
        return cls(model)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> Tensor:
        """Features of one clip.

        Args:
            frames: uint8 RGB (T, H, W, 3) at `frame_rate_hz`, of any size.

        Returns:
            float32 (S × tokens, width): segment after segment, 8 tokens of 0.08 s each; segments overlap by
            half, so that the time of consecutive tokens does not advance evenly.

        Raises:
            ValueError: If the frames have another shape or type, or are fewer than one segment.
        """
        starts = segment_starts(len(frames), self.model.config.segment_frames)
        weights = self.model.vfeat_extractor.patch_embed_3d.proj.weight
        assert isinstance(weights, Tensor)
        pixels = crop_centre(frames, self.size_px)
        features = []
        for first in range(0, len(starts), self.segments_at_once):
            part = starts[first : first + self.segments_at_once]
            cut = torch.stack([pixels[start : start + self.model.config.segment_frames] for start in part])
            segments = standardise(cut.to(weights.device), _HALF, _HALF).to(weights.dtype)
            features.append(self.model(segments[None])[0].float())
        return torch.cat(features).flatten(0, 1)


def segment_starts(
    frame_count: int,
    segment_frames: int = SynchformerConfig.segment_frames,
    step_frames: int = SEGMENT_STEP_FRAMES,
) -> list[int]:
    """First frame of each full segment; frames after the last full segment are not seen.

    Raises:
        ValueError: If there are fewer frames than one segment.
    """
    if frame_count < segment_frames:
        raise ValueError(
            f"the video has {frame_count} frames ({frame_count / PUBLISHED_FRAME_RATE_HZ:.2f} s at "
            f"{PUBLISHED_FRAME_RATE_HZ} frames per second), fewer than one Synchformer segment of "
            f"{segment_frames} ({segment_frames / PUBLISHED_FRAME_RATE_HZ:.2f} s); give a longer video"
        )
    return list(range(0, frame_count - segment_frames + 1, step_frames))
