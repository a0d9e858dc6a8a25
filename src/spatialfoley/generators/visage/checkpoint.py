"""ViSAGe checkpoints: a folder with config.json and the weights, in the published layout."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.trimmed_tables import restore_tables
from spatialfoley.weights import compare_keys, load_state_dict

_CONFIG_FILE = "config.json"
_WEIGHT_FILE = "model.safetensors"
_PER_CODEBOOK_KEY = re.compile(r"(model\.decoder\.embed_dac|dac_heads)\.(\d+)\.(.+)")
_DECODER_POSITIONS = "model.decoder.embed_positions.weight"


def load_visage(
    folder: Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> VisageModel:
    """Read a checkpoint folder.

    Args:
        folder: Holds config.json and the weights (model.safetensors or pytorch_model.bin, in shards or not), their
            token tables whole or trimmed (`trimmed_tables`).
        device: Where to put the network.
        dtype: Type of the weights.

    Returns:
        The network in evaluation mode.

    Raises:
        ValueError: If a file is missing, the configuration contradicts the weights (settings are named), or keys
            are missing or unexpected (they are listed).
    """
    config = read_config(folder)
    state = restore_tables(load_state_dict(folder), config, folder)
    _check_sizes(config, state, folder)
    with torch.device("meta"):
        model = VisageModel(config)
    _check_keys(model.state_dict(), state, folder)
    model.load_state_dict({key: value.to(dtype) for key, value in state.items()}, assign=True)
    return model.to(device).eval()


def save_visage(model: VisageModel, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a checkpoint folder that `load_visage` reads; the folder is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().to("cpu", dtype).contiguous() for key, value in model.state_dict().items()}
    save_file(state, folder / _WEIGHT_FILE)
    settings = {"model_type": "visage", **model.config.to_dict()}
    (folder / _CONFIG_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read_config(folder: Path) -> VisageConfig:
    """Configuration of a checkpoint folder.

    Raises:
        ValueError: If there is no readable config.json, or a setting is unknown or impossible.
    """
    path = folder / _CONFIG_FILE
    if not path.is_file():
        raise ValueError(f"{folder} has no {_CONFIG_FILE}; name a folder with a ViSAGe checkpoint")
    try:
        return VisageConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as problem:
        raise ValueError(f"{path}: {problem}") from problem


def start_from(model: VisageModel, path: Path) -> None:
    """Start a network from the weights of another run; a mono one gives its W to Y, Z and X, as published.

    Args:
        model: Changed in place.
        path: A checkpoint folder, or a file of weights; its token tables may be trimmed where a config.json lies
            beside them.

    Raises:
        ValueError: If the tokens are others than the network's, or keys or shapes do not fit; they are listed.
    """
    state, folder = load_state_dict(path), path if path.is_dir() else path.parent
    if (folder / _CONFIG_FILE).is_file():
        state = restore_tables(state, read_config(folder), folder)
    head = state.get("dac_heads.0.weight")
    if head is not None and len(head) != model.config.dac_vocab_size:
        raise ValueError(
            f"{path} was trained on tokens 0 to {len(head) - 1}, but dac_vocab_size is "
            f"{model.config.dac_vocab_size}; start from a network of the same codec"
        )
    if f"dac_heads.{model.config.codebooks - 1}.weight" in state:
        _check_keys(model.state_dict(), state, path)
        model.load_state_dict(state)
    else:
        start_from_mono(model, state)


@torch.no_grad()
def start_from_mono(model: VisageModel, mono_state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Start an ambisonic network from a mono one: token tables and heads of W are copied to Y, Z and X too.

    Args:
        model: The ambisonic network, changed in place.
        mono_state: Weights of a network with one channel and the same widths and levels. Fewer decoder positions
            are fine (mono takes one row less); the others stay as they are.

    Returns:
        Keys of `model` that the mono network does not have and that stay as they are.

    Raises:
        ValueError: If keys are unexpected or shapes differ; they are listed.
    """
    levels, target = model.config.num_rvq, model.state_dict()
    copied: dict[str, Tensor] = {}
    for key, value in mono_state.items():
        per_codebook = _PER_CODEBOOK_KEY.fullmatch(key)
        if per_codebook is None:
            copied[key] = value
            continue
        table, level, kind = per_codebook[1], int(per_codebook[2]), per_codebook[3]
        channels = model.config.num_channels if level < levels else 0
        copied.update({f"{table}.{channel * levels + level}.{kind}": value for channel in range(channels)})
        if not channels:
            copied[f"{key} (beyond {levels} levels)"] = value
    positions = copied.get(_DECODER_POSITIONS)
    if positions is not None and positions.shape[0] < len(target[_DECODER_POSITIONS]):
        rest = target[_DECODER_POSITIONS][len(positions) :]
        copied[_DECODER_POSITIONS] = torch.cat([positions.to(rest), rest])
    known = {key: target[key] for key in target if key in copied}
    _check_keys(known, copied, "the mono checkpoint")
    model.load_state_dict(copied, strict=False)
    return tuple(key for key in target if key not in copied)


def _check_sizes(config: VisageConfig, state: Mapping[str, Tensor], folder: Path) -> None:
    """Name the settings that contradict the weights."""
    said = {name: getattr(config, name) for name in ("encoder_layers", "decoder_layers", *_SIZE_OF_WEIGHT)}
    said["num_rvq x num_channels"] = config.codebooks
    said["aligned_conditions"] = config.aligned_conditions
    found: dict[str, int] = {
        name: state[key].shape[dimension] - extra
        for name, (key, dimension, extra) in _SIZE_OF_WEIGHT.items()
        if key in state and state[key].ndim > dimension
    }
    for name, pattern in _COUNT_OF_KEYS.items():
        found[name] = len({match[1] for key in state if (match := re.match(pattern, key))})
    found["aligned_conditions"] = any(key.startswith("model.decoder.aligned_projection.") for key in state)
    differences = [
        f"{name} is {said[name]} but the weights have {value}"
        for name, value in found.items()
        if value != said[name]
    ]
    if differences:
        raise ValueError(f"{folder / _CONFIG_FILE} contradicts the weights: {'; '.join(differences)}")


_SIZE_OF_WEIGHT = {
    "d_model": ("model.decoder.bos", 1, 0),
    "d_clip": ("null_embedding", 0, 0),
    "encoder_ffn_dim": ("model.encoder.layers.0.fc1.weight", 0, 0),
    "decoder_ffn_dim": ("model.decoder.layers.0.fc1.weight", 0, 0),
    "dac_vocab_size": ("dac_heads.0.weight", 0, 0),
    "max_source_length": ("model.encoder.embed_positions.weight", 0, 0),
    "max_target_length": (_DECODER_POSITIONS, 0, 2),
}
_COUNT_OF_KEYS = {
    "encoder_layers": r"model\.encoder\.layers\.(\d+)\.",
    "decoder_layers": r"model\.decoder\.layers\.(\d+)\.",
    "num_rvq x num_channels": r"dac_heads\.(\d+)\.",
}


def _check_keys(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: Path | str) -> None:
    compare_keys({key: tuple(value.shape) for key, value in expected.items()}, found, str(source))
