"""VGGish: 128 numbers for every 0.96 s of sound.

Hershey et al., "CNN architectures for large-scale audio classification", 2017, under the parameter names of its
published PyTorch form. As the evaluations of this field use it: without the ReLU after the last layer and without
the principal components of its first release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spatialfoley.evaluation.networks.spectra import LISTENING_RATE_HZ, VggishSpectrum

_WINDOWS_AT_ONCE = 32
_WIDTHS_LAYERS = (0, 3, 8, 13)
_DENSE = (0, 2, 4)


@dataclass(frozen=True)
class VggishConfig:
    """Sizes; the defaults are the published ones.

    Attributes:
        widths: Channels after each of the four poolings.
        hidden: Width of the two layers before the last.
        embedding_size: Numbers for a window.
        window_frames: Frames of a window, 10 ms each.
        bands: Mel bands.
    """

    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    hidden: int = 4096
    embedding_size: int = 128
    window_frames: int = 96
    bands: int = 64

    def __post_init__(self) -> None:
        """Check that a window survives four poolings."""
        if self.window_frames % 16 or self.bands % 16:
            raise ValueError(
                f"a window of {self.window_frames} frames of {self.bands} bands cannot be halved four times; give "
                "multiples of 16"
            )

    @classmethod
    def of_weights(cls, state: Mapping[str, Tensor]) -> VggishConfig:
        """Sizes read off weights in the published layout.

        Raises:
            ValueError: If these are no weights of VGGish.
        """
        convolutions = [state.get(f"features.{layer}.weight") for layer in _WIDTHS_LAYERS]
        dense = [state.get(f"embeddings.{layer}.weight") for layer in _DENSE]
        if any(w is None or w.ndim != 4 for w in convolutions) or any(
            w is None or w.ndim != 2 for w in dense
        ):
            raise ValueError(
                "these are no weights of VGGish: features.0.weight to embeddings.4.weight are missing; give "
                "vggish-10086976.pth"
            )
        first, second, third, fourth = (len(w) for w in convolutions if w is not None)
        hidden, _, size = (len(w) for w in dense if w is not None)
        return cls((first, second, third, fourth), hidden, size)


class Vggish(nn.Module):
    """The network and its front end; only the network is in the state dict.

    Attributes:
        rate_hz: Rate of the samples that it takes.
        least_samples: Fewest samples that fill a window.
        embedding_size: Numbers for a window.
        classes: None, for it knows no classes.
    """

    def __init__(self, config: VggishConfig) -> None:
        super().__init__()
        self.config = config
        self.rate_hz = LISTENING_RATE_HZ
        self.least_samples = VggishSpectrum.samples_of(config.window_frames)
        self.embedding_size = config.embedding_size
        self.classes: int | None = None
        self.spectrum = VggishSpectrum(config.bands)
        first, second, third, fourth = config.widths
        layers: list[nn.Module] = []
        before = 1
        for stage in ((first,), (second,), (third, third), (fourth, fourth)):
            for width in stage:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        places = config.window_frames // 16 * (config.bands // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(fourth * places, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.embedding_size),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Embeddings (B, embedding_size) of windows (B, window_frames, bands)."""
        maps = self.features(patches[:, None])  # [B, channels, frames / 16, bands / 16]
        return self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))

    def listen(self, samples: Tensor) -> tuple[Tensor, None]:
        """Embeddings (C, windows, embedding_size) of samples (C, N) at `rate_hz`; no logits."""
        patches = self.spectrum.patches(samples, self.config.window_frames)
        parts = [self(part) for part in patches.flatten(0, 1).split(_WINDOWS_AT_ONCE)]
        return torch.cat(parts).unflatten(0, patches.shape[:2]), None
