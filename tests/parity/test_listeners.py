"""VGGish, CNN14 and PaSST at full size against the registry packages, with seeded weights.

The cases were made by `make_listener_cases.py`, whose first lines hold the commands.
"""

import json
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spatialfoley.evaluation.networks.cnn14 import Cnn14, Cnn14Config
from spatialfoley.evaluation.networks.passt import Passt, PasstConfig
from spatialfoley.evaluation.networks.vggish import Vggish, VggishConfig
from spatialfoley.weights import compare_keys
from tests.parity.cases import case_params
from tests.parity.seeded_weights import seeded_sounds, seeded_tensor

TOLERANCE = 1e-4
"""Of the largest value of the expected array."""

Network = TypeVar("Network", bound=nn.Module)

NETWORKS = {
    "vggish": (Vggish, VggishConfig, "embeddings.4.bias"),
    "cnn14": (Cnn14, Cnn14Config, "fc_audioset.bias"),
    "passt": (Passt, PasstConfig, "head_dist.bias"),
}


def assert_close(actual: Tensor, expected: NDArray) -> None:
    scale = float(np.abs(expected).max())
    torch.testing.assert_close(actual, torch.from_numpy(expected), atol=TOLERANCE * scale, rtol=0)


def seeded(network_class: type[Network], config: object) -> Network:
    """A network filled as the script does; what a checkpoint stores of a front end stays as it is built."""
    with torch.device("meta"):
        network = network_class(config)
    state = {
        key: torch.from_numpy(seeded_tensor(key, tuple(value.shape))) if value.is_meta else value
        for key, value in network.state_dict().items()
    }
    network.load_state_dict(state, assign=True)
    return network.eval()


def sounds_of(case: dict[str, NDArray], count: int, rate_hz: int) -> Tensor:
    return torch.from_numpy(seeded_sounds(int(case["seed"]), count, int(case["samples"]), rate_hz))


@pytest.mark.parametrize("path", case_params("listeners", "vggish*.npz"))
@torch.inference_mode()
def test_vggish(path: Path) -> None:
    case = dict(np.load(path))
    network = seeded(Vggish, VggishConfig())
    sounds = sounds_of(case, len(case["embeddings"]), 16000)
    assert_close(network.spectrum.patches(sounds, 96)[:, :, ::5], case["spectra"])
    embeddings, logits = network.listen(sounds)
    assert_close(embeddings, case["embeddings"])
    assert logits is None


@pytest.mark.parametrize("path", case_params("listeners", "cnn14*.npz"))
@torch.inference_mode()
def test_cnn14(path: Path) -> None:
    case = dict(np.load(path))
    network = seeded(Cnn14, Cnn14Config())
    state = network.state_dict()
    assert_close(state["logmel_extractor.melW"], case["filters"])
    assert_close(state["spectrogram_extractor.stft.conv_real.weight"][::61, 0], case["real"])
    assert_close(state["spectrogram_extractor.stft.conv_imag.weight"][::61, 0], case["imaginary"])
    sounds = sounds_of(case, len(case["embeddings"]), 16000)
    decibels = network.logmel_extractor(network.spectrogram_extractor(sounds))
    assert_close(decibels[:, ::17], case["spectra"])
    embeddings, logits = network.listen(sounds)
    assert_close(embeddings[:, 0], case["embeddings"])
    assert_close(logits, case["logits"])


@pytest.mark.parametrize("path", case_params("listeners", "passt*.npz"))
@torch.inference_mode()
def test_passt(path: Path) -> None:
    case = dict(np.load(path))
    network = seeded(Passt, PasstConfig())
    sounds = sounds_of(case, len(case["embeddings"]), 32000)
    whole = nn.functional.pad(sounds, (0, network.config.samples - sounds.shape[1]))
    assert_close(network.spectrum(whole)[:, :, ::13], case["spectra"])
    embeddings, logits = network.listen(sounds)
    assert_close(embeddings[:, 0], case["embeddings"])
    assert_close(logits, case["logits"])


@pytest.mark.parametrize(
    "path", [*case_params("listeners", "keys_*.json"), *case_params("codecs", "vggish_keys.json")]
)
def test_keys_are_the_published_ones(path: Path) -> None:
    network_class, config_class, last_key = NETWORKS[path.stem.removeprefix("keys_").removesuffix("_keys")]
    expected = {key: tuple(shape) for key, shape in json.loads(path.read_text("utf-8")).items()}
    with torch.device("meta"):
        found = network_class(config_class()).state_dict()
    compare_keys(expected, found, path.stem)
    compare_keys({key: tuple(value.shape) for key, value in found.items()}, expected, path.stem)
    assert last_key in expected
    # The sizes read off the published shapes are the published ones.
    shapes = {key: torch.empty(shape, device="meta") for key, shape in expected.items()}
    assert config_class.of_weights(shapes) == config_class()
