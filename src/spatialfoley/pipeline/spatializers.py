"""Second stages: from one channel, and what the camera sees, to a field in world axes or to two ears.

ambi-enc              all sound from the middle of the view
ambi-enc-reference    the same by the released script: left and right swapped, directional channels √2 stronger
audio-spatial         a U-Net reads the picture (in the package; trained on the synthetic world)
duplicate             the same in both ears
FOLDER                a U-Net of the task audio_spatial
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from spatialfoley import timeline, weights
from spatialfoley.features.tiny import TinyFeatures
from spatialfoley.generators.spatializer.ambi_encode import AmbiEncodeVariant, ambi_encode
from spatialfoley.generators.spatializer.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_audio_spatializer
from spatialfoley.generators.spatializer.duplicate import duplicate_to_ears
from spatialfoley.generators.spatializer.inference import make_channels
from spatialfoley.generators.spatializer.unet import AudioSpatializer, Seen
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.media.video import Video
from spatialfoley.media.view import network_frames
from spatialfoley.pipeline.clip import Camera
from spatialfoley.pipeline.model_folder import EMBEDDED_MODEL, find_model
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import as_trajectory, as_world
from spatialfoley.spatial.signal import SpatialAudio, require_layout
from spatialfoley.spatial.trajectory import CameraTrajectory
from spatialfoley.spatial.ytambigen import network_vector

EMBEDDED_SPATIALIZER = "audio-spatial"
SPATIALIZERS = ("ambi-enc", "ambi-enc-reference", EMBEDDED_SPATIALIZER, "duplicate")

_NONE = "none: a formula"


class Spatialize(Protocol):
    """A second stage. Deterministic: the same sound, picture and camera give the same result."""

    @property
    def name(self) -> str:
        """As it is asked for."""
        ...

    @property
    def layout(self) -> Literal["foa", "binaural"]:
        """What it makes."""
        ...

    def __call__(
        self,
        mono: SpatialAudio,
        video: Video,
        camera: Camera = Direction(0.0),
        seed: int = 0,
        start_s: float = 0.0,
        panorama: bool | None = None,
    ) -> SpatialAudio:
        """Give one channel a place.

        Args:
            mono: Layout "mono", any rate.
            video: What is seen; only read where the picture counts.
            camera: Where the picture's centre points, seconds counted from the start of the video.
            seed: For stages that draw; none of ours does.
            start_s: Where in the video the sound begins.
            panorama: Whether the picture is equirectangular; None asks its shape.

        Returns:
            A field in world axes, or two ears at the camera: same rate and length.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Name, licence and hash of the weights."""
        ...


def load_spatializer(name: str | Path, device: str | torch.device = "cpu") -> Spatialize:
    """A second stage by its name, or that of a folder which the task audio_spatial wrote.

    Raises:
        ValueError: There is none of that name, or its files do not fit.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return AudioSpatial.load(folder, folder.name, "unknown: that of who trained it", device)
    if name == "ambi-enc":
        return FormulaSpatializer(name, "foa", partial(_placed, variant="correct"))
    if name == "ambi-enc-reference":
        return FormulaSpatializer(name, "foa", partial(_placed, variant="reference"))
    if name == "duplicate":
        return FormulaSpatializer(name, "binaural", lambda mono, camera: duplicate_to_ears(mono))
    if name == EMBEDDED_SPATIALIZER:
        place = weights.locate(EMBEDDED_SPATIALIZER)
        if place is None:
            raise ValueError(f"{name} is missing from this installation; install spatialfoley again")
        return AudioSpatial.load(
            place, EMBEDDED_SPATIALIZER, weights.info(EMBEDDED_SPATIALIZER).licence, device
        )
    raise ValueError(
        f"spatializer is {str(name)!r}, no folder and no known name; give {', '.join(SPATIALIZERS)}, or a folder "
        "of the task audio_spatial"
    )


class _Formula(Protocol):
    def __call__(self, mono: SpatialAudio, camera: CameraTrajectory) -> SpatialAudio: ...


def _placed(mono: SpatialAudio, camera: CameraTrajectory, variant: AmbiEncodeVariant) -> SpatialAudio:
    return ambi_encode(mono, camera, variant)


@dataclass(frozen=True)
class FormulaSpatializer:
    """A second stage that only asks where the camera looks.

    Attributes:
        name: As it is asked for.
        layout: What it makes.
        formula: Mono sound and camera, both from the same moment on, to the result.
    """

    name: str
    layout: Literal["foa", "binaural"]
    formula: _Formula

    def __call__(
        self,
        mono: SpatialAudio,
        video: Video | None = None,
        camera: Camera = Direction(0.0),
        seed: int = 0,
        start_s: float = 0.0,
        panorama: bool | None = None,
    ) -> SpatialAudio:
        """See `Spatialize`; the picture is not read."""
        return self.formula(mono, as_trajectory(camera).seen_from(start_s))

    def describe(self) -> dict[str, Any]:
        """Its name; it has no weights."""
        return {"name": self.name, "licence": _NONE, "weights_sha256": None, "field_frame": "world"}


