"""Small networks with open gates, and features for them."""

import torch
from torch import Tensor, nn

from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.generators.visaudio.config import MMAudioConfig, SequenceLengths, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork

LENGTHS = SequenceLengths(latent=23, clip=6, sync=16)


def stored_numbers(network: nn.Module) -> int:
    """Numbers that a checkpoint of the network stores."""
    return sum(value.numel() for value in network.state_dict().values())


@torch.no_grad()
def randomise(network: nn.Module, seed: int = 0) -> None:
    """Fill every weight, so that no gate is shut and no two layers are equal."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        spread = (
            0.5 if value.ndim < 2 or "empty" in name or "positions" in name else (value[0].numel()) ** -0.5
        )
        centre = 1.0 if name.endswith(("_norm.weight", "latent_std")) else 0.0
        value.copy_(centre + spread * torch.randn(value.shape, generator=generator))


def random_mmaudio(seed: int = 0, **changes: object) -> MMAudioNetwork:
    network = MMAudioNetwork(MMAudioConfig.tiny(**changes))
    randomise(network, seed)
    return network.eval()


def random_visaudio(seed: int = 0, **changes: object) -> VisaudioNetwork:
    network = VisaudioNetwork(VisaudioConfig.tiny(**changes))
    randomise(network, seed)
    return network.eval()


def random_features(config: VisaudioConfig, batch: int = 2, seed: int = 1) -> ClipFeatures:
    generator = torch.Generator().manual_seed(seed)
    sizes, grid = config.backbone, config.pe_input_grid

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    return ClipFeatures(
        clip=normal(LENGTHS.clip, sizes.clip_dim),
        sync=normal(LENGTHS.sync, sizes.sync_dim),
        text=normal(sizes.text_tokens, sizes.text_dim),
        patches=normal(LENGTHS.clip, grid, grid, config.pe_dim) if config.spacetime else None,
    )


def random_state(config: VisaudioConfig, batch: int = 2, seed: int = 2) -> tuple[Tensor, Tensor]:
    """Latents (B, N, L, C) and times (B,)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, len(config.branches), LENGTHS.latent, config.backbone.latent_dim)
    return torch.randn(shape, generator=generator), torch.rand(batch, generator=generator)
