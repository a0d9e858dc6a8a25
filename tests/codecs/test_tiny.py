"""The tiny codec: what must hold by construction, whatever the weights (random here)."""

import pytest
import torch

from spatialfoley.codecs import tiny
from spatialfoley.codecs.mdct import Mdct

CONFIG = tiny.TinyCodecConfig(width=32, blocks=2, latent_dim=8, vocabulary_size=64)


@pytest.fixture
def codec() -> tiny.TinyCodec:
    torch.manual_seed(0)
    return tiny.TinyCodec(CONFIG).eval()


def plane_wave(vector: tuple[float, float, float], samples: int = 16000) -> torch.Tensor:
    x, y, z = vector
    sound = torch.randn(samples, generator=torch.Generator().manual_seed(3)) * 0.1
    return torch.stack([sound, y * sound, z * sound, x * sound])[None]


def test_mdct_inverts() -> None:
    mdct = Mdct(320)
    samples = torch.randn(2, 3200)
    assert torch.allclose(mdct.inverse(mdct(samples)), samples, atol=1e-5)


def test_a_plane_wave_repeats_the_shape_of_w_and_keeps_its_ratios(codec: tiny.TinyCodec) -> None:
    codes = codec.encode(plane_wave((0.8, -0.6, 0.3))).unflatten(2, (4, codec.levels))
    assert (codes[:, :, 1:, 1:] == 0).all(), "shape tokens of Y, Z, X must say 'as W'"
    ratios = tiny.token_to_ratio(codes[0, :, 1:, 0])
    assert torch.allclose(ratios, torch.tensor([-0.6, 0.3, 0.8]).expand_as(ratios), atol=0.013)


def test_a_decoded_plane_wave_is_coherent_whatever_the_codec_error(codec: tiny.TinyCodec) -> None:
    decoded = codec.decode(codec.encode(plane_wave((0.8, -0.6, 0.3))))[0]
    energy = decoded[0].square().sum()
    gains = (decoded[1:] * decoded[0]).sum(-1) / energy
    assert torch.allclose(gains, torch.tensor([-0.6, 0.3, 0.8]), atol=0.02)
    residual = decoded[1:] - gains[:, None] * decoded[0]
    assert residual.square().sum() < 1e-3 * decoded[1:].square().sum()


def test_shape_codes_are_odd_and_scale_free(codec: tiny.TinyCodec) -> None:
    frames = torch.randn(1, 12, 320)
    quantise = lambda f: codec.quantizer.encode(codec.latents(f))  # noqa: E731
    assert torch.equal(quantise(-frames), (quantise(frames) + 32) % 64)
    wave = plane_wave((1.0, 0.0, 0.0))
    loud, quiet = codec.encode(wave), codec.encode(wave * 10 ** (-15 / 20))
    assert torch.equal(loud[..., 1:], quiet[..., 1:])
    assert (loud[..., 0] - quiet[..., 0] == 10).all(), "15 dB are ten gain steps"


def test_silence_stays_silence(codec: tiny.TinyCodec) -> None:
    codes = codec.encode(torch.zeros(1, 4, 3200))
    assert (codes.unflatten(2, (4, codec.levels))[:, :, 0] == 0).all()
    assert (codec.decode(codes) == 0).all()


def test_gain_and_ratio_tokens_invert() -> None:
    tokens = torch.arange(1, tiny.GAIN_TOKENS)
    assert torch.equal(tiny.gain_to_token(tiny.token_to_gain(tokens)), tokens)
    ratios = torch.arange(tiny.RATIO_TOKENS)
    assert torch.equal(tiny.ratio_to_token(tiny.token_to_ratio(ratios)), ratios)


def test_four_quarter_turns_and_two_mirrors_change_nothing(codec: tiny.TinyCodec) -> None:
    codes = codec.encode(plane_wave((0.2, 0.9, -0.3)))
    turned = codes
    for _ in range(4):
        turned = tiny.turn_quarter(turned, codec.levels)
    assert torch.equal(turned, codes)
    mirror = tiny.mirror_left_right(codes, codec.levels)
    assert torch.equal(tiny.mirror_left_right(mirror, codec.levels), codes)


def test_turning_tokens_is_turning_the_field(codec: tiny.TinyCodec) -> None:
    front = codec.encode(plane_wave((1.0, 0.0, 0.0)))
    left = codec.encode(plane_wave((0.0, 1.0, 0.0)))
    assert torch.equal(tiny.turn_quarter(front, codec.levels), left)
    right = codec.encode(plane_wave((0.0, -1.0, 0.0)))
    assert torch.equal(tiny.mirror_left_right(left, codec.levels), right)


def test_a_wrong_shape_is_named(codec: tiny.TinyCodec) -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2, 100\).*\[batch, 4, time\]"):
        codec.encode(torch.zeros(1, 2, 100))
    with pytest.raises(ValueError, match=r"must be \[batch, frames, 20\]"):
        codec.decode(torch.zeros(1, 5, 36, dtype=torch.long))


def test_steady_ratios_outvote_a_stray_frame_and_do_not_hear_silence() -> None:
    ratios = torch.tensor([[[0.5, 0.5, -0.9, 0.5, 0.5, 0.0, 0.0, 0.2]]])
    sounding = torch.tensor([[[True, True, True, True, True, False, False, True]]])
    steady = tiny.steady_ratios(ratios, sounding, 3)
    assert torch.allclose(steady[0, 0, :5], torch.full((5,), 0.5))
    assert steady[0, 0, 7] == pytest.approx(0.2)
    assert torch.equal(tiny.steady_ratios(ratios, sounding, 1), ratios)


def test_continuous_latents_are_odd_and_come_back_without_the_quantiser(codec: tiny.TinyCodec) -> None:
    sound = torch.randn(2, 3200, generator=torch.Generator().manual_seed(0)) * 0.1
    latents, gains = codec.channel_latents(sound)
    mirrored, same_gains = codec.channel_latents(-sound)
    assert torch.allclose(mirrored, -latents, atol=1e-5)
    assert torch.allclose(gains, same_gains)
    made = codec.channel_sound(latents[None], gains[None])
    assert made.shape == (1, 2, 3200)
    assert torch.allclose(codec.channel_sound(latents[None], -gains[None]), -made)


def test_even_levels_give_every_frame_its_gain(codec: tiny.TinyCodec) -> None:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 1, 40, codec.config.latent_dim, generator=generator)
    gains = torch.linspace(0.01, 0.2, 40)[None, None]
    spread = []
    for evenness in (0.0, 1.0):
        frames = codec.mdct(codec.channel_sound(latents, gains, evenness))[:, :, 1:]
        spread.append((frames.square().mean(-1).sqrt() / gains)[..., 2:-2].std().item())
    assert spread[1] < 0.2 * spread[0]
