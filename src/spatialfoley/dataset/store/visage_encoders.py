"""What ViSAGe's family is trained on: frames seen, and codes of the field in every turn that is wanted.

The arithmetic is that of `dataset.clip_encoding`, which prepares clips one by one: a test holds both to the same
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spatialfoley.conventions import FOA_CHANNELS, Y
from spatialfoley.dataset.clip_encoding import SoundEncoder, VisualEncoder, turned_right
from spatialfoley.dataset.clip_tensors import TYPES
from spatialfoley.dataset.store.clip_files import FRONT, ClipFiles, camera_of
from spatialfoley.dataset.store.layouts import CodesLayout, PictureLayout, float_type
from spatialfoley.dataset.store.settings import FeatureSettings
from spatialfoley.media.view import network_frames
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import listen_from, rotate
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.ytambigen import network_vector, network_vector_to_direction, quarter_turn_right
from spatialfoley.timeline import sample_count

_QUARTER_DEG = 90.0


@dataclass(frozen=True)
class PictureEncoder:
    """Frames of the view, and where mirror images are wanted, those of its mirror image.

    Attributes:
        network: Frames to embedding and energy map.
        layout: Of the result.
    """

    network: VisualEncoder
    layout: PictureLayout

    def __call__(self, clip: ClipFiles) -> dict[str, Tensor]:
        """`embedding` and `energy_map`."""
        rate_hz = self.layout.frame_rate_hz
        times_s = np.arange(sample_count(clip.duration_s, rate_hz)) / rate_hz
        times_s = np.minimum(times_s, clip.view.duration_s)
        frames = network_frames(clip.view, times_s, self.network.size_px, panorama=False)
        pictures = [frames, np.ascontiguousarray(frames[:, :, ::-1])][: self.layout.variants]
        seen = [self.network(picture) for picture in pictures]
        kind = getattr(torch, float_type(self.layout.half))
        return {
            "embedding": torch.stack([view.embedding for view in seen]).to(kind).cpu(),
            "energy_map": torch.stack([view.energy_map for view in seen]).to(kind).cpu(),
        }


@dataclass(frozen=True)
class CodesEncoder:
    """Codes of a field, turned and mirrored.

    Attributes:
        codec: Fields to codes.
        layout: Of the result.
        yaws_deg: Turns of the field.
        mirror: Whether all turns come mirrored too, behind the others.
        field_frame: Axes of the field.
        mono: Whether one channel is encoded, without any turns.
        device: Where the codec computes.
    """

    codec: SoundEncoder
    layout: CodesLayout
    yaws_deg: tuple[float, ...]
    mirror: bool
    field_frame: str
    mono: bool
    device: str

    def __call__(self, clip: ClipFiles) -> dict[str, Tensor]:
        """`codes` and `direction`."""
        if self.mono:
            codes = self._codes(clip.one_channel(self.codec.rate_hz))
            return {"codes": codes[None], "direction": torch.from_numpy(network_vector(FRONT))[None]}
        field = clip.sound("foa", self.codec.rate_hz)
        if len(field) != len(FOA_CHANNELS):
            raise ValueError(
                f"the foa of clip {clip.record.id} has {len(field)} channels; a field needs 4 (W, Y, Z, X)"
            )
        camera = camera_of(clip.record)
        if self.field_frame == "camera":
            field = listen_from(SpatialAudio(field, self.codec.rate_hz, "foa"), camera).samples
            camera = FRONT
        fields = [turned_field(field, yaw_deg, self.codec.rate_hz) for yaw_deg in self.yaws_deg]
        directions = [turned_vector(network_vector(camera), yaw_deg) for yaw_deg in self.yaws_deg]
        if self.mirror:
            fields += [_mirrored(turned, Y) for turned in fields]
            directions += [_mirrored(vector, 0) for vector in directions]
        return {
            "codes": torch.stack([self._codes(turned) for turned in fields]),
            "direction": torch.from_numpy(np.stack(directions).astype(TYPES["direction"])),
        }

    def _codes(self, field: np.ndarray) -> Tensor:
        samples = torch.from_numpy(np.ascontiguousarray(field, np.float32)).to(self.device)
        return self.codec.encode(samples[None])[0].to(torch.int16).cpu()


def turned_field(field: np.ndarray, yaw_deg: float, rate_hz: int) -> np.ndarray:
    """A field (4, N) turned to the left; whole quarter turns only swap channels and change no bit."""
    quarters = _quarters_right(yaw_deg)
    if quarters is None:
        return rotate(SpatialAudio(field, rate_hz, "foa"), yaw_deg=yaw_deg).samples
    for _ in range(quarters):
        field = quarter_turn_right(field)
    return field


def turned_vector(vector: np.ndarray, yaw_deg: float) -> np.ndarray:
    """A (right, down, forward) vector turned as `turned_field` turns the field."""
    quarters = _quarters_right(yaw_deg)
    if quarters is None:
        looks = network_vector_to_direction(vector)
        return network_vector(Direction(looks.azimuth_deg + yaw_deg, looks.elevation_deg))
    for _ in range(quarters):
        vector = turned_right(vector)
    return vector


def _quarters_right(yaw_deg: float) -> int | None:
    quarters = -yaw_deg / _QUARTER_DEG
    return int(quarters) % 4 if quarters.is_integer() else None


def _mirrored(array: np.ndarray, row: int) -> np.ndarray:
    mirrored = array.copy()
    mirrored[row] *= -1
    return mirrored


def picture_variants(settings: FeatureSettings) -> int:
    """The picture, and its mirror image where that is wanted."""
    return 1 + settings.mirror


def code_variants(settings: FeatureSettings) -> int:
    """All turns, and their mirror images where these are wanted."""
    return len(settings.yaws_deg) * (1 + settings.mirror)


def load_tiny(folder: Path, device: str, settings: FeatureSettings) -> PictureEncoder:
    """The tiny encoder of frames."""
    from spatialfoley.features.tiny import TinyFeatures

    features = TinyFeatures.load(folder, device)
    width = features.encoder.config.embedding_dim
    layout = PictureLayout(features.frame_rate_hz, width, picture_variants(settings), settings.half)
    return PictureEncoder(features, layout)


def load_clip(folder: Path, device: str, settings: FeatureSettings) -> PictureEncoder:
    """CLIP ViT-B/32 with the energy map of its patches."""
    from spatialfoley.features.clip import ClipFeatures  # transformers is slow to import

    features = ClipFeatures.load(folder, device)
    width: int = features.model.config.projection_dim
    layout = PictureLayout(features.frame_rate_hz, width, picture_variants(settings), settings.half)
    return PictureEncoder(features, layout)


def load_tiny_codes(folder: Path, device: str, settings: FeatureSettings) -> CodesEncoder:
    """The tiny codec, whose generator works in the camera's axes."""
    from spatialfoley.codecs.tiny import TinyCodec

    codec = TinyCodec.load(folder).to(device)
    return _codes(codec, codec.hop_samples, codec.levels, settings, "camera", device)


