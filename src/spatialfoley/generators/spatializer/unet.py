"""The "Audio Spatialization" baseline: from one channel and the picture to a field, or to two ears.

Our reading: the ViSAGe paper cites only Gao and Grauman, "2.5D Visual Sound" (CVPR 2019), for this baseline and
published no code of it. Their mono-to-binaural U-Net predicts from the sum of two ears a complex mask of their
difference. Here W stands in the place of the sum, and there are three masks, of Y, Z and X. The camera's direction
is told beside the picture, since a picture alone cannot say where in the world it was taken; and a mask may exceed
1, since a channel may be louder than W where sounds of several directions meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.spatializer.config import SpatializerConfig
from spatialfoley.generators.spatializer.resnet18 import (
    IMAGE_MEAN,
    IMAGE_STD,
    TRUNK_CHANNELS,
    TRUNK_STRIDE,
    ResNet18Trunk,
)

_INIT_STD = 0.02


@dataclass(frozen=True)
class Seen:
    """What is known of a window beside its sound.

    Attributes:
        pictures: For "resnet18" uint8 (B, F, H, W, 3); for "tiny" features (B, F, feature_dim), float32.
        direction: Where the camera points, right, down, forward (B, 3); None where the network is not told.
    """

    pictures: Tensor
    direction: Tensor | None = None


class PictureEncoder(nn.Module):
    """ResNet18 and a 1 x 1 convolution: pictures (B, F, H, W, 3) to numbers (B, F, channels * places)."""

    def __init__(self, config: SpatializerConfig) -> None:
        super().__init__()
        self.trunk = ResNet18Trunk()
        self.narrow = nn.Sequential(
            nn.Conv2d(TRUNK_CHANNELS, config.visual_channels, 1),
            nn.BatchNorm2d(config.visual_channels),
            nn.ReLU(),
        )
        self.size_px = config.image_px
        self.width = config.visual_channels * (-(-config.image_px // TRUNK_STRIDE)) ** 2

    def forward(self, pictures: Tensor) -> Tensor:
        """Numbers of each picture."""
        B, F, H, W, _ = pictures.shape
        x = pictures.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
        if self.size_px not in (H, W) or H != W:
            x = functional.interpolate(
                x, (self.size_px, self.size_px), mode="bilinear", antialias=True, align_corners=False
            )
        return self.narrow(self.trunk((x - mean) / std)).flatten(1).unflatten(0, (B, F))


class FeatureEncoder(nn.Module):
    """Features of the tiny encoder (B, F, feature_dim) to numbers (B, F, channels).

    Normalised like the picture's: without that the sound, which is, would for long be all that the network heeds.
    """

    def __init__(self, config: SpatializerConfig) -> None:
        super().__init__()
        self.width = config.visual_channels
        self.layers = nn.Sequential(
            nn.BatchNorm1d(config.feature_dim),
            nn.Linear(config.feature_dim, 2 * self.width),
            nn.BatchNorm1d(2 * self.width),
            nn.ReLU(),
            nn.Linear(2 * self.width, self.width),
            nn.BatchNorm1d(self.width),
            nn.ReLU(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Numbers of each frame."""
        return self.layers(features.flatten(0, 1)).unflatten(0, features.shape[:2])


