"""Listeners by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatialfoley import weights
from spatialfoley.evaluation.networks.listener import Heard, Listener, check_sounds
from spatialfoley.evaluation.networks.world_classifier import (
    EMBEDDED_FOLDER,
    WorldClassifier,
    load_world_classifier,
)
from spatialfoley.world import CLASSES

LISTENERS = ("world",)
"""Names that `load_listener` knows; "world" ships with the package."""


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
    """Load a listener.

    Args:
        name: One of `LISTENERS`.
        device: Where to run; "world" always runs on the CPU.
        folder: File or folder of other weights than those on this machine.

    Raises:
        ValueError: If the name is unknown, or the weights are missing or do not fit.
    """
    if name not in LISTENERS:
        raise ValueError(f"listener is {name!r}; give one of {', '.join(LISTENERS)}")
    place = EMBEDDED_FOLDER if folder is None else folder
    return WorldListener(load_world_classifier(place), weights.sha256_of(place))
