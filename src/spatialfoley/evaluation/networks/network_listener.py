"""A network of published weights as a listener: offset removed, resampled, all channels in one pass."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spatialfoley.evaluation.networks.listener import Heard, check_sounds
from spatialfoley.media.audio import resample


class ListeningNetwork(Protocol):
    """A network that takes samples at its own rate.

    Attributes:
        rate_hz: That rate.
        least_samples: Fewest samples it can take.
        embedding_size: Numbers of an embedding.
        classes: Number of logits; None for none.
    """

    rate_hz: int
    least_samples: int
    embedding_size: int
    classes: int | None

    def listen(self, samples: Tensor) -> tuple[Tensor, Tensor | None]:
        """Embeddings (C, frames, embedding_size) and logits (C, classes) of samples (C, N)."""
        ...


class NetworkListener:
    """Wraps a network; its attributes are those of `Listener`."""

    softmax_posteriors: bool

    def __init__(
        self, name: str, network: ListeningNetwork, weights_sha256: str, device: str = "cpu"
    ) -> None:
        """Take a network with its weights.

        Args:
            name: Name of the listener.
            network: An `nn.Module`.
            weights_sha256: Hash of its weights file.
            device: Where to run.
        """
        assert isinstance(network, nn.Module)
        self.network = network
        network.to(device).eval().requires_grad_(False)
        self.name = name
        self.weights_sha256 = weights_sha256
        self.device = device
        self.embedding_size = network.embedding_size
        self.classes: int | None = network.classes
        self.softmax_posteriors = network.classes is not None

    @torch.inference_mode()
    def hear(self, sounds: NDArray[np.floating], rate_hz: int) -> Heard:
        """What the network hears in sounds (C, N), whose mean is taken off each channel first.

        Both toolkits of the field take it off before they resample. They resample with another filter than
        `media.audio.resample`, which is sharper.
        """
        network = self.network
        check_sounds(sounds, rate_hz, self.name, network.least_samples / network.rate_hz)
        centred = sounds - sounds.mean(axis=1, keepdims=True, dtype=np.float64)
        samples = resample(centred.astype(np.float32), rate_hz, network.rate_hz)
        embeddings, logits = network.listen(torch.from_numpy(samples).to(self.device))
        return Heard(
            embeddings.float().cpu().numpy(), None if logits is None else logits.float().cpu().numpy()
        )
