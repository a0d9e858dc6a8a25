import pytest
import torch

from spatialfoley.codecs.mel import MelConfig, MelSpectrogram
from spatialfoley.evaluation.metrics.mel_inversion import invent_phases, linear_magnitudes, random_phases

LOW, HIGH = MelConfig.mmaudio_16k(), MelConfig.mmaudio_44k()
BOTH = pytest.mark.parametrize("config", [LOW, HIGH], ids=["16k", "44k"])


def noise(samples: int, seed: int = 5) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def magnitudes_of(samples: torch.Tensor, config: MelConfig, frames: int) -> torch.Tensor:
    return linear_magnitudes(MelSpectrogram(config)(samples)[..., :frames], config)


@BOTH
def test_magnitudes_explain_the_mel_and_are_not_negative(config: MelConfig) -> None:
    mel = MelSpectrogram(config)(noise(config.rate_hz))
    magnitudes = linear_magnitudes(mel, config)
    bands = MelSpectrogram(config).filters @ magnitudes
    again = bands.log10() if config.log == "log10" else bands.log()
    assert magnitudes.min() >= 0
    assert (again - mel).abs().mean() < 0.01


@BOTH
def test_a_wave_in_its_own_phases_comes_back(config: MelConfig) -> None:
    samples = noise(40 * config.hop_samples)
    padding = config.padding_samples
    mirrored = torch.nn.functional.pad(samples[None], (padding, padding), mode="reflect")
    window = torch.hann_window(config.fft_samples)
    spectrum = torch.stft(
        mirrored, config.fft_samples, config.hop_samples, window=window, center=False, return_complex=True
    )
    phases = spectrum / spectrum.abs().clamp(min=1e-12)
    again = invent_phases(spectrum.abs(), phases, config, steps=3)
    torch.testing.assert_close(again[0], samples, atol=1e-4, rtol=0)


def test_a_tone_comes_back_at_its_frequency() -> None:
    times_s = torch.arange(16000) / 16000
    magnitudes = magnitudes_of(0.5 * torch.sin(2 * torch.pi * 500 * times_s), LOW, 62)
    again = invent_phases(magnitudes, random_phases(LOW, 62, 0), LOW)
    loudest_hz = torch.fft.rfft(again).abs().argmax() * 16000 / again.shape[-1]
    assert float(loudest_hz) == pytest.approx(500, abs=25)


@BOTH
def test_a_channel_and_its_opposite_become_the_same_wave(config: MelConfig) -> None:
    """Y of a source on the left and on the right: no decoder of the mel can tell which."""
    samples = noise(30 * config.hop_samples)
    start = random_phases(config, 30, 0)
    left, right = (
        invent_phases(magnitudes_of(side * 0.7 * samples, config, 30), start, config, steps=4)
        for side in (1, -1)
    )
    assert torch.equal(left, right)


def test_channels_that_start_alike_end_in_proportion_and_others_do_not() -> None:
    magnitudes = magnitudes_of(noise(30 * 256), LOW, 30)
    pair = torch.stack([magnitudes, 0.25 * magnitudes])
    alike = invent_phases(pair, random_phases(LOW, 30, 0), LOW)
    torch.testing.assert_close(alike[1], 0.25 * alike[0], atol=1e-5, rtol=1e-3)
    apart = invent_phases(pair, torch.stack([random_phases(LOW, 30, seed) for seed in (0, 1)]), LOW)
    assert abs(torch.corrcoef(apart)[0, 1]) < 0.3


def test_wrong_shapes_are_said() -> None:
    with pytest.raises(ValueError, match=r"mel has shape \(4, 7\); it must be \(\.\.\., 80, frames\)"):
        linear_magnitudes(torch.zeros(4, 7), LOW)
    with pytest.raises(ValueError, match=r"magnitudes has shape \(4, 7\)"):
        invent_phases(torch.zeros(4, 7), random_phases(LOW, 7, 0), LOW)
