import math
from dataclasses import replace

import pytest
import torch

from spatialfoley.codecs.mel import MelConfig, MelSpectrogram, mel_filters

LOW, HIGH = MelConfig.mmaudio_16k(), MelConfig.mmaudio_44k()
BOTH = pytest.mark.parametrize("config", [LOW, HIGH], ids=["16k", "44k"])


def tone(config: MelConfig, frequency_hz: float, peak: float = 0.5, samples: int = 8192) -> torch.Tensor:
    times_s = torch.arange(samples, dtype=torch.float64) / config.rate_hz
    return (peak * torch.sin(2 * math.pi * frequency_hz * times_s)).float()


def noise(*shape: int) -> torch.Tensor:
    return 0.4 * torch.randn(shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("config", "silence"), [(LOW, -5.0), (HIGH, -11.512925)], ids=["16k", "44k"])
def test_silence_is_the_least_magnitude_in_every_band(config: MelConfig, silence: float) -> None:
    mel = MelSpectrogram(config)(torch.zeros(8000))
    torch.testing.assert_close(mel, torch.full_like(mel, silence), atol=1e-5, rtol=0)
    assert config.log_silence == pytest.approx(silence, abs=1e-6)


@pytest.mark.parametrize(
    ("config", "frequency_hz", "band"),
    # 1 kHz is step 15 of the scale; 16k has 45.25 steps in 81 parts: 26.85 parts up, nearest centre 27 of
    # band 26. 44k has 59.99 in 129: 32.26, band 31. 200 Hz is step 3: 5.37 parts, band 4.
    [(LOW, 1000.0, 26), (HIGH, 1000.0, 31), (LOW, 200.0, 4)],
    ids=["16k 1 kHz", "44k 1 kHz", "16k 200 Hz"],
)
def test_a_tone_stands_in_its_band(config: MelConfig, frequency_hz: float, band: int) -> None:
    mel = MelSpectrogram(config)(tone(config, frequency_hz))
    assert set(mel.argmax(dim=0).tolist()[1:-1]) == {band}


@pytest.mark.parametrize(
    ("config", "step"), [(LOW, math.log10(2)), (HIGH, math.log(2))], ids=["log10", "natural"]
)
def test_twice_the_level_adds_the_logarithm_of_two(config: MelConfig, step: float) -> None:
    front_end = MelSpectrogram(config)
    rise = front_end(tone(config, 1000.0, 0.5)) - front_end(tone(config, 1000.0, 0.25))
    band = front_end(tone(config, 1000.0)).mean(dim=1).argmax()
    torch.testing.assert_close(rise[band], torch.full_like(rise[band], step), atol=1e-4, rtol=0)


@BOTH
def test_polarity_is_lost(config: MelConfig) -> None:
    front_end, samples = MelSpectrogram(config), noise(2, 9000)
    assert torch.equal(front_end(samples), front_end(-samples))


@BOTH
def test_samples_beyond_full_scale_are_clipped(config: MelConfig) -> None:
    front_end, samples = MelSpectrogram(config), 5.0 * noise(9000)
    assert torch.equal(front_end(samples), front_end(samples.clamp(-1.0, 1.0)))


@pytest.mark.parametrize(
    ("config", "samples", "frames"),
    [(LOW, 128000, 500), (HIGH, 353280, 690), (LOW, 1023, 3), (LOW, 1024, 4)],
    ids=["16k 8 s", "44k 8 s", "one short of a frame", "whole frames"],
)
def test_frames_are_whole_hops(config: MelConfig, samples: int, frames: int) -> None:
    assert MelSpectrogram(config)(noise(samples)).shape == (config.mel_bands, frames)


def test_leading_axes_are_kept() -> None:
    front_end, samples = MelSpectrogram(LOW), noise(2, 3, 2048)
    mel = front_end(samples)
    assert mel.shape == (2, 3, 80, 8)
    torch.testing.assert_close(mel[1, 2], front_end(samples[1, 2]), atol=1e-6, rtol=0)


def test_filters_have_unit_area() -> None:
    # The low bands are narrower than a few bins, where a sum over bins is no integral.
    area = mel_filters(HIGH).sum(dim=1) * HIGH.rate_hz / HIGH.fft_samples
    torch.testing.assert_close(area[64:], torch.ones(64), atol=1e-2, rtol=0)


@BOTH
def test_too_short_audio_is_refused(config: MelConfig) -> None:
    least = config.padding_samples + 1
    assert MelSpectrogram(config)(noise(least)).shape[-1] == least // config.hop_samples
    with pytest.raises(ValueError, match=f"samples holds {least - 1} samples; .* at least {least}"):
        MelSpectrogram(config)(noise(least - 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log": "log2"}, "log is 'log2'"),
        ({"hop_samples": 0}, "hop_samples is 0"),
        ({"mel_bands": 0}, "mel_bands is 0"),
        ({"highest_hz": 9000.0}, r"0.0 to 9000.0 Hz; .* 8000.0 Hz"),
    ],
    ids=["log", "hop", "bands", "range"],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(LOW, **change)  # type: ignore[arg-type]
