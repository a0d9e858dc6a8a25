"""UniCodec against stored runs of the published code with random weights of small sizes, and its full key list.

Tokens must be equal (the files record the smallest distance between candidates). Tolerances are absolute, a few
times what float32 itself leaves: encoder 3e-6 (numbers near 1), sound 2e-7 (peak 0.17).
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.codecs.unicodec_config import DOMAINS, UniCodecConfig, domain_tokens
from spatialfoley.codecs.unicodec_network import UniCodecNetwork, used_weights
from spatialfoley.weights import compare_keys
from tests.parity.cases import case_params

HIDDEN_TOLERANCE, SOUND_TOLERANCE = 2e-5, 1e-6
CASES = case_params("codecs", "unicodec_*.safetensors")
KEY_LISTS = case_params("codecs", "unicodec_*state_dict.json")


class Case:
    """One file: weights, settings, and runs of a few batches."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "pt") as stored:
            facts: dict[str, str] = stored.metadata()
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        self.sizes: dict[str, Any] = json.loads(facts["config"])
        self.domains: list[str] = json.loads(facts["domains"])
        self.bandwidth = int(facts["bandwidth_id"])
        self.state = part(tensors, "w.")
        names = sorted({key.split(".")[0] for key in tensors if key.startswith("case")})
        self.runs = [part(tensors, f"{name}.") for name in names]
        self.network = UniCodecNetwork.from_state(self.state, heads=self.sizes["heads"], source=path.name)
        size = self.network.config.codebook_size
        # Published: whatever is none of the three domains is the whole codebook.
        self.allowed = [
            domain_tokens(domain if domain in ("0", "1", "2") else "all", size) for domain in self.domains
        ]


def part(stored: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in stored.items() if name.startswith(prefix)}


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_sizes_of_the_weights_are_the_stated_ones(case: Case) -> None:
    found, stated = case.network.config, case.sizes
    assert (found.width, found.first_width, found.heads) == (stated["dim"], stated["nf"], stated["heads"])
    assert (found.layers, found.expert_width) == (stated["layers"], stated["moe"])
    assert (found.codebook_size, found.bandwidths) == (stated["bins"], stated["n_ad"])
    assert (found.backbone_width, found.backbone_inner_width) == (stated["bdim"], stated["binter"])
    assert found.backbone_layers == stated["blayers"]


@pytest.mark.parametrize("case", CASES, indirect=True)
@torch.inference_mode()
def test_encoder(case: Case) -> None:
    assert case.runs
    for run in case.runs:
        convolved = case.network.encoder.convolve(run["wav"])
        assert_close(convolved, run["cnn_feat"], HIDDEN_TOLERANCE)
        assert_close(case.network.encoder.mix_times(convolved).mT, run["emb"], HIDDEN_TOLERANCE)


@pytest.mark.parametrize("case", CASES, indirect=True)
@torch.inference_mode()
def test_tokens_are_equal_in_every_domain(case: Case) -> None:
    for run in case.runs:
        assert torch.equal(case.network.tokens(run["wav"], case.allowed), run["codes"])
        assert_close(case.network.codebook.entries()[run["codes"]].mT, run["z_q"], HIDDEN_TOLERANCE)


@pytest.mark.parametrize("case", CASES, indirect=True)
@torch.inference_mode()
def test_decoder(case: Case) -> None:
    chosen = torch.tensor([case.bandwidth])
    for run in case.runs:
        hidden = case.network.backbone(run["z_q"].mT, chosen)
        assert_close(hidden, run["backbone_out"], HIDDEN_TOLERANCE)
        assert_close(case.network.head(run["backbone_out"]), run["audio"], SOUND_TOLERANCE)
        assert_close(case.network.sound(run["codes"], case.bandwidth), run["audio"], SOUND_TOLERANCE)


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_codec_codes_channels_as_the_published_batch(case: Case) -> None:
    codec = UniCodec(case.network)
    for run in case.runs:
        for item, domain in enumerate(case.domains):
            name = domain if domain in ("0", "1", "2") else "all"
            codes = codec.encode(run["wav"][None, item : item + 1], name)
            assert torch.equal(codes[0, :, 0], run["codes"][item])
        if case.bandwidth == 0:
            assert_close(codec.decode(run["codes"].T[None])[0], run["audio"], SOUND_TOLERANCE)


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_checkpoint_of_a_trainer(case: Case, tmp_path: Path) -> None:
    if case.sizes["heads"] * 2 > case.sizes["dim"] or case.sizes["dim"] % 16:
        pytest.skip("the sizes of this case do not suit the published number of heads, which no file states")
    discriminator = {"multiperioddisc.convs.0.weight": torch.zeros(3)}
    content = {"epoch": 3, "state_dict": case.state | discriminator, "callbacks": {}, "lr_schedulers": []}
    torch.save(content, tmp_path / "unicode.ckpt")
    codec = UniCodec.load(tmp_path / "unicode.ckpt")
    run = case.runs[0]
    if case.bandwidth == 0:
        assert_close(codec.decode(run["codes"].T[None])[0], run["audio"], SOUND_TOLERANCE)
    assert codec.encode(run["wav"][None]).shape[1] == run["codes"].shape[1]


@pytest.mark.parametrize("path", KEY_LISTS)
def test_every_published_key_has_its_place_at_full_size(path: Path) -> None:
    shapes: dict[str, list[int]] = json.loads(path.read_text("utf-8"))
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    network = UniCodecNetwork.from_state(state)
    assert network.config == UniCodecConfig()
    used = used_weights(state)
    compare_keys({key: tuple(value.shape) for key, value in network.state_dict().items()}, used, path.name)
    published = sum(value.numel() for value in state.values())
    assert round(published / 1e6, 1) == 210.9
    left_out = published - sum(value.numel() for value in network.state_dict().values())
    assert 25e6 < left_out < 26e6, "what the published file holds beside the codec"


def test_published_domains() -> None:
    assert [domain_tokens(name, 16384) for name in ("0", "1", "2", "3")] == [
        range(4096),
        range(4096, 8192),
        range(8192, 16384),
        range(16384),
    ]
    assert [domain_tokens(name, 16384) for name in DOMAINS] == [
        domain_tokens(number, 16384) for number in "0123"
    ]
