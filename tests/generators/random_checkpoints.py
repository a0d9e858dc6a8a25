"""Checkpoints of random weights, for tests."""

from pathlib import Path

import torch

from spatialfoley.generators.visage.checkpoint import save_visage
from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import VisageModel


def random_model(config: VisageConfig, seed: int = 0, scale: float = 0.3) -> VisageModel:
    """A network whose every weight is drawn, in evaluation mode; the pad rows stay zero."""
    torch.manual_seed(seed)
    model = VisageModel(config)
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=scale)
    for table in model.model.decoder.embed_dac:
        torch.nn.init.zeros_(table.weight[config.dac_pad_token_id])
    return model.eval()


def random_conditions(
    config: VisageConfig, batch: int = 2, frames: int = 4, seed: int = 1
) -> VisageConditions:
    """Frames, energy maps and directions of a batch."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(batch, 3, generator=generator)
    return VisageConditions(
        frames=torch.randn(batch, frames, config.d_clip, generator=generator),
        energy_map=torch.rand(batch, frames, 49, generator=generator),
        direction=direction / direction.norm(dim=1, keepdim=True),
    )


def random_codes(config: VisageConfig, batch: int = 2, frames: int = 6, seed: int = 2) -> torch.Tensor:
    """Codes (B, S, K)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, config.dac_vocab_size, (batch, frames, config.codebooks), generator=generator)


def write_random_checkpoint(folder: Path, config: VisageConfig, seed: int = 0) -> Path:
    """A checkpoint folder in the published layout; returns the folder."""
    save_visage(random_model(config, seed), folder)
    return folder
