"""Weights of "Audio Spatialization" on disk: config.json and model.safetensors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from spatialfoley.generators.spatializer.config import SpatializerConfig
from spatialfoley.generators.spatializer.unet import AudioSpatializer
from spatialfoley.media.atomic import atomic_path
from spatialfoley.weights import load_state_dict

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

_COUNTER = "num_batches_tracked"
"""Of batch normalisation; it is not used after training."""
_STATISTICS = ("running_mean", "running_var")


def save_audio_spatializer(network: AudioSpatializer, folder: Path) -> None:
    """Write config.json and model.safetensors: 16-bit weights, 32-bit statistics of the normalisation."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / CONFIG_FILE) as path:
        path.write_text(json.dumps(dataclasses.asdict(network.config), indent=1) + "\n", encoding="utf-8")
    stored = {
        name: (tensor if name.endswith(_STATISTICS) else tensor.half()).contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    with atomic_path(folder / WEIGHTS_FILE) as path:
        save_file(stored, path)


def load_audio_spatializer(folder: Path) -> AudioSpatializer:
    """The network of a folder, in evaluation mode.

    Raises:
        ValueError: A file is missing, is not what it should be, or its tensors do not fit its config.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise ValueError(f"{folder} has no {CONFIG_FILE}; give the folder of a run of the task audio_spatial")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        config = SpatializerConfig.from_dict(settings)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"{path} cannot be used ({problem}); copy it again") from problem
    network = AudioSpatializer(config)
    stored = load_state_dict(folder / WEIGHTS_FILE)
    wanted = {name: t for name, t in network.state_dict().items() if not name.endswith(_COUNTER)}
    wrong = sorted(
        name
        for name in wanted.keys() | stored.keys()
        if name not in wanted or name not in stored or wanted[name].shape != stored[name].shape
    )
    if wrong:
        raise ValueError(
            f"{folder / WEIGHTS_FILE} does not fit its {CONFIG_FILE}: {len(wrong)} tensors are missing, unknown or "
            f"of another shape, such as {', '.join(wrong[:3])}; take both from one run"
        )
    network.load_state_dict({name: tensor.to(torch.float32) for name, tensor in stored.items()}, strict=False)
    return network.eval()
