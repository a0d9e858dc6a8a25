"""Listeners by name, each with the hash of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley import weights
from spatialfoley.evaluation.networks.cnn14 import Cnn14, Cnn14Config
from spatialfoley.evaluation.networks.listener import Heard, Listener, check_sounds
from spatialfoley.evaluation.networks.network_listener import ListeningNetwork, NetworkListener
from spatialfoley.evaluation.networks.passt import Passt, PasstConfig
from spatialfoley.evaluation.networks.vggish import Vggish, VggishConfig
from spatialfoley.evaluation.networks.world_classifier import (
    EMBEDDED_FOLDER,
    WorldClassifier,
    load_world_classifier,
)
from spatialfoley.kernels.devices import choose_device
from spatialfoley.world import CLASSES

LISTENERS = ("world", "vggish", "cnn14", "passt")
"""Names that `load_listener` knows; "world" ships with the package."""

WEIGHTS_OF = {"vggish": "vggish", "cnn14": "cnn14-16k", "passt": "passt"}
"""Listeners of published weights, and what `spatialfoley models` calls those."""

_BUILDERS: dict[str, Callable[[Mapping[str, Tensor]], ListeningNetwork]] = {
    "vggish": lambda state: Vggish(VggishConfig.of_weights(state)),
    "cnn14": lambda state: Cnn14(Cnn14Config.of_weights(state)),
    "passt": lambda state: Passt(PasstConfig.of_weights(state)),
}


class WorldListener:
    """The classifier of the synthetic world: 336-d embeddings of whole sounds, one logit per world class.

    It leaves the level of a sound out, works offline, and knows no sounds of the real world.
    """

    name = "world"
    softmax_posteriors = True

    def __init__(self, model: WorldClassifier, weights_sha256: str) -> None:
        self.model = model
        self.weights_sha256 = weights_sha256
        self.embedding_size = model.embedding_size
        self.classes: int | None = len(CLASSES)

    def hear(self, sounds: NDArray[np.floating], rate_hz: int) -> Heard:
        """One embedding (C, 1, 336) and the logits (C, classes) of sounds (C, N) of at least 0.3 s."""
        check_sounds(sounds, rate_hz, self.name, least_s=0.3)
        embeddings, logits = self.model.listen(sounds, rate_hz)
        return Heard(embeddings[:, None], logits)


def load_listener(name: str, device: str = "cpu", folder: Path | None = None) -> Listener:
    """Load a listener. Nothing is downloaded.

    Args:
        name: One of `LISTENERS`.
        device: Where to run, or "auto"; "world" always runs on the CPU.
        folder: File or folder of other weights than those on this machine.

    Raises:
        ValueError: If the name or the device is unknown, or the weights are missing (with the command that
            fetches them) or do not fit.
    """
    if name not in LISTENERS:
        raise ValueError(f"listener is {name!r}; give one of {', '.join(LISTENERS)}")
    if name == "world":
        place = EMBEDDED_FOLDER if folder is None else folder
        return WorldListener(load_world_classifier(place), weights.sha256_of(place))
    computes = choose_device(device)
    found = weights.locate(WEIGHTS_OF[name]) if folder is None else folder
    if found is None:
        raise weights.WeightsError(
            f"the listener {name} needs the weights {WEIGHTS_OF[name]}, which are not on this machine: run "
            f"`spatialfoley models fetch {WEIGHTS_OF[name]}`, or `spatialfoley models import {WEIGHTS_OF[name]} "
            "FILE` with a copy; the listener world needs none"
        )
    memory = weights.home() / "hashes.json"
    return NetworkListener(name, read_network(name, found), weights.sha256_of(found, memory), str(computes))


def read_network(name: str, path: Path) -> ListeningNetwork:
    """Build the network of a listener from a checkpoint in the published layout; sizes are read off it.

    Raises:
        ValueError: If it holds another network, or keys or shapes do not fit; they are listed.
    """
    state = weights.load_state_dict(path)
    try:
        # Filled at once, without random weights first.
        with torch.device("meta"):
            network = _BUILDERS[name](state)
    except ValueError as problem:
        raise weights.WeightsError(f"{path} does not fit the listener {name}: {problem}") from problem
    assert isinstance(network, torch.nn.Module)
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    weights.compare_keys(expected, state, str(path))
    whole = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    network.load_state_dict(whole, assign=True)
    return network


def check_listener_weights(model: str, path: Path) -> None:
    """Build the network of weights as `spatialfoley models` calls them.

    Raises:
        ValueError: As `read_network`.
    """
    read_network(next(name for name, known in WEIGHTS_OF.items() if known == model), path)
