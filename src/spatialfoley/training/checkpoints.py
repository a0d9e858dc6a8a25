"""What a run leaves: checkpoints to resume from and weights to load, each written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spatialfoley.media.atomic import atomic_path

CHECKPOINT_NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> Path:
    """Write `state` (tensors, numbers, strings) to the run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CHECKPOINT_NAME
    with atomic_path(path) as temporary:
        torch.save(state, temporary)
    return path


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last complete state of the run in `folder`, or None when it has not started."""
    path = folder / CHECKPOINT_NAME
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def export_weights(model: nn.Module, weights: Path, settings: Mapping[str, Any], settings_path: Path) -> None:
    """Write a trained part as pipelines load it: its settings as JSON, its weights in float16."""
    export_tensors(model.state_dict(), weights, settings, settings_path)


def export_tensors(
    state: Mapping[str, Tensor], weights: Path, settings: Mapping[str, Any], settings_path: Path
) -> None:
    """As `export_weights`, of weights by key."""
    with atomic_path(settings_path) as path:
        path.write_text(json.dumps(dict(settings), indent=1) + "\n", encoding="utf-8")
    halved = {name: tensor.half().contiguous() for name, tensor in state.items()}
    with atomic_path(weights) as path:
        save_file(halved, path)
