"""Sizes of the U-Net of "Audio Spatialization"."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from spatialfoley.timeline import sample_count

Channels = Literal["foa", "binaural"]
Visual = Literal["resnet18", "tiny"]
FieldFrame = Literal["world", "camera"]
ToldAt = Literal["coarsest", "every_scale"]

SCALES = 5
"""Convolutions down and up, each by two."""


@dataclasses.dataclass(frozen=True)
class SpatializerConfig:
    """Sizes; the defaults are those of the published network with the changes that ambisonics needs.

    Attributes:
        channels: "foa" makes Y, Z, X of W; "binaural" half the difference of the ears of half their sum.
        rate_hz: Of the sound.
        window_s: Length of what is seen and heard at once.
        fft_samples: Of the short-time Fourier transform.
        hop_samples: Of the same.
        stft_window_samples: Of the same.
        overlap_hop_s: From window to window where sound is made; published 0.05.
        rms: Every window's W is brought to this level.
        unet_channels: Of the five scales, from fine to coarse.
        mask_scale: Largest real and imaginary part of a mask: 1 as published for ears; a field's channel may
            exceed W by √2 ("Ambi Enc." of the published script does).
        visual: "resnet18" reads one picture at the middle of a window; "tiny" all features of the tiny encoder
            in it, averaged over each column of the coarsest scale.
        visual_channels: For each place of ResNet18's grid, or for each column of the coarsest scale with "tiny".
        image_px: Side of a picture for ResNet18.
        feature_dim: Numbers of a frame of the tiny encoder, embedding and map together.
        told_at: "coarsest": what is seen joins the sound at the coarsest scale, as published; "every_scale": it is
            also added at each scale on the way up, in time with the picture.
        frame_rate_hz: Pictures per second that inference asks for.
        direction_dim: Width of what is told of the camera's direction; 0 tells nothing.
        field_frame: "world": the field is in world axes, and the network is told where the camera points;
            "camera": it is around the camera, and whoever uses it turns it.
    """

    channels: Channels = "foa"
    rate_hz: int = 16000
    window_s: float = 0.63
    fft_samples: int = 512
    hop_samples: int = 160
    stft_window_samples: int = 400
    overlap_hop_s: float = 0.05
    rms: float = 0.1
    unet_channels: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512)
    mask_scale: float = math.sqrt(2.0)
    visual: Visual = "resnet18"
    visual_channels: int = 8
    image_px: int = 224
    feature_dim: int = 177
    told_at: ToldAt = "coarsest"
    frame_rate_hz: int = 10
    direction_dim: int = 64
    field_frame: FieldFrame = "world"

    def __post_init__(self) -> None:
        for name, kind in (
            ("channels", Channels),
            ("visual", Visual),
            ("field_frame", FieldFrame),
            ("told_at", ToldAt),
        ):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; give one of {', '.join(get_args(kind))}"
                )
        if len(self.unet_channels) != SCALES or min(self.unet_channels) < 1:
            raise ValueError(f"unet_channels is {self.unet_channels}; give {SCALES} numbers from 1")
        if self.mask_scale <= 0 or self.rms <= 0:
            raise ValueError(f"mask_scale is {self.mask_scale} and rms {self.rms}; both must be above 0")
        if self.bins % 2**SCALES or self.columns % 2**SCALES:
            raise ValueError(
                f"fft_samples {self.fft_samples}, hop_samples {self.hop_samples} and window_s {self.window_s} make "
                f"a picture of {self.bins} x {self.columns}; both must be multiples of {2**SCALES}"
            )
        if not 0 < self.overlap_hop_s <= self.window_s / 2:
            raise ValueError(
                f"overlap_hop_s is {self.overlap_hop_s}; give seconds above 0 and at most {self.window_s / 2:g}, "
                "half a window"
            )
        if self.field_frame == "world" and self.channels == "foa" and self.direction_dim < 1:
            raise ValueError(
                "direction_dim is 0 with field_frame 'world'; without the direction of the camera nobody knows "
                "where in the world its picture is"
            )

    @property
    def window_samples(self) -> int:
        """Samples of a window."""
        return sample_count(self.window_s, self.rate_hz)

    @property
    def bins(self) -> int:
        """Frequencies of a mask; the topmost of the transform has none."""
        return self.fft_samples // 2

    @property
    def columns(self) -> int:
        """Moments of a mask."""
        return 1 + self.window_samples // self.hop_samples

    @property
    def targets(self) -> int:
        """Channels that are made: Y, Z, X, or half the difference of the ears."""
        return 3 if self.channels == "foa" else 1

    @property
    def window_frames(self) -> int:
        """Pictures of a window."""
        return 1 if self.visual == "resnet18" else math.ceil(self.window_s * self.frame_rate_hz - 1e-6)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> SpatializerConfig:
        """From what config.json holds.

        Raises:
            ValueError: A key is unknown or a value impossible.
        """
        unknown = sorted(set(settings) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"the spatializer's config has unknown settings {', '.join(unknown)}")
        values = dict(settings)
        if "unet_channels" in values:
            values["unet_channels"] = tuple(values["unet_channels"])
        return cls(**values)

    @classmethod
    def tiny(cls, **changes: Any) -> SpatializerConfig:
        """What the embedded one is: small, with the tiny encoder, its field around the camera."""
        settings: dict[str, Any] = {
            "overlap_hop_s": 0.15,
            "unet_channels": (16, 32, 48, 64, 64),
            "visual": "tiny",
            "visual_channels": 64,
            "told_at": "every_scale",
            "frame_rate_hz": 20,
            "direction_dim": 0,
            "field_frame": "camera",
        }
        return cls(**{**settings, **changes})
