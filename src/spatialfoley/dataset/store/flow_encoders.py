"""What MMAudio's family is trained on: frames, motion, patches and words as its pipeline sees them, and latents.

A clip is the first window of its own file: the frames are those that `pipeline.flow_encoding` would choose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spatialfoley.codecs.mel_vae_codec import MelVaeEncoder
from spatialfoley.dataset.store.clip_files import ClipFiles
from spatialfoley.dataset.store.layouts import (
    FrameLayout,
    LatentLayout,
    Layout,
    SegmentLayout,
    TextLayout,
    float_type,
)
from spatialfoley.dataset.store.settings import FeatureSettings
from spatialfoley.dataset.visaudio_encoding import leveled
from spatialfoley.features.window_frames import Resize, chosen_times_s, resized_frames
from spatialfoley.timeline import codec_frames

EARS = 2


@dataclass(frozen=True)
class WindowEncoder:
    """One array from the frames of the view.

    Attributes:
        name: Of the array.
        network: Frames uint8 (T, H, W, 3) to features.
        resize: To the size that the network sees.
        frame_rate_hz: Frames per second that it sees.
        layout: Of the result.
        half: Whether it is kept in 16 bits.
    """

    name: str
    network: Callable[[np.ndarray], Tensor]
    resize: Resize
    frame_rate_hz: float
    layout: Layout
    half: bool

    def __call__(self, clip: ClipFiles) -> dict[str, Tensor]:
        """The one array."""
        shown_s = clip.view.frame_times_s()
        times_s = chosen_times_s(shown_s, 0.0, clip.duration_s, self.frame_rate_hz)
        (frames,) = resized_frames(clip.view, times_s, [self.resize], panorama=False)
        return {self.name: self.network(frames).to(getattr(torch, float_type(self.half))).cpu()}


@dataclass(frozen=True)
class CaptionEncoder:
    """The words of the caption; nothing for a clip without one."""

    read: Callable[[list[str]], Tensor]
    layout: TextLayout

    def __call__(self, clip: ClipFiles) -> dict[str, Tensor]:
        """`text`, if there is a caption."""
        caption = str(clip.record.facts.get("caption") or "")
        if not caption:
            return {}
        return {"text": self.read([caption])[0].to(getattr(torch, float_type(self.layout.half))).cpu()}


@dataclass(frozen=True)
class LatentEncoder:
    """Latents of the two ears, or of one channel, at the level of training."""

    codec: MelVaeEncoder
    layout: LatentLayout
    loudness: str

    def __call__(self, clip: ClipFiles) -> dict[str, Tensor]:
        """`mean` and `std`."""
        rate_hz = self.codec.rate_hz
        sound = clip.one_channel(rate_hz) if self.layout.channels == 1 else clip.sound("binaural", rate_hz)
        if len(sound) != self.layout.channels:
            raise ValueError(f"the binaural of clip {clip.record.id} has {len(sound)} channels; ears are 2")
        whole = codec_frames(sound.shape[1], self.codec.hop_samples) * self.codec.hop_samples
        padded = np.pad(sound, ((0, 0), (0, whole - sound.shape[1])))
        posterior = self.codec.encode(torch.from_numpy(leveled(padded, self.loudness))[None])
        return {"mean": posterior.mean[0].float().cpu(), "std": posterior.std[0].float().cpu()}


def load_clip_h14(path: Path, device: str, settings: FeatureSettings) -> WindowEncoder:
    """DFN5B CLIP: a vector for every frame."""
    from spatialfoley.features.clip_h14 import ClipH14Features  # transformers is slow to import
    from spatialfoley.features.resize import squash

    features = ClipH14Features.load(path if path.is_dir() else path.parent, device, _dtype(settings))
    width: int = features.model.config.projection_dim
    layout = FrameLayout("clip", features.frame_rate_hz, (width,), settings.half)
    resize = _pictures(lambda frames: squash(frames, features.size_px))
    return WindowEncoder("clip", features, resize, features.frame_rate_hz, layout, settings.half)


def load_clip_h14_text(path: Path, device: str, settings: FeatureSettings) -> CaptionEncoder:
    """DFN5B CLIP: a vector for every token of the caption."""
    from spatialfoley.features.clip_h14 import ClipH14Features  # transformers is slow to import

    features = ClipH14Features.load(path if path.is_dir() else path.parent, device, _dtype(settings))
    width: int = features.model.config.text_config.hidden_size
    return CaptionEncoder(features.text, TextLayout(features.context_length, width, settings.half))


def load_synchformer(path: Path, device: str, settings: FeatureSettings) -> WindowEncoder:
    """Synchformer: what moves when."""
    from spatialfoley.features.resize import crop_centre
    from spatialfoley.features.sizes_of_weights import synchformer_config_of
    from spatialfoley.features.synchformer import SynchformerFeatures
    from spatialfoley.weights import load_state_dict

    config = synchformer_config_of(load_state_dict(path))
    features = SynchformerFeatures.load(path, device, _dtype(settings), config)
    layout = SegmentLayout(
        features.frame_rate_hz, config.segment_frames, config.segment_tokens, config.width, settings.half
    )
    resize = _pictures(lambda frames: crop_centre(frames, features.size_px))
    return WindowEncoder("sync", features, resize, features.frame_rate_hz, layout, settings.half)


def load_pe_spatial(path: Path, device: str, settings: FeatureSettings) -> WindowEncoder:
    """PE-Spatial: a grid of vectors for every frame."""
    from spatialfoley.features.perception import PerceptionFeatures, strip_wrappers
    from spatialfoley.features.resize import squash
    from spatialfoley.features.sizes_of_weights import perception_config_of
    from spatialfoley.weights import load_state_dict

    config = perception_config_of(strip_wrappers(load_state_dict(path)))
    features = PerceptionFeatures.load(path, config, device, _dtype(settings), pool=settings.pool)
    grid = config.grid // settings.pool
    layout = FrameLayout("patches", features.frame_rate_hz, (grid, grid, config.width), settings.half)
    resize = _pictures(lambda frames: squash(frames, features.size_px, mode="bilinear"))
    return WindowEncoder("patches", features, resize, features.frame_rate_hz, layout, settings.half)


def load_mel_vae(rate_hz: int, path: Path, device: str, settings: FeatureSettings) -> LatentEncoder:
    """The autoencoder of a rate."""
    from spatialfoley.codecs.sizes_of_weights import load_published_encoder

    codec = load_published_encoder(rate_hz, path, device)
    layout = LatentLayout(codec.rate_hz, codec.hop_samples, codec.latent_dim, _channels(settings))
    return LatentEncoder(codec, layout, settings.loudness)


def published_clip_h14(settings: FeatureSettings) -> FrameLayout:
    """Of ViT-H/14, as MMAudio reads it."""
    from spatialfoley.generators.visaudio.config import MMAudioConfig

    c = MMAudioConfig()
    return FrameLayout("clip", c.clip_rate_hz, (c.clip_dim,), settings.half)


def published_clip_h14_text(settings: FeatureSettings) -> TextLayout:
    """Of ViT-H/14, as MMAudio reads it."""
    from spatialfoley.generators.visaudio.config import MMAudioConfig

    c = MMAudioConfig()
    return TextLayout(c.text_tokens, c.text_dim, settings.half)


def published_synchformer(settings: FeatureSettings) -> SegmentLayout:
    """Of the published visual branch."""
    from spatialfoley.features.synchformer import PUBLISHED_FRAME_RATE_HZ, SynchformerConfig

    c = SynchformerConfig()
    return SegmentLayout(PUBLISHED_FRAME_RATE_HZ, c.segment_frames, c.segment_tokens, c.width, settings.half)


def published_pe_spatial(settings: FeatureSettings) -> FrameLayout:
    """Of PE-Spatial-L14-448."""
    from spatialfoley.features.perception import PUBLISHED_FRAME_RATE_HZ, PerceptionConfig

    c = PerceptionConfig()
    grid = c.grid // settings.pool
    return FrameLayout("patches", PUBLISHED_FRAME_RATE_HZ, (grid, grid, c.width), settings.half)


def published_mel_vae(rate_hz: int, settings: FeatureSettings) -> LatentLayout:
    """Of the published autoencoder of a rate."""
    from spatialfoley.codecs.mel_vae_codec import MelVaeCodecConfig

    c = MelVaeCodecConfig.mmaudio_44k() if rate_hz == 44100 else MelVaeCodecConfig.mmaudio_16k()
    return LatentLayout(rate_hz, c.hop_samples, c.vae.latent_dim, _channels(settings))


def _channels(settings: FeatureSettings) -> int:
    return 1 if settings.mono else EARS


def _dtype(settings: FeatureSettings) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, settings.compute)
    return dtype


def _pictures(resize: Callable[[np.ndarray], Tensor]) -> Resize:
    """A resize whose result (T, 3, H, W) becomes the array (T, H, W, 3) that encoders take."""
    return lambda frames: resize(frames).permute(0, 2, 3, 1).contiguous().numpy()
