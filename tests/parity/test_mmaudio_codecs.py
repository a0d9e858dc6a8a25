"""Mel front ends, autoencoders and vocoders of the MMAudio family against stored runs of the published code.

Random weights. Tolerances are absolute, a few times what the published code in float32 differs from itself in
float64: mel 1e-5 (so 1e-3 is generous), autoencoder 9e-6, vocoder 2e-6.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spatialfoley.codecs.bigvgan import BigVgan, BigVganConfig
from spatialfoley.codecs.mel import MelConfig, MelSpectrogram
from spatialfoley.codecs.mel_vae import MelVae, MelVaeConfig, force_unit_norm
from spatialfoley.codecs.weight_norm import fold_weight_norm
from spatialfoley.weights import compare_keys
from tests.parity.cases import case_params

MEL_TOLERANCE, VAE_TOLERANCE, VOCODER_TOLERANCE = 1e-3, 1e-4, 2e-5

MEL_CASES = [*case_params("mmaudio", "mel16_*.safetensors"), *case_params("mmaudio", "mel44_*.safetensors")]
VAE_CASES = [*case_params("mmaudio", "vae16_*.safetensors"), *case_params("mmaudio", "vae44_*.safetensors")]
VOCODER_CASES = [
    *case_params("mmaudio", "bigvgan_16k_*.safetensors"),
    *case_params("mmaudio", "bigvgan_v2_*.safetensors"),
]


def read_case(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return json.loads(path.with_suffix(".json").read_text("utf-8")), load_file(path)


def part(stored: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def listed(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    facts = json.loads(path.read_text("utf-8"))
    return facts, {key: tuple(shape) for key, (shape, _) in facts["keys"].items()}


@pytest.mark.parametrize("path", MEL_CASES)
def test_mel(path: Path) -> None:
    facts, stored = read_case(path)
    config = MelConfig(
        facts["sampling_rate"],
        facts["n_fft"],
        facts["hop"],
        facts["n_mels"],
        facts["fmin"],
        facts["fmax"],
        facts["log"],
    )
    front_end = MelSpectrogram(config)
    assert_close(front_end.window, stored["out/window"], 1e-6)
    assert_close(front_end.filters, stored["out/mel_basis"], 1e-7)
    assert_close(front_end(stored["in/waveform"]), stored["out/mel"], MEL_TOLERANCE)


def read_vae(path: Path) -> tuple[MelVae, dict[str, Tensor]]:
    facts, stored = read_case(path)
    sizes = facts["config"]
    config = MelVaeConfig(sizes["data_dim"], sizes["embed_dim"], sizes["hidden_dim"])
    return MelVae.from_state(part(stored, "weights/"), config), stored


@pytest.mark.parametrize("path", VAE_CASES)
def test_forced_norm(path: Path) -> None:
    _, stored = read_case(path)
    folded = force_unit_norm(part(stored, "weights/"))
    expected = part(stored, "out/norm_weight/")
    assert expected
    for key, value in expected.items():
        assert_close(folded[key], value, 1e-6)


@pytest.mark.parametrize("path", VAE_CASES)
@torch.no_grad()
def test_autoencoder(path: Path) -> None:
    vae, stored = read_vae(path)
    posterior = vae.encode(stored["in/mel"])
    assert_close(posterior.mean, stored["out/mean"], VAE_TOLERANCE)
    assert_close(posterior.log_variance, stored["out/logvar"], VAE_TOLERANCE)
    assert_close(posterior.std, stored["out/std"], VAE_TOLERANCE)
    assert_close(vae.decode(stored["in/z"]), stored["out/decode_z"], VAE_TOLERANCE)
    assert_close(vae.decode(stored["out/mean"]), stored["out/decode_mean"], VAE_TOLERANCE)
    assert_close(vae.decode_normalised(stored["in/z"]), stored["out/decode_z_raw"], VAE_TOLERANCE)


def old_spelling(key: str) -> str:
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for name, old in names.items():
        key = key.replace(name, old)
    return key


@pytest.mark.parametrize("path", VOCODER_CASES)
@pytest.mark.parametrize("spelling", ["parametrizations", "weight_g", "plain"])
@torch.no_grad()
def test_vocoder(path: Path, spelling: str) -> None:
    facts, stored = read_case(path)
    weights = part(stored, "weights/")
    if spelling == "weight_g":
        weights = {old_spelling(key): value for key, value in weights.items()}
    if spelling == "plain":
        weights = {key: value for key, value in weights.items() if "parametrizations" not in key}
        weights |= part(stored, "weights_plain/")
    vocoder = BigVgan.from_state(weights, BigVganConfig.from_dict(facts["config"]))
    for key, value in part(stored, "weights_plain/").items():
        assert_close(vocoder.state_dict()[key], value, 1e-6)
    assert_close(vocoder.wave_before_limit(stored["in/mel"]), stored["out/pre_final"], VOCODER_TOLERANCE)
    assert_close(vocoder(stored["in/mel"]), stored["out/wav"], VOCODER_TOLERANCE)
    activation = vocoder.activation_post
    assert_close(activation.upsample(stored["in/act_x"]), stored["out/act_up"], VOCODER_TOLERANCE)
    assert_close(activation(stored["in/act_x"]), stored["out/act_y"], VOCODER_TOLERANCE)


@pytest.mark.parametrize("path", VOCODER_CASES)
def test_designed_filters_are_the_stored_ones(path: Path) -> None:
    facts, stored = read_case(path)
    fresh = BigVgan(BigVganConfig.from_dict(facts["config"])).state_dict()
    filters = {key: value for key, value in part(stored, "weights/").items() if key.endswith(".filter")}
    assert filters
    for key, value in filters.items():
        assert_close(fresh[key], value, 1e-7)


@pytest.mark.parametrize("path", case_params("mmaudio", "state_dict_vae_*.json"))
def test_keys_of_the_autoencoder(path: Path) -> None:
    facts, expected = listed(path)
    config = MelVaeConfig.mmaudio_16k() if facts["name"].endswith("16k") else MelVaeConfig.mmaudio_44k()
    with torch.device("meta"):
        vae = MelVae(config)
    compare_keys(expected, shapes(vae), facts["name"])
    assert sum(value.numel() for value in vae.parameters()) == facts["total_params"]


@pytest.mark.parametrize("path", case_params("mmaudio", "state_dict_bigvgan_*.json"))
def test_keys_of_the_vocoder(path: Path) -> None:
    facts, expected = listed(path)
    config = BigVganConfig.from_dict(facts["config"])
    published = BigVganConfig.mmaudio_16k() if "16k" in facts["name"] else BigVganConfig.v2_44k()
    assert config == published
    with torch.device("meta"):
        vocoder = BigVgan(config)
    folded = fold_weight_norm({key: torch.empty(shape, device="meta") for key, shape in expected.items()})
    compare_keys(shapes(vocoder), folded, facts["name"])
    if "weightnorm" not in facts["name"]:
        assert sum(value.numel() for value in vocoder.parameters()) == facts["total_params"]
