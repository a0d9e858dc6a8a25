"""What listens to a sound and tells its embedding and what it takes the sound for.

A distance between sets of sounds is a distance between what a listener hears in them, so every result names
its listener and the hash of the listener's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Heard:
    """What a listener hears in the channels of one sound, each channel for itself.

    Attributes:
        embeddings: (C, frames, d) float32; one frame where the listener summarises the whole sound.
        logits: (C, classes) float32 before softmax or sigmoid; None where the listener knows no classes.
    """

    embeddings: NDArray[np.float32]
    logits: NDArray[np.float32] | None


class Listener(Protocol):
    """A frozen network with its own front end.

    Attributes:
        name: "world", "vggish", "cnn14" or "passt".
        weights_sha256: Hash of the weights file, part of every result.
        embedding_size: Dimensions d of an embedding.
        classes: Number of classes; None if it knows none.
        softmax_posteriors: Whether the softmax of its logits is read as a posterior (by the network's training
            or by the papers that use it so).
    """

    name: str
    weights_sha256: str
    embedding_size: int
    classes: int | None
    softmax_posteriors: bool

    def hear(self, sounds: NDArray[np.floating], rate_hz: int) -> Heard:
        """Listen to all channels of a sound in one pass.

        Args:
            sounds: (C, N) waveforms in -1 to 1.
            rate_hz: Their rate; the listener resamples.

        Raises:
            ValueError: If the sounds have another shape, are not finite, or are too short for the listener.
        """
        ...


def check_sounds(sounds: NDArray[np.floating], rate_hz: int, listener: str, least_s: float) -> None:
    """Refuse what a listener cannot hear.

    Args:
        sounds: (C, N).
        rate_hz: Its rate.
        listener: Name for the message.
        least_s: Shortest sound that the listener takes, in seconds.

    Raises:
        ValueError: If the sounds are no finite (C, N) of at least `least_s`.
    """
    if sounds.ndim != 2 or 0 in sounds.shape:
        raise ValueError(f"sounds has shape {sounds.shape}; give waveforms (channels, samples)")
    if rate_hz < 1:
        raise ValueError(f"rate_hz is {rate_hz}; give a rate above 0 Hz")
    bad = int(sounds.size - np.count_nonzero(np.isfinite(sounds)))
    if bad:
        raise ValueError(f"sounds holds {bad} NaN or infinite samples; {listener} hears finite sound only")
    if sounds.shape[1] < least_s * rate_hz:
        raise ValueError(
            f"the sound lasts {sounds.shape[1] / rate_hz:.3f} s; {listener} needs at least {least_s:g} s: give "
            "a longer sound or append silence"
        )
