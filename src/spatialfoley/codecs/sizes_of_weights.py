"""The published mel codecs, with their sizes read off the weights: checkpoints of this family have no settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from spatialfoley.codecs.bigvgan import BigVgan, BigVganConfig
from spatialfoley.codecs.mel import MelConfig
from spatialfoley.codecs.mel_vae import MelVae, MelVaeConfig
from spatialfoley.codecs.mel_vae_codec import MelVaeCodec, MelVaeCodecConfig, MelVaeEncoder
from spatialfoley.weights import load_state_dict, weight_files

_FRONT_ENDS = {16000: MelConfig.mmaudio_16k, 44100: MelConfig.mmaudio_44k}
_FIRST_LAYER = ("conv_pre.weight", "conv_pre.weight_v", "conv_pre.parametrizations.weight.original1")


def load_published_codec(rate_hz: int, vae: Path, vocoder: Path, device: str = "cpu") -> MelVaeCodec:
    """Read an autoencoder and a vocoder of the MMAudio family.

    Args:
        rate_hz: 16000 or 44100.
        vae: File or folder of the autoencoder.
        vocoder: File or folder of the vocoder; a config.json beside the file counts.
        device: Where to run.

    Raises:
        ValueError: If the rate is another one, or keys or shapes do not fit; they are listed.
    """
    front_end = _front_end(rate_hz)
    networks = (load_vae(vae), load_vocoder(vocoder, rate_hz))
    config = MelVaeCodecConfig(front_end, networks[0].config, networks[1].config)
    return MelVaeCodec(config, *networks).to(device)


def load_published_encoder(rate_hz: int, vae: Path, device: str = "cpu") -> MelVaeEncoder:
    """Read an autoencoder of the MMAudio family for encoding alone, without its vocoder.

    Raises:
        ValueError: As `load_published_codec`.
    """
    return MelVaeEncoder(_front_end(rate_hz), load_vae(vae)).to(device)


def _front_end(rate_hz: int) -> MelConfig:
    if rate_hz not in _FRONT_ENDS:
        raise ValueError(
            f"rate_hz is {rate_hz}; the published codecs have {' and '.join(map(str, _FRONT_ENDS))}"
        )
    return _FRONT_ENDS[rate_hz]()


def load_vae(path: Path) -> MelVae:
    """Read a mel autoencoder of any width.

    Raises:
        ValueError: If keys or shapes do not fit; they are listed.
    """
    state = load_state_dict(path)
    return MelVae.from_state(state, vae_config_of(state), str(path))


def load_vocoder(path: Path, rate_hz: int) -> BigVgan:
    """Read the vocoder of a rate, of any width.

    Raises:
        ValueError: If the settings beside it or keys or shapes do not fit.
    """
    state = load_state_dict(path)
    settings = weight_files(path)[0].parent / "config.json"
    if rate_hz == 44100 and settings.is_file():
        config = BigVganConfig.from_dict(json.loads(settings.read_text(encoding="utf-8")))
    else:
        config = BigVganConfig.v2_44k() if rate_hz == 44100 else BigVganConfig.mmaudio_16k()
        config = replace(
            config, upsample_initial_channel=_first_width(state, config.upsample_initial_channel)
        )
    return BigVgan.from_state(state, config, str(path))


def vae_config_of(state: Mapping[str, Tensor]) -> MelVaeConfig:
    """Sizes of the autoencoder that some weights belong to; the number of its layers is the published one.

    Raises:
        ValueError: If these are no weights of such an autoencoder.
    """
    first, latents = state.get("encoder.conv_in.weight"), state.get("decoder.conv_in.weight")
    if first is None or latents is None or first.ndim != 3 or latents.ndim != 3:
        raise ValueError(
            "these are no weights of a mel autoencoder: encoder.conv_in.weight or decoder.conv_in.weight is "
            "missing; give v1-16.pth or v1-44.pth"
        )
    return MelVaeConfig(mel_bands=first.shape[1], latent_dim=latents.shape[1], hidden_dim=first.shape[0])


def _first_width(state: Mapping[str, Tensor], published: int) -> int:
    """Output channels of the first layer, in any spelling of its weight norm."""
    return next((state[key].shape[0] for key in _FIRST_LAYER if key in state), published)
