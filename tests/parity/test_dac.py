"""DAC against stored runs of the published package with random weights.

Codes must be equal (the files record the smallest distance between candidates), audio within 1e-4.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from spatialfoley.codecs.dac import DacCodec, convert_original
from tests.parity.cases import case_params

TOLERANCE = 1e-4


def read_case(path: Path) -> tuple[DacCodec, list[dict[str, Tensor]]]:
    with safe_open(path, "pt") as stored:
        settings = json.loads(stored.metadata()["config"])
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    state = {key.removeprefix("w."): value for key, value in tensors.items() if key.startswith("w.")}
    names = sorted({key.split(".")[0] for key in tensors if key.startswith("case")})
    cases = [
        {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        for name in names
    ]
    return DacCodec.from_state(state, settings, path.name), cases


def channel_codes(codes: Tensor) -> Tensor:
    """Stored codes (B, levels, S) in our order (B, S, levels)."""
    return codes.transpose(1, 2)


@pytest.mark.parametrize("path", case_params("codecs", "dac_*.safetensors"))
def test_codes_are_equal(path: Path) -> None:
    codec, cases = read_case(path)
    assert cases
    for case in cases:
        assert torch.equal(codec.encode(case["wav"]), channel_codes(case["codes"]))


@pytest.mark.parametrize("path", case_params("codecs", "dac_*.safetensors"))
def test_audio_is_equal(path: Path) -> None:
    codec, cases = read_case(path)
    for case in cases:
        audio = codec.decode(channel_codes(case["codes"]))
        length = case["audio"].shape[-1]
        torch.testing.assert_close(audio[..., :length], case["audio"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("path", case_params("codecs", "dac_*.safetensors"))
def test_channels_are_coded_as_if_alone(path: Path) -> None:
    codec, cases = read_case(path)
    wav, codes = cases[0]["wav"], channel_codes(cases[0]["codes"])
    together = codec.encode(wav.transpose(0, 1))
    assert torch.equal(together[0], torch.cat(list(codes), dim=1))


@pytest.mark.parametrize("path", case_params("codecs", "dac_keymap_*.json"))
def test_every_original_key_gets_its_published_name(path: Path) -> None:
    facts: dict[str, Any] = json.loads(path.read_text())
    state = {
        key: torch.empty(shape if key.endswith(("_g", "_v")) else (1,), device="meta")
        for key, shape in facts["shapes"].items()
    }
    expected = {
        name.replace("weight_v", "weight") for name in facts["keymap"].values() if not name.endswith("_g")
    }
    assert set(convert_original(state)) == expected


@pytest.mark.parametrize("path", case_params("codecs", "dac_*.safetensors"))
def test_original_file_with_its_metadata(path: Path, tmp_path: Path) -> None:
    _, cases = read_case(path)
    with safe_open(path, "pt") as stored:
        settings = json.loads(stored.metadata()["config"])
        state = {key.removeprefix("w."): stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    state = {key: value for key, value in state.items() if not key.startswith("case")}
    torch.save({"state_dict": state, "metadata": {"kwargs": settings}}, tmp_path / "weights.pth")
    codec = DacCodec.load(tmp_path / "weights.pth")
    assert codec.rate_hz == settings["sample_rate"]
    assert torch.equal(codec.encode(cases[0]["wav"]), channel_codes(cases[0]["codes"]))
