"""The branch that hears and the comparison of Synchformer, at full size, against the published code.

The case was made by `make_synchformer_case.py`, whose first lines hold the commands; the weights are seeded.
Tolerances are about ten times what was found: spectra 4e-6, features 6e-6 (of values up to 6), logits 2e-6.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley.evaluation.networks.synchformer_pair import PairConfig, SynchformerPair
from spatialfoley.evaluation.networks.synchformer_sound import log_mel_segments
from tests.parity.cases import case_params
from tests.parity.seeded_weights import seeded_sounds, seeded_tensor

CASES = case_params("synchformer", "sound_and_comparison*.npz")


def assert_close(actual: Tensor, expected: NDArray, tolerance: float) -> None:
    torch.testing.assert_close(actual, torch.from_numpy(expected), atol=tolerance, rtol=0)


@cache
def network() -> SynchformerPair:
    """Seeded but for the branch that sees, which stays without values."""
    with torch.device("meta"):
        model = SynchformerPair(PairConfig()).eval()
    state = {
        key: torch.from_numpy(seeded_tensor(key, tuple(value.shape)))
        for key, value in model.state_dict().items()
        if not key.startswith("vfeat_extractor.")
    }
    model.load_state_dict(state, strict=False, assign=True)
    return model


def spectra(case: dict[str, NDArray]) -> Tensor:
    return log_mel_segments(
        torch.from_numpy(seeded_sounds(int(case["seed"]), 1, int(case["samples"]), 16000)[0])
    )


@pytest.mark.parametrize("path", case_params("synchformer", "keys_sound_and_comparison.json"))
def test_names_and_shapes(path: Path) -> None:
    found = {key: list(value.shape) for key, value in network().state_dict().items()}
    published = json.loads(path.read_text())
    assert {key: shape for key, shape in found.items() if not key.startswith("vfeat_extractor.")} == published


@pytest.mark.parametrize("path", CASES)
def test_spectra(path: Path) -> None:
    case = dict(np.load(path))
    assert_close(spectra(case)[:, ::16], case["spectra"], 5e-5)


@pytest.mark.parametrize("path", CASES)
@torch.inference_mode()
def test_sound_features_and_logits(path: Path) -> None:
    case = dict(np.load(path))
    heard = network().afeat_extractor(spectra(case)[None])
    assert_close(heard[0, :, :, ::16], case["heard"], 1e-4)
    random = np.random.RandomState(int(case["seed"]))
    seen = torch.from_numpy(random.random_sample((1, 14, 8, 768)).astype(np.float32))
    assert_close(network()(seen, heard), case["logits"], 5e-5)