class AudioSpatializer(nn.Module):
    """Spectrum of one channel and what is seen -> complex masks of the others."""

    def __init__(self, config: SpatializerConfig) -> None:
        """Build the network with the published initial values (normal, 0.02)."""
        super().__init__()
        self.config = c = config
        self.visual = PictureEncoder(c) if c.visual == "resnet18" else FeatureEncoder(c)
        self.direction: nn.Module | None = None
        if c.direction_dim:
            self.direction = nn.Sequential(
                nn.Linear(3, c.direction_dim),
                nn.ReLU(),
                nn.Linear(c.direction_dim, c.direction_dim),
                nn.ReLU(),
            )
        widths = c.unet_channels
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
            for a, b in zip((2, *widths[:-1]), widths, strict=True)
        )
        told = self.visual.width + c.direction_dim
        # The coarsest scale is joined by what is told, each other one by the one below it.
        ins = (widths[-1] + told, *(2 * width for width in widths[-2::-1]))
        outs = widths[-2::-1]
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b))
            for a, b in zip(ins[:-1], outs, strict=True)
        )
        self.out = nn.ConvTranspose2d(ins[-1], 2 * c.targets, 4, 2, 1)
        self.tell: nn.ModuleList | None = None
        if c.told_at == "every_scale":
            self.tell = nn.ModuleList(nn.Conv1d(told, b, 1, bias=False) for b in outs)
        self._initialize()

    def forward(self, spectrum: Tensor, seen: Seen) -> Tensor:
        """Masks.

        Args:
            spectrum: Real and imaginary part of a window, brought to `rms`: (B, 2, bins + 1, columns).
            seen: Picture and direction.

        Returns:
            Real and imaginary part (B, targets, 2, bins, columns), in [-mask_scale, mask_scale].
        """
        steps, x = [], spectrum
        for layer in self.down:
            x = layer(x)
            steps.append(x)
        numbers, direction = self._told(seen)
        told = _at_columns(numbers, direction, x.shape[-1])[:, :, None]
        x = torch.cat([x, told.expand(-1, -1, x.shape[-2], -1)], dim=1)
        for scale, (layer, step) in enumerate(zip(self.up, steps[-2::-1], strict=True)):
            x = layer(x)
            if self.tell is not None:
                x = x + self.tell[scale](_at_columns(numbers, direction, x.shape[-1]))[:, :, None]
            x = torch.cat([torch.relu(x), step], dim=1)
        # A sigmoid stretched to -1 ... 1 is this.
        masks = torch.tanh(self.out(x) / 2) * self.config.mask_scale
        return masks.unflatten(1, (self.config.targets, 2))

    def _told(self, seen: Seen) -> tuple[Tensor, Tensor | None]:
        """Numbers of the pictures (B, V, F) and of the direction (B, D)."""
        numbers = self.visual(seen.pictures).transpose(1, 2)
        if self.direction is None:
            return numbers, None
        if seen.direction is None:
            raise ValueError("seen.direction is None, but this network is told where the camera points")
        return numbers, self.direction(seen.direction)

    def _initialize(self) -> None:
        for module in (*self.down.modules(), *self.up.modules(), self.out):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, _INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, _INIT_STD)


def _at_columns(numbers: Tensor, direction: Tensor | None, columns: int) -> Tensor:
    """What is told at each column of a scale (B, V + D, columns), from pictures (B, V, F)."""
    told = functional.adaptive_avg_pool1d(numbers, columns)
    if direction is None:
        return told
    return torch.cat([told, direction[:, :, None].expand(-1, -1, columns)], dim=1)


def analyse(samples: Tensor, config: SpatializerConfig) -> Tensor:
    """Complex spectrum (..., bins + 1, columns) of windows (..., window_samples)."""
    window = torch.hann_window(config.stft_window_samples, device=samples.device)
    flat = samples.flatten(0, -2)
    spectrum = torch.stft(
        flat,
        config.fft_samples,
        config.hop_samples,
        config.stft_window_samples,
        window,
        center=True,
        return_complex=True,
    )
    return spectrum.unflatten(0, samples.shape[:-1])


def synthesise(spectrum: Tensor, config: SpatializerConfig) -> Tensor:
    """Windows (..., window_samples) of masked spectra (..., bins, columns); the topmost frequency is silent."""
    whole = functional.pad(spectrum, (0, 0, 0, 1))
    window = torch.hann_window(config.stft_window_samples, device=spectrum.device)
    flat = torch.istft(
        whole.flatten(0, -3),
        config.fft_samples,
        config.hop_samples,
        config.stft_window_samples,
        window,
        center=True,
        length=config.window_samples,
    )
    return flat.unflatten(0, spectrum.shape[:-2])


def apply_masks(masks: Tensor, spectrum: Tensor) -> Tensor:
    """Complex products (B, targets, bins, columns).

    Args:
        masks: From the network, (B, targets, 2, bins, columns).
        spectrum: Complex, (B, bins + 1, columns).
    """
    complex_masks = torch.view_as_complex(masks.float().movedim(2, -1).contiguous())
    return complex_masks * spectrum[:, None, : complex_masks.shape[-2]]