def load_dac(path: Path, device: str, settings: FeatureSettings) -> CodesEncoder:
    """DAC, whose generator, the published ViSAGe, works in the world's axes."""
    from spatialfoley.codecs.dac import DacCodec  # transformers is slow to import
    from spatialfoley.weights import weight_files

    # The original release is one file without a config beside it.
    whole = path.is_dir() and (path / "config.json").is_file()
    codec = DacCodec.load(path if whole else weight_files(path)[0], device)
    return _codes(codec, codec.hop_samples, codec.levels, settings, "world", device)


def load_unicodec(path: Path, device: str, settings: FeatureSettings) -> CodesEncoder:
    """UniCodec with the tokens of other sound than speech and music, as ViSAGe-SC reads them."""
    from spatialfoley.codecs.unicodec import UniCodec

    codec = UniCodec.load(path, device)
    return _codes(codec, codec.hop_samples, codec.levels, settings, "world", device)


def _codes(
    codec: SoundEncoder,
    hop_samples: int,
    levels: int,
    settings: FeatureSettings,
    usual_frame: str,
    device: str,
) -> CodesEncoder:
    layout = _codes_layout(codec.rate_hz, hop_samples, levels, settings)
    frame = settings.field_frame or usual_frame
    return CodesEncoder(codec, layout, settings.yaws_deg, settings.mirror, frame, settings.mono, device)


def published_tiny(settings: FeatureSettings) -> PictureLayout:
    """Of the tiny encoder in the package."""
    from spatialfoley.features.tiny import TinyFeaturesConfig

    c = TinyFeaturesConfig()
    return PictureLayout(c.frame_rate_hz, c.embedding_dim, picture_variants(settings), settings.half)


def published_tiny_codes(settings: FeatureSettings) -> CodesLayout:
    """Of the tiny codec in the package."""
    from spatialfoley.codecs.tiny import TinyCodecConfig

    c = TinyCodecConfig()
    return _codes_layout(c.rate_hz, c.hop_samples, 1 + c.shape_levels, settings)


def published_clip(settings: FeatureSettings) -> PictureLayout:
    """Of ViT-B/32, as the published ViSAGe reads it."""
    from spatialfoley.generators.visage.config import VisageConfig

    c = VisageConfig()
    return PictureLayout(c.clip_frame_rate, c.d_clip, picture_variants(settings), settings.half)


def published_dac(settings: FeatureSettings) -> CodesLayout:
    """Of DAC at 44.1 kHz, as the published ViSAGe reads it."""
    from spatialfoley.generators.visage.config import VisageConfig

    c = VisageConfig()
    return _codes_layout(c.dac_sample_rate, c.dac_downsample_rate, c.num_rvq, settings)


def published_unicodec(settings: FeatureSettings) -> CodesLayout:
    """Of UniCodec."""
    from spatialfoley.codecs.unicodec import UniCodec
    from spatialfoley.codecs.unicodec_config import UniCodecConfig

    c = UniCodecConfig()
    return _codes_layout(c.rate_hz, c.hop_samples, UniCodec.levels, settings)


def _codes_layout(rate_hz: int, hop_samples: int, levels: int, settings: FeatureSettings) -> CodesLayout:
    channels = 1 if settings.mono else len(FOA_CHANNELS)
    return CodesLayout(rate_hz, hop_samples, channels * levels, code_variants(settings))


def mirror_of(variant: int, yaws_deg: Sequence[float]) -> int:
    """Which variant of the picture belongs to a variant of the codes."""
    return variant // len(yaws_deg)
