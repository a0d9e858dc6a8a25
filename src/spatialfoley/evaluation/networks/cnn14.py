"""CNN14 at 16 kHz: 2048 numbers and 527 AudioSet classes for a whole sound.

Kong et al., "PANNs: large-scale pretrained audio neural networks for audio pattern recognition", 2020, under its
published parameter names. The embedding is the one that its last layer sees, after the ReLU; the logits come
before the sigmoid it was trained with. The papers of this field read their softmax as a posterior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.evaluation.networks.spectra import LISTENING_RATE_HZ, StoredLogMel, StoredSpectrogram

_BLOCKS = 6
_HOP_SAMPLES = 160


@dataclass(frozen=True)
class Cnn14Config:
    """Sizes; the defaults are the published ones.

    Attributes:
        widths: Channels of the six blocks.
        embedding_size: Width of the layer before the last.
        classes: Logits.
        bands: Mel bands.
        fft_samples: Length of a frame.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    embedding_size: int = 2048
    classes: int = 527
    bands: int = 64
    fft_samples: int = 512

    def __post_init__(self) -> None:
        """Check that there are six blocks, and bands for five poolings."""
        if len(self.widths) != _BLOCKS:
            raise ValueError(f"widths has {len(self.widths)} entries; CNN14 has {_BLOCKS} blocks")
        if self.bands < 1 << (_BLOCKS - 1):
            raise ValueError(f"bands is {self.bands}; five poolings need at least {1 << (_BLOCKS - 1)}")

    @classmethod
    def of_weights(cls, state: Mapping[str, Tensor]) -> Cnn14Config:
        """Sizes read off weights in the published layout.

        Raises:
            ValueError: If these are no weights of CNN14, or those for another rate.
        """
        blocks = [state.get(f"conv_block{index + 1}.conv1.weight") for index in range(_BLOCKS)]
        last, filters = state.get("fc_audioset.weight"), state.get("logmel_extractor.melW")
        if any(block is None or block.ndim != 4 for block in blocks) or last is None or last.ndim != 2:
            raise ValueError(
                "these are no weights of CNN14: conv_block1.conv1.weight to fc_audioset.weight are missing; give "
                "Cnn14_16k_mAP=0.438.pth"
            )
        if filters is None or filters.shape[0] != cls.fft_samples // 2 + 1:
            found = "none" if filters is None else f"{(filters.shape[0] - 1) * 2} samples"
            raise ValueError(
                f"these weights of CNN14 have frames of {found}; the network for 16 kHz has {cls.fft_samples}: "
                "give Cnn14_16k_mAP=0.438.pth, not the one for 32 kHz"
            )
        widths = tuple(len(block) for block in blocks if block is not None)
        return cls(widths, last.shape[1], len(last), filters.shape[1])


class Cnn14(nn.Module):
    """The network and the front end that its checkpoint holds.

    Attributes:
        rate_hz: Rate of the samples that it takes.
        least_samples: Fewest samples that survive its poolings.
        embedding_size: Numbers for a sound.
        classes: Logits.
    """

    def __init__(self, config: Cnn14Config) -> None:
        super().__init__()
        self.config = config
        self.rate_hz = LISTENING_RATE_HZ
        self.least_samples = _HOP_SAMPLES * (1 << (_BLOCKS - 1))
        self.embedding_size = config.embedding_size
        self.classes: int | None = config.classes
        self.spectrogram_extractor = StoredSpectrogram(config.fft_samples, _HOP_SAMPLES)
        self.logmel_extractor = StoredLogMel(config.fft_samples, config.bands)
        self.bn0 = nn.BatchNorm2d(config.bands)
        for index, (before, after) in enumerate(zip((1, *config.widths[:-1]), config.widths, strict=True)):
            self.add_module(f"conv_block{index + 1}", _Block(before, after))
        self.fc1 = nn.Linear(config.widths[-1], config.embedding_size)
        self.fc_audioset = nn.Linear(config.embedding_size, config.classes)

    def forward(self, bands: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, embedding_size) and logits (B, classes) of decibels (B, frames, bands)."""
        x = self.bn0(bands.transpose(1, 2)[..., None]).transpose(1, 3)  # [B, 1, frames, bands]
        for index in range(_BLOCKS):
            x = self.get_submodule(f"conv_block{index + 1}")(x)
            if index < _BLOCKS - 1:
                x = functional.avg_pool2d(x, 2)
        over_bands = x.mean(3)
        pooled = over_bands.amax(2) + over_bands.mean(2)
        embeddings = self.fc1(pooled).relu()
        return embeddings, self.fc_audioset(embeddings)

    def listen(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (C, 1, embedding_size) and logits (C, classes) of samples (C, N) at `rate_hz`."""
        embeddings, logits = self(self.logmel_extractor(self.spectrogram_extractor(samples)))
        return embeddings[:, None], logits


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(after), nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        return self.bn2(self.conv2(x)).relu()
