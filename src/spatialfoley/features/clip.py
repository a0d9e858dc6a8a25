"""CLIP features of video frames: what is seen, and which patches stand out.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021. ViSAGe takes the
projected class token as the frame's embedding, and the patch tokens before the last norm for its energy map.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from spatialfoley.features import FrameFeatures
from spatialfoley.features.patch_saliency import GRID, filtered_energy_map
from spatialfoley.weights import compare_keys, load_state_dict, weight_files

PUBLISHED_FRAME_RATE_HZ = 4

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_FRAMES_AT_ONCE = 32
_OPENAI_HEAD_WIDTH = 64


class ClipFeatures:
    """The frozen CLIP image encoder: one clip in, its `FrameFeatures` out.

    Attributes:
        model: The network, in evaluation mode.
        frame_rate_hz: Frames per second that the generator expects.
        size_px: Side of the square that the network sees.
    """

    def __init__(
        self, model: CLIPVisionModelWithProjection, frame_rate_hz: int = PUBLISHED_FRAME_RATE_HZ
    ) -> None:
        """Wrap a network.

        Raises:
            ValueError: If the network does not see 7 × 7 patches.
        """
        config = model.config
        if config.image_size != GRID * config.patch_size:
            raise ValueError(
                f"image_size {config.image_size} with patch_size {config.patch_size} does not give "
                f"{GRID} x {GRID} patches: use ViT-B/32 at 224 px"
            )
        self.model = model.eval()
        self.frame_rate_hz = frame_rate_hz
        self.size_px: int = config.image_size

    @classmethod
    def load(
        cls, folder: Path, device: str = "cpu", frame_rate_hz: int = PUBLISHED_FRAME_RATE_HZ
    ) -> ClipFeatures:
        """Read a checkpoint folder in the layout of `transformers` or of OpenAI.

        Args:
            folder: Holds model.safetensors, pytorch_model.bin or ViT-B-32.pt; with config.json unless the
                layout is OpenAI's.
            device: Where to run.
            frame_rate_hz: Frames per second that the generator expects.

        Raises:
            ValueError: If files are missing or keys do not fit; the keys are listed.
        """
        state = _read_weights(folder)
        if any(key.startswith("visual.") for key in state):
            config, state = _config_of_openai(state), convert_openai(state)
        else:
            config = _read_config(folder)
            state = {key: value for key, value in state.items() if _is_visual(key)}
        with torch.device("meta"):
            expected = CLIPVisionModelWithProjection(config).state_dict()
        compare_keys({key: tuple(value.shape) for key, value in expected.items()}, state, str(folder))
        # Built with its buffers filled (they are not stored), then loaded.
        model = CLIPVisionModelWithProjection(config)
        model.load_state_dict({key: value.float() for key, value in state.items()})
        return cls(model.to(device), frame_rate_hz)

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray) -> FrameFeatures:
        """Features of one clip.

        Args:
            frames: uint8 RGB (T, H, W, 3) at `frame_rate_hz`; of any size, squares of `size_px` need no resizing.

        Raises:
            ValueError: If the frames have another shape or type.
        """
        pixels = preprocess(frames, self.size_px)
        device = next(self.model.parameters()).device
        embeddings, patches = [], []
        for part in pixels.split(_FRAMES_AT_ONCE):
            output = self.model(part.to(device))
            embeddings.append(output.image_embeds.float())
            patches.append(output.last_hidden_state[:, 1:].float())
        return FrameFeatures(torch.cat(embeddings), filtered_energy_map(torch.cat(patches)))


def preprocess(frames: np.ndarray, size_px: int) -> Tensor:
    """Frames as the network wants them: shorter side resized (bicubic), centre cut out, colours standardised.

    Args:
        frames: uint8 RGB (T, H, W, 3).
        size_px: Side of the resulting square.

    Returns:
        float32 (T, 3, size_px, size_px).

    Raises:
        ValueError: If the frames have another shape or type.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(
            f"frames is {frames.dtype} of shape {frames.shape}, but must be uint8 (frames, height, width, 3)"
        )
    pixels = torch.tensor(frames).permute(0, 3, 1, 2).float()
    height, width = frames.shape[1:3]
    shorter = min(height, width)
    if shorter != size_px:
        target = (int(size_px * height / shorter), int(size_px * width / shorter))
        pixels = functional.interpolate(pixels, target, mode="bicubic", antialias=True)
        pixels = pixels.round().clamp(0, 255)
    top, left = round((pixels.shape[2] - size_px) / 2), round((pixels.shape[3] - size_px) / 2)
    square = pixels[:, :, top : top + size_px, left : left + size_px] / 255
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
    return (square - mean) / deviation


def convert_openai(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Image encoder of the OpenAI layout under the `transformers` keys; the text encoder is left out."""
    converted: dict[str, Tensor] = {}
    for key, value in state.items():
        if not key.startswith("visual."):
            continue
        name = key.removeprefix("visual.")
        block = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", name)
        if name == "proj":
            converted["visual_projection.weight"] = value.T.contiguous()
        elif block is None:
            converted[f"vision_model.{_OPENAI_OUTER.get(name, name)}"] = value
        else:
            layer, inner = f"vision_model.encoder.layers.{block[1]}", block[2]
            if inner.startswith("attn.in_proj_"):
                kind = inner.removeprefix("attn.in_proj_")
                for part, chunk in zip("qkv", value.chunk(3), strict=True):
                    converted[f"{layer}.self_attn.{part}_proj.{kind}"] = chunk
            else:
                stem, kind = inner.rsplit(".", 1)
                converted[f"{layer}.{_OPENAI_INNER.get(stem, stem)}.{kind}"] = value
    return converted


_OPENAI_OUTER = {
    "class_embedding": "embeddings.class_embedding",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    # The misspelling is the published key.
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}
_OPENAI_INNER = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def _config_of_openai(state: Mapping[str, Tensor]) -> CLIPVisionConfig:
    """Every size read off the weights."""
    patches = state["visual.conv1.weight"]
    tokens = len(state["visual.positional_embedding"])
    layers = {
        found[1] for key in state if (found := re.match(r"visual\.transformer\.resblocks\.(\d+)\.", key))
    }
    return CLIPVisionConfig(
        hidden_size=len(patches),
        intermediate_size=len(state["visual.transformer.resblocks.0.mlp.c_fc.bias"]),
        projection_dim=state["visual.proj"].shape[1],
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, len(patches) // _OPENAI_HEAD_WIDTH),
        patch_size=patches.shape[-1],
        image_size=round((tokens - 1) ** 0.5) * patches.shape[-1],
    )


def _read_config(folder: Path) -> CLIPVisionConfig:
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} has no config.json; name a folder with a CLIP ViT-B/32 checkpoint")
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    vision = dict(settings.get("vision_config") or settings)
    if "projection_dim" in settings:
        vision["projection_dim"] = settings["projection_dim"]
    vision.pop("model_type", None)
    return CLIPVisionConfig(**vision)


def _is_visual(key: str) -> bool:
    """Whether a key belongs to the image encoder (older files also store its position numbers)."""
    return key.startswith(("vision_model.", "visual_projection.")) and not key.endswith("position_ids")


def _read_weights(folder: Path) -> dict[str, Tensor]:
    files = weight_files(folder)
    if files[0].suffix != ".pt":
        return load_state_dict(folder)
    # OpenAI's file is a TorchScript archive; only its weights are taken.
    with warnings.catch_warnings():
        # Nothing else reads this format, deprecated or not.
        warnings.simplefilter("ignore", DeprecationWarning)
        return dict(torch.jit.load(str(files[0]), map_location="cpu").state_dict())
