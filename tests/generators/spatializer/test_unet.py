"""The U-Net: sizes as published, masks with known answers, sound of any length."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.generators.spatializer.checkpoint import load_audio_spatializer, save_audio_spatializer
from spatialfoley.generators.spatializer.config import SpatializerConfig
from spatialfoley.generators.spatializer.inference import make_channels, window_starts
from spatialfoley.generators.spatializer.objective import normalised, spectral_loss, two_channels
from spatialfoley.generators.spatializer.unet import (
    AudioSpatializer,
    Seen,
    analyse,
    apply_masks,
    synthesise,
)

TINY = SpatializerConfig.tiny(unet_channels=(4, 4, 4, 4, 4), visual_channels=4, feature_dim=5)
RNG = np.random.default_rng(0)


def seen_at(starts: np.ndarray) -> Seen:
    return Seen(torch.zeros(len(starts), TINY.window_frames, TINY.feature_dim))


def with_masks(real: tuple[float, float, float], scale: float) -> AudioSpatializer:
    """A network whose masks are the same everywhere: the last layer's constants, stretched to -scale ... scale."""
    torch.manual_seed(0)
    network = AudioSpatializer(
        SpatializerConfig.tiny(unet_channels=(4,) * 5, visual_channels=4, feature_dim=5)
    )
    object.__setattr__(network.config, "mask_scale", scale)
    with torch.no_grad():
        network.out.weight.zero_()
        network.out.bias.zero_()
        network.out.bias[0::2] = 2 * torch.atanh(torch.tensor(real) / scale)
    return network.eval()


def smooth_noise(samples: int) -> np.ndarray:
    """Noise without the highest frequencies, which have no mask."""
    spectrum = np.fft.rfft(RNG.normal(0, 0.1, samples))
    spectrum[int(0.9 * len(spectrum)) :] = 0
    return np.fft.irfft(spectrum, samples).astype(np.float32)


def test_default_sizes_are_the_published_ones() -> None:
    network = AudioSpatializer(SpatializerConfig())
    c = network.config
    assert (c.window_samples, c.bins, c.columns) == (10080, 256, 64)
    assert [layer[0].out_channels for layer in network.down] == [64, 128, 256, 512, 512]
    assert network.visual.width == 392  # 8 channels of 7 x 7 places
    assert network.up[0][0].in_channels == 512 + 392 + 64
    assert [layer[0].out_channels for layer in network.up] == [512, 256, 128, 64]
    assert network.out.out_channels == 6
    assert c.mask_scale == math.sqrt(2)
    ears = AudioSpatializer(SpatializerConfig(channels="binaural", mask_scale=1.0, field_frame="camera"))
    assert ears.out.out_channels == 2


def test_published_network_sees_pictures_and_direction() -> None:
    torch.manual_seed(0)
    config = SpatializerConfig(unet_channels=(4, 4, 4, 4, 4), image_px=64)
    network = AudioSpatializer(config).eval()
    spectrum = torch.randn(2, 2, 257, 64)
    pictures = torch.randint(0, 256, (2, 1, 80, 80, 3), dtype=torch.uint8)
    front, left = torch.tensor([[0.0, 0.0, 1.0]] * 2), torch.tensor([[-1.0, 0.0, 0.0]] * 2)
    with torch.no_grad():
        masks = network(spectrum, Seen(pictures, front))
        assert masks.shape == (2, 3, 2, 256, 64)
        assert masks.abs().max() <= math.sqrt(2)
        assert not torch.equal(masks, network(spectrum, Seen(pictures, left)))
        assert not torch.equal(masks, network(spectrum, Seen(255 - pictures, front)))
        assert torch.equal(masks, network(spectrum, Seen(pictures, front)))
        with pytest.raises(ValueError, match=r"seen.direction is None, but this network is told"):
            network(spectrum, Seen(pictures))


@pytest.mark.parametrize("told_at", ["coarsest", "every_scale"])
def test_what_is_seen_changes_the_masks(told_at: str) -> None:
    torch.manual_seed(0)
    network = AudioSpatializer(SpatializerConfig.tiny(told_at=told_at)).eval()
    spectrum, features = torch.randn(1, 2, 257, 64), torch.randn(2, 1, 13, 177)
    with torch.no_grad():
        one, other = (network(spectrum, Seen(seen)) for seen in features)
    assert not torch.equal(one, other)


def test_a_mask_of_one_for_y_is_a_plane_wave_from_the_left() -> None:
    mono = smooth_noise(24001)
    made = make_channels(with_masks((1.0, 0.0, 0.0), math.sqrt(2)), mono, seen_at)
    field = np.concatenate([mono[None], made])
    # The topmost frequency has no mask, and the edges of windows hold a little of it.
    np.testing.assert_allclose(field[Y], field[W], atol=1e-3)
    np.testing.assert_allclose(field[[Z, X]], 0, atol=1e-6)


def test_masks_may_exceed_one_as_far_as_they_are_let() -> None:
    mono = smooth_noise(12000)
    made = make_channels(with_masks((0.0, -1.3, 0.5), math.sqrt(2)), mono, seen_at)
    np.testing.assert_allclose(made[1], -1.3 * mono, atol=1e-3)
    np.testing.assert_allclose(made[2], 0.5 * mono, atol=1e-3)


