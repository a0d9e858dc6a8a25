"""Prepared clips of random numbers for the flow networks, and weights to start from."""

from pathlib import Path
from typing import Any

import torch

from spatialfoley.dataset.visaudio_features import FlowItem, Preparation, write_flow_clips, write_flow_item
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from tests.generators.visaudio.networks import randomise

SMALL = VisaudioConfig.tiny(backbone=MMAudioConfig.tiny(latent_dim=20, depth=2, fused_depth=1))
CLIP_S = 0.8
SETTINGS = {"model": {"weights_sha256": {}}, "channels": ["left", "right"], "rate_hz": 16000}


def random_item(
    config: VisaudioConfig = SMALL, seed: int = 0, channels: int = 2, text: bool = True
) -> FlowItem:
    """A clip whose sound is the same at all times, so that a small network can learn it."""
    sizes, lengths = config.backbone, config.backbone.lengths(CLIP_S)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    latents = (channels, lengths.latent, sizes.latent_dim)
    still = normal(channels, 1, sizes.latent_dim).expand(latents)
    grid = config.pe_input_grid
    return FlowItem(
        mean=2 + 3 * still,
        std=0.1 * normal(*latents).abs(),
        clip=normal(lengths.clip, sizes.clip_dim).half(),
        sync=normal(lengths.sync, sizes.sync_dim).half(),
        text=normal(sizes.text_tokens, sizes.text_dim).half() if text else None,
        patches=normal(lengths.clip, grid, grid, config.pe_dim).half(),
    )


def write_random_clips(
    folder: Path, count: int, config: VisaudioConfig = SMALL, seed: int = 0, channels: int = 2
) -> Path:
    """A folder as `dataset prepare` leaves it; every second clip has no text."""
    lines = []
    for number in range(count):
        item = random_item(config, 100 * seed + number, channels, text=number % 2 == 0)
        write_flow_item(folder / "clips" / f"{number}.safetensors", item)
        lines.append({"file": f"clips/{number}.safetensors", "video": f"{number}.mp4", "start_s": 0.0})
    empty = torch.ones(config.backbone.text_tokens, config.backbone.text_dim).half()
    write_flow_clips(folder, lines, SETTINGS, Preparation(clip_s=CLIP_S), empty)
    return folder


def write_small_mmaudio(path: Path, config: MMAudioConfig = SMALL.backbone) -> Path:
    """A checkpoint as published: one file."""
    network = MMAudioNetwork(config)
    randomise(network, seed=3)
    torch.save(network.state_dict(), path)
    return path


def plain(config: VisaudioConfig) -> dict[str, Any]:
    """The section `model` of a recipe."""
    return {"family": "visaudio", **config.to_dict()}
