"""Checkpoints: MMAudio's in their published layout, ViSAudio's as a folder, and the start of one from the other."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.media.atomic import atomic_path
from spatialfoley.weights import compare_keys, load_state_dict

_CONFIG_FILE = "config.json"
_WEIGHT_FILE = "model.safetensors"
# Tables that follow from the sizes; old checkpoints store them.
_DERIVED = frozenset({"t_embed.freqs", "latent_rot", "clip_rot"})
# The published networks tell their sample rate by the channels of a latent frame alone.
_RATES_OF_LATENT_DIM = {20: (16000, 256), 40: (44100, 512)}


def load_mmaudio(
    path: Path,
    config: MMAudioConfig | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> MMAudioNetwork:
    """Read an MMAudio flow network as published: one file of weights, no configuration.

    Args:
        path: The file, or a folder with it.
        config: Sizes; None to read them off the weights.
        device: Where to put the network.
        dtype: Type of the weights.

    Returns:
        The network in evaluation mode.

    Raises:
        ValueError: If the weights are missing, damaged, or do not fit.
    """
    state = without_derived(load_state_dict(path))
    if config is None:
        try:
            config = mmaudio_config_of(state)
        except ValueError as problem:
            raise ValueError(f"{path} cannot be used: {problem}") from problem
    with torch.device("meta"):
        network = MMAudioNetwork(config)
    compare_keys(_shapes(network), state, str(path))
    network.load_state_dict({key: value.to(dtype) for key, value in state.items()}, assign=True)
    return network.to(device).eval()


def mmaudio_config_of(state: Mapping[str, Tensor]) -> MMAudioConfig:
    """Sizes of the network that some weights belong to.

    Args:
        state: Weights by published name, or tensors on the meta device.

    Raises:
        ValueError: If these are no weights of an MMAudio flow network, or their sample rate is unknown.
    """
    needed = (*_SIZE_OF_WEIGHT.values(), (_QUERY_NORM, 0))
    missing = [key for key, dimension in needed if key not in state or state[key].ndim <= dimension]
    if missing:
        raise ValueError(
            f"these are no weights of an MMAudio flow network ({missing[0]} is missing); give a published one, "
            "such as mmaudio_small_16k.pth"
        )
    sizes = {name: state[key].shape[dimension] for name, (key, dimension) in _SIZE_OF_WEIGHT.items()}
    if sizes["latent_dim"] not in _RATES_OF_LATENT_DIM:
        raise ValueError(
            f"latents of {sizes['latent_dim']} channels belong to no published MMAudio network, so its sample rate "
            f"is unknown; give a network of {' or '.join(map(str, _RATES_OF_LATENT_DIM))} channels"
        )
    rate_hz, hop_samples = _RATES_OF_LATENT_DIM[sizes["latent_dim"]]
    joint, fused = (_count(state, kind) for kind in ("joint_blocks", "fused_blocks"))
    return MMAudioConfig(
        **sizes,
        depth=joint + fused,
        fused_depth=fused,
        num_heads=sizes["hidden_dim"] // state[_QUERY_NORM].shape[0],
        v2="clip_input_proj.2.w1.weight" in state,
        sample_rate_hz=rate_hz,
        hop_samples=hop_samples,
    )


@torch.no_grad()
def start_from_mmaudio(network: VisaudioNetwork, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Start ViSAudio from MMAudio: single blocks and last layer are copied to every branch, the rest is shared.

    Args:
        network: Changed in place.
        state: Weights of an MMAudio network with the same sizes; all of them are used.

    Returns:
        Keys of `network` that MMAudio does not have; they keep their start values.

    Raises:
        ValueError: If keys are missing, unexpected or of another shape; they are listed.
    """
    state = without_derived(state)
    with torch.device("meta"):
        expected = MMAudioNetwork(network.config.backbone)
    compare_keys(_shapes(expected), state, "the MMAudio checkpoint")
    copied = {target: value for key, value in state.items() for target in targets_of(network, key)}
    own = network.state_dict()
    assert copied.keys() <= own.keys()
    network.load_state_dict(copied, strict=False)
    return tuple(key for key in own if key not in copied)


def targets_of(network: VisaudioNetwork, mmaudio_key: str) -> tuple[str, ...]:
    """Keys of ViSAudio that start from a key of MMAudio: one or more."""
    head, _, rest = mmaudio_key.partition(".")
    if head == "fused_blocks":
        return tuple(f"branch_blocks.{name}.{rest}" for name in network.config.branches)
    if head == "final_layer":
        return tuple(f"final_layers.{name}.{rest}" for name in network.final_layers)
    if head == "audio_input_proj":
        return (mmaudio_key, *(f"branch_input_proj.{name}.{rest}" for name in network.branch_input_proj))
    return (mmaudio_key,)


def save_visaudio(network: VisaudioNetwork, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a checkpoint folder that `load_visaudio` reads; the folder is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().to("cpu", dtype).contiguous() for key, value in network.state_dict().items()}
    with atomic_path(folder / _WEIGHT_FILE) as path:
        save_file(state, path)
    settings = {"model_type": "visaudio", **network.config.to_dict()}
    with atomic_path(folder / _CONFIG_FILE) as path:
        path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load_visaudio(
    folder: Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> VisaudioNetwork:
    """Read a checkpoint folder with config.json and the weights.

    Returns:
        The network in evaluation mode.

    Raises:
        ValueError: If a file is missing, a setting unknown or impossible, or weights and configuration differ.
    """
    config = read_config(folder)
    state = load_state_dict(folder)
    with torch.device("meta"):
        network = VisaudioNetwork(config)
    compare_keys(_shapes(network), state, str(folder))
    network.load_state_dict({key: value.to(dtype) for key, value in state.items()}, assign=True)
    return network.to(device).eval()


def read_config(folder: Path) -> VisaudioConfig:
    """Configuration of a ViSAudio checkpoint folder.

    Raises:
        ValueError: If there is no readable config.json, it is of another model, or a setting is unknown or
            impossible.
    """
    path = folder / _CONFIG_FILE
    if not path.is_file():
        raise ValueError(f"{folder} has no {_CONFIG_FILE}; name a folder with a ViSAudio checkpoint")
    try:
        settings = dict(json.loads(path.read_text(encoding="utf-8")))
        kind = settings.pop("model_type", None)
        if kind != "visaudio":
            raise ValueError(f"model_type is {kind!r}, but must be 'visaudio'")
        return VisaudioConfig.from_dict(settings)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"{path}: {problem}") from problem


def without_derived(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of MMAudio without the tables that old checkpoints store beside them."""
    return {key: value for key, value in state.items() if key not in _DERIVED}


def _shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _count(state: Mapping[str, Tensor], kind: str) -> int:
    return len({match[1] for key in state if (match := re.match(rf"{kind}\.(\d+)\.", key))})


_QUERY_NORM = "joint_blocks.0.latent_block.attn.q_norm.weight"
_SIZE_OF_WEIGHT = {
    "latent_dim": ("latent_mean", 2),
    "clip_dim": ("empty_clip_feat", 1),
    "sync_dim": ("empty_sync_feat", 1),
    "text_dim": ("empty_string_feat", 1),
    "text_tokens": ("empty_string_feat", 0),
    "hidden_dim": ("clip_cond_proj.weight", 0),
    "sync_segment_tokens": ("sync_pos_emb", 2),
}
