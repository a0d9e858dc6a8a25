"""Checkpoints of a run: written whole or not at all, so a killed run resumes from the last complete one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

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