@dataclass(frozen=True)
class AudioSpatial:
    """The U-Net with its eyes.

    Sound of another rate is heard at the network's, and what it makes is brought back: W or the ears' mean stay
    as they are, and what lies above half the network's rate comes from nowhere in particular.

    Attributes:
        network: In evaluation mode.
        features: The tiny encoder, where the network reads its features; None where it reads pictures.
        description: Name, licence and hashes.
    """

    network: AudioSpatializer
    features: TinyFeatures | None
    description: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(
        cls, folder: Path, name: str, licence: str, device: str | torch.device = "cpu"
    ) -> "AudioSpatial":
        """The network of a folder; the tiny encoder is the package's.

        Raises:
            ValueError: A file is missing or does not fit.
        """
        if not (folder / CONFIG_FILE).is_file():
            raise ValueError(
                f"spatializer is {folder}, a folder without {CONFIG_FILE}; give one of the task audio_spatial, or "
                f"one of {', '.join(SPATIALIZERS)}"
            )
        network = load_audio_spatializer(folder).to(device)
        features = None
        if network.config.visual == "tiny":
            features = TinyFeatures.load(find_model(EMBEDDED_MODEL), str(device))
            made = features.encoder.config.embedding_dim + features.size_px**2 // 64
            if (made, features.frame_rate_hz) != (network.config.feature_dim, network.config.frame_rate_hz):
                raise ValueError(
                    f"{folder} reads {network.config.feature_dim} numbers at {network.config.frame_rate_hz} frames "
                    f"per second, but the encoder in the package makes {made} at {features.frame_rate_hz}"
                )
        memory = weights.home() / "hashes.json"
        sha256 = weights.sha256_of(folder / WEIGHTS_FILE, memory)
        return cls(network, features, {"name": name, "licence": licence, "weights_sha256": sha256})

    @property
    def name(self) -> str:
        """As it is asked for."""
        return str(self.description["name"])

    @property
    def layout(self) -> Literal["foa", "binaural"]:
        """What it makes."""
        return self.network.config.channels

    def __call__(
        self,
        mono: SpatialAudio,
        video: Video,
        camera: Camera = Direction(0.0),
        seed: int = 0,
        start_s: float = 0.0,
        panorama: bool | None = None,
    ) -> SpatialAudio:
        """See `Spatialize`."""
        require_layout(mono, "mono", "mono")
        c = self.network.config
        trajectory = as_trajectory(camera).seen_from(start_s)
        heard = resample(mono.samples, mono.rate_hz, c.rate_hz)[0]
        length_s = max(heard.size / c.rate_hz, c.window_s)
        pictures = self._pictures(video, start_s, length_s, panorama)

        def seen_at(starts: NDArray[np.int64]) -> Seen:
            return Seen(self._of_windows(pictures, starts), self._directions(trajectory, starts))

        made = resample(make_channels(self.network, heard, seen_at), c.rate_hz, mono.rate_hz)
        made = fit_length(made, mono.frames)
        if c.channels == "binaural":
            ears = np.concatenate([mono.samples + made, mono.samples - made])
            return SpatialAudio(ears, mono.rate_hz, "binaural")
        field = SpatialAudio(np.concatenate([mono.samples, made]), mono.rate_hz, "foa")
        return as_world(field, trajectory) if c.field_frame == "camera" else field

    def describe(self) -> dict[str, Any]:
        """Name, licence, hash of the weights, and in which axes the network makes its field."""
        return {**self.description, "field_frame": self.network.config.field_frame}

    def _pictures(self, video: Video, start_s: float, length_s: float, panorama: bool | None) -> torch.Tensor:
        """Features (F, feature_dim), or pictures (F, H, W, 3), from the start of the sound to its end."""
        c = self.network.config
        times_s = start_s + timeline.frame_times_s(length_s, c.frame_rate_hz)
        times_s = np.clip(times_s, 0.0, video.duration_s)
        if self.features is None:
            return torch.from_numpy(network_frames(video, times_s, c.image_px, panorama))
        seen = self.features(network_frames(video, times_s, self.features.size_px, panorama))
        return torch.cat([seen.embedding, seen.energy_map], dim=-1)

    def _of_windows(self, pictures: torch.Tensor, starts: NDArray[np.int64]) -> torch.Tensor:
        """Of each window its pictures, (B, F, ...): one at its middle, or all in it."""
        c = self.network.config
        begin_s = starts / c.rate_hz
        if self.features is None:
            begin_s = begin_s + c.window_s / 2
        first = np.round(begin_s * c.frame_rate_hz).astype(np.int64)
        chosen = np.minimum(first[:, None] + np.arange(c.window_frames), len(pictures) - 1)
        return pictures[torch.from_numpy(chosen)].to(next(self.network.parameters()).device)

    def _directions(self, camera: CameraTrajectory, starts: NDArray[np.int64]) -> torch.Tensor | None:
        """Where the camera points in the middle of each window, for a network that is told."""
        c = self.network.config
        if not c.direction_dim:
            return None
        if c.field_frame == "camera":
            told = np.tile(network_vector(Direction(0.0)), (len(starts), 1))
        else:
            middles_s = starts / c.rate_hz + c.window_s / 2
            facing = [Direction.from_vector(R[:, 0]) for R in camera.matrices_at(middles_s)]
            told = np.stack([network_vector(direction) for direction in facing])
        return torch.from_numpy(told.astype(np.float32)).to(next(self.network.parameters()).device)
