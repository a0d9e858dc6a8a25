"""Model folders with random weights, in the layouts that the pipeline reads."""

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, DacConfig, DacModel

from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
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
    clip = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=16,
        image_size=224,
        patch_size=32,
    )
    DacModel(codec).save_pretrained(folder / "dac")
    CLIPVisionModelWithProjection(clip).save_pretrained(folder / "clip")
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
