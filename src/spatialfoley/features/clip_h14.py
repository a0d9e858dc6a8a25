"""Features of DFN5B CLIP ViT-H/14: one vector per frame, and one vector per token of a text.

Fang et al., "Data Filtering Networks", 2023. MMAudio takes the projected class token of a frame, and of a text all
77 tokens after the last norm, without projection or pooling; every vector has length 1. The network is the one of
`transformers`; checkpoints of `open_clip` are brought under its keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel

from spatialfoley.features.clip_tokens import ClipTokens
from spatialfoley.features.open_clip_layout import ClipH14Config, convert_open_clip, is_open_clip
from spatialfoley.features.packed_transformer import (
    Matrix,
    MlpActivation,
    PackedAttention,
    PackedMlp,
    packing_refused,
    release,
)
from spatialfoley.features.resize import check_frames, squash, standardise
from spatialfoley.kernels.bfloat16_rows import Groups
from spatialfoley.weights import compare_keys, load_state_dict

PUBLISHED_FRAME_RATE_HZ = 8

# MMAudio resizes to 384 px for the network of 378 px: the patches leave out the last 6.
_SIZE_PX_OF_MMAUDIO = {378: 384}

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_FRAMES_AT_ONCE = 8
_OPEN_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_USUAL_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


class ClipH14Features:
    """The frozen encoders of frames and of texts.

    Attributes:
        model: The network, in evaluation mode.
        frame_rate_hz: Frames per second that MMAudio expects.
        size_px: Side of the square that frames are squashed to.
        context_length: Tokens of every text, with start, end and padding.
    """

    def __init__(self, model: CLIPModel, vocabulary: Path | None = None, size_px: int | None = None) -> None:
        """Wrap a network.

        Args:
            model: The network.
            vocabulary: Folder with tokenizer.json, or vocab.json and merges.txt; read when the first text comes.
            size_px: Side of the square that frames are squashed to; None for MMAudio's (384 for a network of 378).

        Raises:
            ValueError: If `size_px` is less than the network sees, or more by a patch.
        """
        vision = model.config.vision_config
        if size_px is None:
            size_px = _SIZE_PX_OF_MMAUDIO.get(vision.image_size, vision.image_size)
        if not 0 <= size_px - vision.image_size < vision.patch_size:
            raise ValueError(
                f"size_px is {size_px}, but the network sees {vision.image_size} px in patches of "
                f"{vision.patch_size}; give {vision.image_size} to {vision.image_size + vision.patch_size - 1}"
            )
        self.model = model.eval()
        self.frame_rate_hz = PUBLISHED_FRAME_RATE_HZ
        self.size_px = size_px
        self.context_length: int = model.config.text_config.max_position_embeddings
        self._vocabulary = vocabulary
        self._packed: list[tuple[PackedAttention, PackedMlp]] = []

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        size_px: int | None = None,
    ) -> ClipH14Features:
        """Read a checkpoint folder in the layout of `transformers` or of open_clip.

        Args:
            folder: Weights; config.json (`transformers`) or open_clip_config.json (open_clip; without it the
                published sizes count); for texts also tokenizer.json, or vocab.json and merges.txt.
            device: Where to run.
            dtype: Type of the weights.
            size_px: As for the constructor.

        Raises:
            ValueError: If files are missing or keys do not fit; the keys are listed.
        """
        state = load_state_dict(_weights_of(folder))
        config = _open_clip_config(folder) if is_open_clip(state) else _transformers_config(folder)
        state = {key: value.to(device, dtype) for key, value in state.items()}
        features = cls.from_state(state, config, folder, size_px, str(folder))
        if dtype == torch.bfloat16:
            features.pack()
        return features

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, Tensor],
        config: ClipH14Config | CLIPConfig,
        vocabulary: Path | None = None,
        size_px: int | None = None,
        source: str = "checkpoint",
    ) -> ClipH14Features:
        """Build the network around weights in the layout of `transformers` or of open_clip, without copying them.

        Args:
            state: Names and weights.
            config: Sizes.
            vocabulary: As for the constructor.
            size_px: As for the constructor.
            source: What to call the checkpoint in messages.

        Raises:
            ValueError: If keys do not fit; the keys are listed.
        """
        parts = convert_open_clip(state) if is_open_clip(state) else _parts_of_network(state)
        settings = config.to_transformers() if isinstance(config, ClipH14Config) else config
        with torch.device("meta"):
            model = CLIPModel(settings)
        expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        compare_keys(expected, parts, source)
        model.load_state_dict(parts, strict=True, assign=True)
        # Position numbers are not stored, and were built without values.
        for embeddings in (model.text_model.embeddings, model.vision_model.embeddings):
            count = embeddings.position_ids.shape[-1]
            embeddings.position_ids = torch.arange(count, device=model.logit_scale.device)[None]
        return cls(model, vocabulary, size_px)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> Tensor:
        """Features of one clip.

        Args:
            frames: uint8 RGB (T, H, W, 3) at `frame_rate_hz`, of any size; squashed to a square.

        Returns:
            float32 (T, embed_dim), each of length 1.

        Raises:
            ValueError: If the frames have another shape or type.
        """
        check_frames(frames)
        features = []
        for first in range(0, len(frames), _FRAMES_AT_ONCE):
            pixels = squash(frames[first : first + _FRAMES_AT_ONCE], self.size_px)
            features.append(self.encode_pixels(standardise(pixels, _MEAN, _DEVIATION)))
        return torch.cat(features)

    def pack(self) -> bool:
        """See frames in bfloat16 on this CPU from now on, if it can; the weights of those blocks are dropped.

        Returns:
            Whether it does; if not, nothing has changed.
        """
        vision, config = self.model.vision_model, self.model.config.vision_config
        heads = config.num_attention_heads
        known = config.hidden_act in get_args(MlpActivation)
        if not known or packing_refused(vision, config.hidden_size, heads, turned=False) is not None:
            return False
        for layer in vision.encoder.layers:
            own = layer.self_attn
            query, key, value, out = (
                Matrix.of(part) for part in (own.q_proj, own.k_proj, own.v_proj, own.out_proj)
            )
            attention = PackedAttention(layer.layer_norm1, query, key, value, out, heads, turned=False)
            fc1, fc2 = Matrix.of(layer.mlp.fc1), Matrix.of(layer.mlp.fc2)
            self._packed.append((attention, PackedMlp(layer.layer_norm2, fc1, fc2, config.hidden_act)))
            release(layer)
        vision.float()
        self.model.visual_projection.float()
        return True

    def _pooled_by_packed(self, pixels: Tensor) -> Tensor:
        """Class tokens (B, D) after the last norm; the last block goes on with them alone."""
        vision = self.model.vision_model
        x = vision.pre_layrnorm(vision.embeddings(pixels)).contiguous()
        flat, (count, length) = x.flatten(0, 1), x.shape[:2]
        groups = Groups.clips(count, length)
        for attention, mlp in self._packed[:-1]:
            attention(flat, [groups])
            mlp(flat)
        attention, mlp = self._packed[-1]
        first = attention.of_rows(flat, Groups.clips(count, length, 1))
        mlp(first)
        pooled: Tensor = vision.post_layernorm(first)
        return pooled

    def text(self, texts: Sequence[str]) -> Tensor:
        """Features (B, context_length, text width) of texts, float32, each token of length 1.

        A text that is too long is cut; a warning says what was cut. Padding is part of the features, as published.

        Raises:
            ValueError: If the checkpoint folder holds no vocabulary, or one of another network.
        """
        return self.encode_tokens(self._tokens(texts, self.context_length))

    @cached_property
    def _tokens(self) -> ClipTokens:
        if self._vocabulary is None:
            raise ValueError("this CLIP was built without a vocabulary; load it from its checkpoint folder")
        tokens = ClipTokens.load(self._vocabulary)
        known = self.model.config.text_config.vocab_size
        if tokens.vocabulary_size > known:
            raise ValueError(
                f"the vocabulary in {self._vocabulary} has {tokens.vocabulary_size} tokens, but the network "
                f"knows {known}; copy the files that belong to the checkpoint"
            )
        return tokens

    @torch.inference_mode()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Features (B, embed_dim) of standardised pictures (B, 3, H, W), float32, each of length 1."""
        vision, weights = self.model.config.vision_config, self.model.visual_projection.weight
        # The convolution would not see what exceeds whole patches; `transformers` wants it cut off.
        seen = pixels[:, :, : vision.image_size, : vision.image_size].to(weights.device, weights.dtype)
        pooled = self._pooled_by_packed(seen) if self._packed else self.model.vision_model(seen).pooler_output
        return functional.normalize(self.model.visual_projection(pooled).float(), dim=-1)

    @torch.inference_mode()
    def encode_tokens(self, numbers: Tensor) -> Tensor:
        """Features (B, N, text width) of token numbers (B, N), float32, each of length 1.

        No mask but the causal one, no projection, no pooling: MMAudio reads all tokens.
        """
        numbers = numbers.to(self.model.text_projection.weight.device)
        return functional.normalize(self.model.text_model(numbers).last_hidden_state.float(), dim=-1)


def _parts_of_network(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the position numbers that older files store."""
    return {key: value for key, value in state.items() if not key.endswith("position_ids")}


def _weights_of(folder: Path) -> Path:
    """The folder, or its file of open_clip if it holds no other."""
    if any((folder / name).is_file() for name in _USUAL_FILES):
        return folder
    return next((folder / name for name in _OPEN_CLIP_FILES if (folder / name).is_file()), folder)


def _open_clip_config(folder: Path) -> ClipH14Config:
    path = folder / "open_clip_config.json"
    if not path.is_file():
        return ClipH14Config()
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return ClipH14Config.from_open_clip(settings.get("model_cfg", settings))


def _transformers_config(folder: Path) -> CLIPConfig:
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} has no config.json; copy it from the checkpoint")
    return CLIPConfig.from_json_file(path)
