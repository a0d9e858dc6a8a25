"""Checkpoints of open_clip: their settings, and their weights under the keys of `transformers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import CLIPConfig

from spatialfoley.features.clip import convert_openai

_MLP_RATIO = 4


@dataclass(frozen=True)
class ClipH14Config:
    """Sizes of an open_clip network; the defaults are those of DFN5B ViT-H/14 at 378 px."""

    embed_dim: int = 1024
    quick_gelu: bool = True
    image_size: int = 378
    patch_size: int = 14
    vision_width: int = 1280
    vision_layers: int = 32
    vision_head_width: int = 80
    context_length: int = 77
    vocab_size: int = 49408
    text_width: int = 1024
    text_heads: int = 16
    text_layers: int = 24

    @classmethod
    def from_open_clip(cls, settings: Mapping[str, Any]) -> ClipH14Config:
        """Settings as open_clip writes them (`model_cfg` of open_clip_config.json).

        Raises:
            ValueError: If a size is missing or a setting asks for another kind of network.
        """
        plain = {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}
        vision_names = {"image_size", "layers", "width", "head_width", "patch_size"}
        text_names = {"context_length", "vocab_size", "width", "heads", "layers"}
        try:
            vision, text = dict(settings["vision_cfg"]), dict(settings["text_cfg"])
            unknown = (settings.keys() - plain) | (vision.keys() - vision_names) | (text.keys() - text_names)
            if unknown:
                raise ValueError(
                    f"{', '.join(sorted(unknown))} in the settings of open_clip is not supported"
                )
            return cls(
                embed_dim=settings["embed_dim"],
                quick_gelu=settings.get("quick_gelu", False),
                image_size=vision["image_size"],
                patch_size=vision["patch_size"],
                vision_width=vision["width"],
                vision_layers=vision["layers"],
                vision_head_width=vision.get("head_width", 64),
                context_length=text.get("context_length", 77),
                vocab_size=text.get("vocab_size", 49408),
                text_width=text["width"],
                text_heads=text["heads"],
                text_layers=text["layers"],
            )
        except KeyError as error:
            raise ValueError(
                f"the settings of open_clip lack {error}; copy open_clip_config.json again"
            ) from error

    def to_transformers(self) -> CLIPConfig:
        """The same network in the words of `transformers`."""
        both = {
            "hidden_act": "quick_gelu" if self.quick_gelu else "gelu",
            "layer_norm_eps": 1e-5,
            "projection_dim": self.embed_dim,
        }
        vision = {
            "hidden_size": self.vision_width,
            "intermediate_size": _MLP_RATIO * self.vision_width,
            "num_hidden_layers": self.vision_layers,
            "num_attention_heads": self.vision_width // self.vision_head_width,
            "image_size": self.image_size,
            "patch_size": self.patch_size,
        }
        text = {
            "hidden_size": self.text_width,
            "intermediate_size": _MLP_RATIO * self.text_width,
            "num_hidden_layers": self.text_layers,
            "num_attention_heads": self.text_heads,
            "max_position_embeddings": self.context_length,
            "vocab_size": self.vocab_size,
        }
        return CLIPConfig(
            vision_config={**vision, **both}, text_config={**text, **both}, projection_dim=self.embed_dim
        )


def is_open_clip(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of open_clip (or OpenAI)."""
    return any(key.startswith("visual.") for key in state)


def convert_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of open_clip under the keys of `transformers`, both encoders."""
    converted = convert_openai(state)
    blocks = {f"visual.{key}": value for key, value in state.items() if key.startswith("transformer.")}
    # The text encoder's blocks are named and shaped as those of the image encoder.
    for key, value in convert_openai(blocks).items():
        converted[key.replace("vision_model.", "text_model.", 1)] = value
    for key, name in _OPEN_CLIP_TEXT.items():
        if key in state:
            converted[name] = state[key].T.contiguous() if key == "text_projection" else state[key]
    # What has no place is kept, so that the comparison with the network names it.
    known = ("visual.", "transformer.", *_OPEN_CLIP_TEXT)
    return converted | {key: value for key, value in state.items() if not key.startswith(known)}


_OPEN_CLIP_TEXT = {
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
