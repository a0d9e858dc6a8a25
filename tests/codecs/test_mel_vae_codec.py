from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from spatialfoley.codecs.bigvgan import BigVgan, BigVganConfig
from spatialfoley.codecs.mel import MelConfig
from spatialfoley.codecs.mel_vae import MelVae, MelVaeConfig
from spatialfoley.codecs.mel_vae_codec import MelVaeCodec, MelVaeCodecConfig

LOW, HIGH = MelVaeCodecConfig.mmaudio_16k(), MelVaeCodecConfig.mmaudio_44k()
TINY = MelVaeCodecConfig(
    MelConfig(16000, 64, 16, 6, 0.0, 8000.0, "log10"),
    MelVaeConfig(mel_bands=6, latent_dim=3, hidden_dim=8),
    BigVganConfig(6, (4, 4), (8, 8), 16, (3,), ((1, 3),)),
)


def narrow(config: MelVaeCodecConfig) -> MelVaeCodecConfig:
    """The published rates and bands with few channels."""
    vocoder = replace(config.vocoder, upsample_initial_channel=64)
    return replace(config, vae=replace(config.vae, hidden_dim=4), vocoder=vocoder)


def random_codec(config: MelVaeCodecConfig = TINY) -> MelVaeCodec:
    torch.manual_seed(3)
    return MelVaeCodec(config, MelVae(config.vae), BigVgan(config.vocoder))


def noise(*shape: int) -> Tensor:
    return 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("config", "rate_hz", "latents"), [(LOW, 16000, 250), (HIGH, 44100, 345)], ids=["16k", "44k"]
)
def test_eight_seconds_of_the_published_codecs(config: MelVaeCodecConfig, rate_hz: int, latents: int) -> None:
    codec = random_codec(narrow(config))
    posterior = codec.encode(noise(1, 1, 8 * rate_hz))
    assert codec.rate_hz == rate_hz
    assert posterior.mean.shape == posterior.std.shape == (1, 1, latents, config.vae.latent_dim)
    assert codec.latent_rate_hz == pytest.approx(latents / 8, rel=2e-3)


def test_published_latent_rates() -> None:
    assert [LOW.hop_samples, HIGH.hop_samples] == [512, 1024]


def test_audio_comes_back_channel_by_channel_as_long_as_its_latents() -> None:
    codec, samples = random_codec(), noise(2, 3, 500)
    latents = codec.encode(samples).mean
    assert latents.shape == (2, 3, 16, 3)
    audio = codec.decode(latents)
    assert audio.shape == (2, 3, 16 * 32)
    assert torch.equal(codec.encode(samples[1:, 2:]).mean, latents[1:, 2:])
    assert torch.equal(codec.decode(latents[1:, 2:]), audio[1:, 2:])


def test_padding_is_silence() -> None:
    codec, samples = random_codec(), noise(1, 1, 500)
    padded = torch.cat([samples, torch.zeros(1, 1, 12)], dim=-1)
    assert torch.equal(codec.encode(samples).mean, codec.encode(padded).mean)


@pytest.mark.parametrize("config", [LOW, HIGH], ids=["16k", "44k"])
def test_a_single_sample_is_enough(config: MelVaeCodecConfig) -> None:
    codec = random_codec(narrow(config))
    audio = codec.decode(codec.encode(noise(1, 1, 1)).mean)
    assert audio.shape == (1, 1, codec.hop_samples)


def test_polarity_is_lost() -> None:
    codec, samples = random_codec(), noise(1, 2, 400)
    assert torch.equal(codec.encode(samples).mean, codec.encode(-samples).mean)


def test_published_files_are_read(tmp_path: Path) -> None:
    torch.manual_seed(6)
    vae, vocoder = MelVae(TINY.vae), BigVgan(TINY.vocoder)
    raw = {key: torch.randn_like(value) for key, value in vae.state_dict().items()}
    raw |= {"data_std": raw["data_std"].abs() + 0.5}
    torch.save(raw, tmp_path / "v1-16.pth")
    torch.save({"generator": vocoder.state_dict()}, tmp_path / "best_netG.pt")
    codec = MelVaeCodec.load(TINY, tmp_path / "v1-16.pth", tmp_path / "best_netG.pt")
    by_hand = MelVaeCodec(TINY, MelVae.from_state(raw, TINY.vae), vocoder)
    latents = by_hand.encode(noise(1, 2, 320)).mean
    assert torch.equal(codec.encode(noise(1, 2, 320)).mean, latents)
    assert torch.equal(codec.decode(latents), by_hand.decode(latents))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vae": replace(TINY.vae, mel_bands=7)}, "have 6, 7 and 6 mel bands"),
        ({"mel": replace(TINY.mel, hop_samples=8)}, "takes 8 samples a frame and the vocoder makes 16"),
    ],
    ids=["bands", "hop"],
)
def test_parts_that_do_not_belong_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(2, 100), r"samples has the shape \(2, 100\), but must be \(batch, channels, N\)"),
        (torch.zeros(1, 1, 0), r"samples has the shape \(1, 1, 0\)"),
        (torch.full((1, 1, 100), float("nan")), "samples holds NaN"),
    ],
    ids=["no batch", "empty", "NaN"],
)
def test_unusable_audio_is_refused(samples: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_codec().encode(samples)


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (torch.zeros(1, 1, 4, 5), r"latents has the shape \(1, 1, 4, 5\), but must be .* 3\)"),
        (torch.zeros(1, 4, 3), r"latents has the shape \(1, 4, 3\)"),
        (torch.full((1, 1, 4, 3), float("inf")), "latents holds NaN or infinite"),
    ],
    ids=["width", "no channels", "infinite"],
)
def test_unusable_latents_are_refused(latents: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_codec().decode(latents)
