"""Folders of a spatial head on a frozen MMAudio network: which network that is, and the head's own weights.

    config.json                   model_type "visaudio-foa" (a sound field) or "visaudio-ears" (two ears), and
                                  generator: name of the network, or its file or folder
    head.json, head.safetensors   the head

The weights of the network stay where they are, and as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spatialfoley.generators.visaudio.spatial_head import HeadLayout, SpatialHead, SpatialHeadConfig
from spatialfoley.media.atomic import atomic_path
from spatialfoley.weights import compare_keys, load_state_dict

FIELD_MODEL, EARS_MODEL = "visaudio-foa", "visaudio-ears"
MODEL_TYPES: Mapping[str, HeadLayout] = {FIELD_MODEL: "foa", EARS_MODEL: "binaural"}
CONFIG_FILE, HEAD_SETTINGS_FILE, HEAD_FILE = "config.json", "head.json", "head.safetensors"


@dataclass(frozen=True)
class HeadFolder:
    """What config.json says.

    Attributes:
        layout: What the sound becomes.
        generator: Name of the frozen network, or its file or folder; seen from the folder where it is relative.
        licence: Of the head.
    """

    layout: HeadLayout
    generator: str
    licence: str = "unknown, see where it came from"


def is_head_folder(folder: Path) -> bool:
    """Tell whether a folder says of itself that it holds a spatial head on a frozen network."""
    return _content(folder).get("model_type") in MODEL_TYPES


def read_head_folder(folder: Path) -> HeadFolder:
    """What a folder says of itself.

    Raises:
        ValueError: If it is no such folder, or names no generator.
    """
    content = _content(folder)
    model_type, generator = str(content.get("model_type")), content.get("generator")
    if model_type not in MODEL_TYPES:
        raise ValueError(
            f"{folder / CONFIG_FILE} has model_type {model_type!r}; it must be one of {', '.join(MODEL_TYPES)}"
        )
    if not isinstance(generator, str) or not generator:
        raise ValueError(
            f"{folder / CONFIG_FILE} has generator {generator!r}; name the MMAudio network that the head was "
            "trained on, such as mmaudio_large_44k_v2"
        )
    licence = {"licence": str(content["licence"])} if "licence" in content else {}
    return HeadFolder(MODEL_TYPES[model_type], generator, **licence)


def write_head_folder(folder: Path, described: HeadFolder) -> None:
    """Write config.json; `export_weights` writes the rest."""
    names = {layout: name for name, layout in MODEL_TYPES.items()}
    content = {
        "model_type": names[described.layout],
        "generator": described.generator,
        "licence": described.licence,
    }
    with atomic_path(folder / CONFIG_FILE) as path:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_head(folder: Path, device: str | torch.device = "cpu") -> SpatialHead:
    """The head of a folder, in evaluation mode, float32.

    Raises:
        ValueError: If a file is missing or damaged, the weights are of other sizes than head.json says, or the
            head is of another layout than config.json says.
    """
    path = folder / HEAD_SETTINGS_FILE
    try:
        config = SpatialHeadConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as problem:
        raise ValueError(f"{path} cannot be read ({problem}); copy the head again, or train one") from problem
    wanted = read_head_folder(folder).layout
    if config.layout != wanted:
        raise ValueError(
            f"{path} has layout {config.layout!r}, but config.json says {wanted!r}; take both from one run"
        )
    head = SpatialHead(config)
    state = load_state_dict(folder / HEAD_FILE)
    compare_keys(
        {name: value.shape for name, value in head.state_dict().items()}, state, str(folder / HEAD_FILE)
    )
    head.load_state_dict({name: value.float() for name, value in state.items()})
    return head.to(device).eval()


def _content(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