@pytest.mark.parametrize("samples", [1, 159, 10079, 10080, 10081, 30000])
def test_sound_has_the_length_of_its_mono(samples: int) -> None:
    network = AudioSpatializer(TINY).eval()
    made = make_channels(network, RNG.normal(0, 0.1, samples).astype(np.float32), seen_at)
    assert made.shape == (3, samples)
    assert np.isfinite(made).all()


def test_silence_stays_silence_and_level_changes_nothing() -> None:
    torch.manual_seed(1)
    network = AudioSpatializer(TINY).eval()
    assert np.array_equal(make_channels(network, np.zeros(20000, np.float32), seen_at), np.zeros((3, 20000)))
    mono = RNG.normal(0, 0.1, 20000).astype(np.float32)
    loud, quiet = (make_channels(network, gain * mono, seen_at) / gain for gain in (1.0, 0.01))
    np.testing.assert_allclose(quiet, loud, atol=1e-4)


def test_windows_reach_from_the_first_sample_to_the_last() -> None:
    starts = window_starts(32000, TINY)
    assert starts[0] == 0
    assert starts[-1] + TINY.window_samples == 32000
    assert set(np.diff(starts)[:-1]) == {2400}
    assert list(window_starts(10080, TINY)) == [0]
    assert list(window_starts(10080 + 801, SpatializerConfig())) == [0, 800, 801]


def test_there_and_back_through_the_spectrum() -> None:
    sound = torch.from_numpy(np.stack([smooth_noise(10080)] * 2))[None]
    spectrum = analyse(sound, TINY)
    assert spectrum.shape == (1, 2, 257, 64)
    torch.testing.assert_close(synthesise(spectrum[..., :256, :], TINY), sound, rtol=0, atol=1e-3)


def test_true_masks_have_no_loss_and_a_common_gain_none_either() -> None:
    sound = (
        torch.from_numpy(np.stack([smooth_noise(10080)] * 4))[None]
        * torch.tensor([1.0, 0.6, 0.0, -0.8])[:, None]
    )

    class TrueMasks(torch.nn.Module):
        def forward(self, spectrum: torch.Tensor, seen: Seen) -> torch.Tensor:
            masks = torch.zeros(1, 3, 2, 256, 64)
            masks[:, :, 0] = torch.tensor([0.6, 0.0, -0.8])[:, None, None]
            return masks

    for gain in (1.0, 0.02):
        loss, figures = spectral_loss(TrueMasks(), gain * sound, Seen(torch.zeros(1)), TINY)
        assert loss < 1e-9
        assert figures["median_angle_deg"] < 0.1
    silent, _ = spectral_loss(
        TrueMasks(), gain * sound * torch.tensor([1.0, 0, 0, 0])[:, None], Seen(torch.zeros(1)), TINY
    )
    assert silent > 1e-3, "a mask where there is nothing must cost"


def test_windows_come_to_one_level_but_silence_does_not() -> None:
    windows = torch.stack([torch.full((100,), 0.5), torch.zeros(100), torch.full((100,), -0.001)])
    level, gain = normalised(windows, 0.1)
    torch.testing.assert_close(level[:, 0], torch.tensor([0.1, 0.0, -0.1]))
    torch.testing.assert_close(gain[:, 0], torch.tensor([0.2, 1.0, 100.0]))


def test_half_sum_and_half_difference_give_both_ears() -> None:
    ears = torch.randn(2, 2, 50)
    middle, side = two_channels(ears).unbind(1)
    torch.testing.assert_close(torch.stack([middle + side, middle - side], 1), ears)


def test_complex_masks_turn_the_phase() -> None:
    spectrum = torch.randn(1, 257, 64, dtype=torch.complex64)
    masks = torch.zeros(1, 3, 2, 256, 64)
    masks[:, 1, 1] = 1.0
    made = apply_masks(masks, spectrum)
    torch.testing.assert_close(made[:, 1], 1j * spectrum[:, :256])
    assert not made[:, [0, 2]].any()


def test_weights_come_back_from_disk(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = AudioSpatializer(TINY)
    network(torch.randn(4, 2, 257, 64), Seen(torch.randn(4, 13, 5)))  # statistics of the normalisation
    save_audio_spatializer(network, tmp_path)
    read = load_audio_spatializer(tmp_path)
    assert read.config == TINY
    spectrum, seen = torch.randn(1, 2, 257, 64), Seen(torch.randn(1, 13, 5))
    with torch.no_grad():
        torch.testing.assert_close(read(spectrum, seen), network.eval()(spectrum, seen), rtol=0, atol=0.02)
    (tmp_path / "config.json").write_text('{"unet_channels": [4, 4, 4, 4, 8], "visual": "tiny"}')
    with pytest.raises(ValueError, match=r"model.safetensors does not fit its config.json: .* such as"):
        load_audio_spatializer(tmp_path)
    (tmp_path / "config.json").write_text('{"depth": 3}')
    with pytest.raises(ValueError, match="unknown settings depth"):
        load_audio_spatializer(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": "5.1"}, "channels is '5.1'; give one of foa, binaural"),
        ({"unet_channels": (4, 4)}, "give 5 numbers"),
        ({"mask_scale": 0.0}, "mask_scale is 0.0"),
        ({"overlap_hop_s": 0.4}, r"overlap_hop_s is 0\.4; .* at most 0\.315"),
        ({"window_s": 0.5}, "both must be multiples of 32"),
        ({"direction_dim": 0}, "direction_dim is 0 with field_frame 'world'"),
    ],
)
def test_impossible_sizes_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpatializerConfig(**change)  # type: ignore[arg-type]
