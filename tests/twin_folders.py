"""Folders of tiny twins with random weights at the smallest sizes; codec and encoder are the package's."""

import json
from pathlib import Path

import torch

from spatialfoley.generators.visaudio.spatial_head import SpatialHead, SpatialHeadConfig
from spatialfoley.generators.visaudio.spectral_prior import SpectralPrior, SpectralPriorConfig
from spatialfoley.generators.visaudio.twin import PATCH_GRID, TwinConfig, TwinNetwork
from spatialfoley.training.checkpoints import export_weights

WORDS = ["bell", "drum"]


def write_twin_folder(folder: Path, form: str, layout: str, seed: int = 0) -> Path:
    """A twin of a form; the parametric one gets a head of the layout."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    twin = TwinConfig.from_dict(
        {
            "form": {"form": form, "layout": "mono" if form == "parametric" else layout},
            "words": WORDS,
            "network": {
                "spacetime": form != "parametric",
                "backbone": {
                    "clip_dim": 128,
                    "sync_dim": 128,
                    "hidden_dim": 16,
                    "num_heads": 2,
                    "depth": 3,
                    "fused_depth": 1,
                    "ffn_multiple": 16,
                },
            },
        }
    )
    network = TwinNetwork(twin)
    _shake(network)
    export_weights(network, folder / "twin.safetensors", twin.to_dict(), folder / "twin.json")
    sizes = SpectralPriorConfig(text_dim=len(WORDS), hidden_dim=8, depth=1)
    export_weights(SpectralPrior(sizes), folder / "prior.safetensors", vars(sizes), folder / "prior.json")
    if form == "parametric":
        config = SpatialHeadConfig(
            layout=layout,  # type: ignore[arg-type]
            latent_dim=twin.form.latent_dim,
            frames_per_token=twin.form.frames_per_token,
            sync_dim=128,
            pe_dim=1,
            pe_grid=PATCH_GRID,
            hidden_dim=8,
            depth=1,
        )
        head = SpatialHead(config)
        export_weights(head, folder / "head.safetensors", vars(config), folder / "head.json")
    manifest = {"family": "twin", "name": folder.name, "licence": "MIT", "sampling": {"steps": 2}}
    (folder / "pipeline.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def _shake(network: torch.nn.Module) -> None:
    """Gates begin shut, and a network of shut gates sounds the same whatever it sees."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
