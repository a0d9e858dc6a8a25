"""Folders of spatial heads with random weights on the random MMAudio network of `flow_folders`."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from spatialfoley.generators.visaudio.head_folder import (
    HEAD_FILE,
    HEAD_SETTINGS_FILE,
    HeadFolder,
    write_head_folder,
)
from spatialfoley.generators.visaudio.spatial_head import SpatialHead, SpatialHeadConfig
from spatialfoley.training.checkpoints import export_weights
from tests.features import test_perception
from tests.flow_folders import BACKBONE, PATCHES, SYNC

SIZES: dict[str, Any] = {
    "latent_dim": BACKBONE.latent_dim,
    "sync_dim": SYNC.width,
    "pe_dim": PATCHES.width,
    "pe_grid": 8,
    "hidden_dim": 8,
    "depth": 1,
    "patch_dim": 2,
}


def write_patch_encoder(folder: Path) -> None:
    """PE-Spatial as one of the parts of a model folder."""
    weights = folder / "ext_weights"
    weights.mkdir(parents=True, exist_ok=True)
    save_file(
        test_perception.random_network(PATCHES).state_dict(), weights / "PE-Spatial-L14-448.safetensors"
    )


def write_head_model(folder: Path, generator: Path | str, layout: str = "foa", **changes: Any) -> Path:
    """A folder as the task `spatial_head` leaves it, and PE-Spatial in it."""
    torch.manual_seed(1)
    write_patch_encoder(folder)
    config = SpatialHeadConfig(**{**SIZES, "layout": layout, **changes})
    head = SpatialHead(config)
    with torch.no_grad():
        head.answer.bias.uniform_(-0.8, 0.8)  # else everything would come from almost nowhere
    export_weights(head, folder / HEAD_FILE, vars(config), folder / HEAD_SETTINGS_FILE)
    write_head_folder(folder, HeadFolder(layout, str(generator)))  # type: ignore[arg-type]
    return folder
