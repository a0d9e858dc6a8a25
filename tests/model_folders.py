"""Model folders with random weights, in the layouts that the pipeline reads."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, DacConfig, DacModel

from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.codecs.unicodec_config import UniCodecConfig
from spatialfoley.codecs.unicodec_network import UniCodecNetwork
from spatialfoley.features.tiny import TinyEncoder, TinyFeaturesConfig
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import VisageModel


def write_tiny_model(folder: Path, seed: int = 0, **changes: object) -> Path:
    """Write a folder in our own layout: pipeline.json, generator, tiny codec and tiny features."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    codec = TinyCodecConfig(width=16, blocks=1, latent_dim=4, shape_levels=2, vocabulary_size=128)
    features = TinyFeaturesConfig(embedding_dim=16, channels=(4, 4, 4, 4), patch_dim=4)
    settings = {
        "num_rvq": 1 + codec.shape_levels,
        "dac_vocab_size": codec.vocabulary_size,
        "dac_pad_token_id": codec.vocabulary_size,
        "d_clip": features.embedding_dim,
        "clip_frame_rate": features.frame_rate_hz,
        "max_source_length": 5 * features.frame_rate_hz,
        "decoder_layers": 1,
        "encoder_layers": 1,
        "field_frame": "camera",
        "init_std": 0.3,
    }
    config = VisageConfig.tiny(**{**settings, **changes})
    _save(folder, "codec", TinyCodec(codec), dataclasses.asdict(codec))
    _save(folder, "features", TinyEncoder(features), dataclasses.asdict(features))
    save_file(VisageModel(config).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    manifest = {
        "family": "visage",
        "name": "random-tiny",
        "features": "tiny",
        "codec": "tiny",
        "licence": "MIT",
        "sampling": {"guidance": {"rule": "none"}, "top_k": 50, "spatial_temperature": 0.7},
    }
    (folder / "pipeline.json").write_text(json.dumps(manifest))
    return folder


def _save(folder: Path, name: str, network: torch.nn.Module, settings: dict[str, object]) -> None:
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    (folder / f"{name}.json").write_text(json.dumps(settings))


def write_published_model(folder: Path, pickled: bool = False) -> Path:
    """Write a folder in the published ViSAGe layout, with DAC and CLIP of small sizes in sub-folders."""
    torch.manual_seed(0)
    codec = DacConfig(
        encoder_hidden_size=8,
        downsampling_ratios=[4, 4, 4, 5],
        decoder_hidden_size=32,
        n_codebooks=3,
        codebook_size=64,
        codebook_dim=4,
        sampling_rate=16_000,
    )
    DacModel(codec).save_pretrained(folder / "dac")
    _save_clip(folder / "clip")
    config = VisageConfig.tiny(init_std=0.3, decoder_layers=1, encoder_layers=1)
    state = VisageModel(config).state_dict()
    if pickled:
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors")
    ours = ("num_channels", "unfed_codebooks", "aligned_conditions", "field_frame")
    published = {key: value for key, value in config.to_dict().items() if key not in ours}
    (folder / "config.json").write_text(json.dumps(published))
    return folder


SINGLE_CODEBOOK = {
    **{"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "d_clip": 16, "init_std": 0.3},
    **{"max_target_length": 226, "token_ranges": ((8192, 16384),)},
}
"""Small sizes for `VisageConfig.single_codebook`: clips of three seconds."""


def write_single_codebook_model(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Write a folder like ViSAGe-SC's: plain weights, with UniCodec and CLIP of small sizes in sub-folders."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    config = VisageConfig.single_codebook(**{**SINGLE_CODEBOOK, **changes})
    save_file(VisageModel(config).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    _save_clip(folder / "clip")
    write_unicodec(folder / "unicodec")
    return folder


def write_unicodec(folder: Path, codebook_size: int = 16384, seed: int = 1) -> Path:
    """Write `unicode.ckpt` in the published key layout, as its trainer wraps it; small but for the codebook."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    sizes = UniCodecConfig(
        first_width=2,
        width=64,
        layers=1,
        expert_width=32,
        codebook_size=codebook_size,
        backbone_width=64,
        backbone_inner_width=64,
        backbone_layers=1,
    )
    state = UniCodecNetwork(sizes).state_dict()
    for name, weight in state.items():
        if name.endswith("conv.conv.weight"):
            weight *= 2  # enough gain to tell sounds apart: as drawn, all get one token
        elif "encoder" in name and name.endswith("bias"):
            weight.zero_()
    torch.save({"state_dict": state, "epoch": 1}, folder / "unicode.ckpt")
    return folder


def _save_clip(folder: Path) -> None:
    sizes = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=16,
        image_size=224,
        patch_size=32,
    )
    CLIPVisionModelWithProjection(sizes).save_pretrained(folder)
