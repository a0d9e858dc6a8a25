"""Sound through a second codec: direction, levels, times, lengths and silence are kept, whatever the codec."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import DacConfig, DacModel

from spatialfoley.codecs.chain import (
    CHAIN_CODECS,
    ChainedCodec,
    ChainSettings,
    chain_names,
    chained,
    chained_blocks,
    load_chain_codec,
)
from spatialfoley.codecs.dac import DacCodec
from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.codecs.unicodec_config import UniCodecConfig
from spatialfoley.codecs.unicodec_network import UniCodecNetwork
from spatialfoley.spatial.direction import Direction, angle_between_deg
from spatialfoley.spatial.energy_map import covariance, energy_map, peak_direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import ComputedSound, SpatialAudio


class WholeNumbers:
    """A codec with a known answer: samples as whole numbers of 20 bits, later by some samples."""

    def __init__(self, rate_hz: int, delay_samples: int = 0) -> None:
        self.rate_hz, self.delay_samples = rate_hz, delay_samples
        self.heard: list[Tensor] = []

    def encode(self, samples: Tensor) -> Tensor:
        self.heard.append(samples)
        return (samples * 2**19).round().long()

    def decode(self, codes: Tensor) -> Tensor:
        sound = codes.float() / 2**19
        return nn.functional.pad(sound, (self.delay_samples, 0))[..., : sound.shape[-1]]

    def as_link(self) -> ChainedCodec:
        return ChainedCodec("whole numbers", self, self.delay_samples)


def small_unicodec() -> UniCodec:
    torch.manual_seed(0)
    config = UniCodecConfig(
        first_width=4,
        width=32,
        layers=1,
        expert_width=48,
        codebook_size=64,
        backbone_width=64,
        backbone_inner_width=48,
        backbone_layers=1,
    )
    return UniCodec(UniCodecNetwork(config))


def noise(samples: int, rate_hz: int, below_hz: float = 8000.0, seed: int = 0) -> NDArray[np.float32]:
    """Band-limited noise that begins and ends in silence."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    spectrum[np.fft.rfftfreq(samples, 1 / rate_hz) > below_hz] = 0
    sound = 0.1 * np.fft.irfft(spectrum, samples)
    ramp = np.clip(np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.05 * rate_hz), 0, 1)
    return (sound * np.sin(0.5 * np.pi * ramp) ** 2).astype(np.float32)


def plane_wave(direction: Direction, samples: int = 32000, rate_hz: int = 16000) -> SpatialAudio:
    return SpatialAudio(encode(noise(samples, rate_hz, 6000.0), direction.vector()), rate_hz, "foa")


def error_db(made: SpatialAudio, wanted: SpatialAudio) -> float:
    difference = np.square(made.samples - wanted.samples).sum() / np.square(wanted.samples).sum()
    return float(10 * np.log10(difference + 1e-20))


@pytest.mark.parametrize(
    ("azimuth_deg", "elevation_deg"), [(0, 0), (90, 0), (40, 20), (-135, -50), (180, 80)]
)
def test_a_plane_wave_keeps_its_direction_through_the_odd_codec(azimuth_deg: int, elevation_deg: int) -> None:
    direction = Direction(azimuth_deg, elevation_deg)
    back = chained(plane_wave(direction), load_chain_codec("tiny"))
    peak = peak_direction(energy_map(covariance(back.samples)))
    assert float(angle_between_deg(peak.vector(), direction.vector())) < 1.5


@pytest.mark.parametrize("level_db", [0.0, -20.0, -45.0])
def test_ratios_of_channel_levels_are_kept_through_the_odd_codec(level_db: float) -> None:
    field = plane_wave(Direction(25.0, -35.0)).scaled(10 ** (level_db / 20))
    back = chained(field, load_chain_codec("tiny"))
    wanted, made = (np.linalg.norm(sound.samples, axis=1) for sound in (field, back))
    np.testing.assert_allclose(made[1:] / made[0], wanted[1:] / wanted[0], atol=0.01)
    assert abs(20 * np.log10(made[0] / wanted[0])) < 1.0


def test_all_channels_are_scaled_by_one_gain_before_they_are_coded() -> None:
    codec = WholeNumbers(16000)
    field = plane_wave(Direction(60.0, 10.0)).scaled(0.01)
    chained(field, codec.as_link())
    heard = codec.heard[0][0].numpy()
    gains = np.linalg.norm(heard, axis=1) / np.linalg.norm(field.samples, axis=1)
    np.testing.assert_allclose(gains, gains[0], rtol=1e-5)
    assert np.abs(heard[0]).max() == pytest.approx(0.7, rel=1e-4)


def test_the_gain_does_not_depend_on_how_a_field_is_turned() -> None:
    levels = []
    for azimuth_deg in (0.0, 33.0, 90.0):
        codec = WholeNumbers(16000)
        chained(plane_wave(Direction(azimuth_deg)), codec.as_link())
        levels.append(float(codec.heard[0][0, 0].abs().max()))
    np.testing.assert_allclose(levels, levels[0], rtol=1e-5)


@pytest.mark.parametrize("gain", [0.25, 2.0**-12, 8.0])
def test_any_codec_becomes_equivariant_to_gain(gain: float) -> None:
    link = ChainedCodec("unicodec", small_unicodec())
    field = plane_wave(Direction(40.0, 10.0), samples=6000)
    back = chained(field, link)
    assert back.peak > 0.01 * field.peak
    np.testing.assert_array_equal(chained(field.scaled(gain), link).samples, back.scaled(gain).samples)


@pytest.mark.parametrize("rate_hz", [16000, 22050, 44100, 48000])
@pytest.mark.parametrize("codec_rate_hz", [24000, 44100])
@pytest.mark.parametrize("delay_samples", [0, 101])
def test_every_sample_stays_at_its_time(rate_hz: int, codec_rate_hz: int, delay_samples: int) -> None:
    samples = np.stack([noise(rate_hz + 37, rate_hz, 6500.0, seed) for seed in range(2)])
    audio = SpatialAudio(samples, rate_hz, "binaural")
    back = chained(audio, WholeNumbers(codec_rate_hz, delay_samples).as_link())
    assert back.samples.shape == audio.samples.shape
    assert (back.rate_hz, back.layout) == (rate_hz, "binaural")
    # Late by half a sample, the error would be above -15 dB at all of these rates.
    assert error_db(back, audio) < -60.0


def test_long_sounds_are_coded_in_windows_that_do_not_show() -> None:
    settings = ChainSettings(window_s=2, margin_s=1)
    rate_hz = 22050
    long = SpatialAudio(noise(rate_hz * 11 + 5, rate_hz, 6500.0)[None], rate_hz, "mono")
    codec = WholeNumbers(24000, 50)
    back = chained(long, codec.as_link(), settings)
    assert len(codec.heard) == 5
    assert max(part.shape[-1] for part in codec.heard) <= 5 * 24000 + 100
    assert back.frames == long.frames
    assert error_db(back, long) < -60.0


def test_windows_do_not_depend_on_the_blocks_in_which_a_sound_comes() -> None:
    settings = ChainSettings(window_s=1, margin_s=1)
    audio = SpatialAudio(noise(16000 * 6 + 11, 16000)[None], 16000, "mono")
    link = ChainedCodec("unicodec", small_unicodec())
    expected = chained(audio, link, settings).samples

    def pieces() -> Iterator[NDArray[np.float32]]:
        return audio.blocks(1234)

    computed = ComputedSound(16000, "mono", audio.frames, pieces)
    made = np.concatenate(list(chained_blocks(computed, link, settings)), axis=1)
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("samples", [1, 2, 100, 16001])
def test_silence_stays_silence(samples: int) -> None:
    link = ChainedCodec("unicodec", small_unicodec())
    back = chained(SpatialAudio(np.zeros((4, samples), np.float32), 16000, "foa"), link)
    assert back.samples.shape == (4, samples)
    assert not back.samples.any()


def test_silent_channels_and_silent_moments_stay_silent() -> None:
    field = np.zeros((4, 32000), np.float32)
    field[0, 8000:16000] = field[3, 8000:16000] = noise(8000, 16000)
    back = chained(SpatialAudio(field, 16000, "foa"), ChainedCodec("unicodec", small_unicodec())).samples
    assert not back[1:3].any()
    assert not back[:, :7500].any()
    assert not back[:, 16500:].any()
    assert back[0, 8000:16000].any()


@pytest.mark.parametrize("samples", [1, 3, 319, 5000])
def test_short_sounds_keep_their_length(samples: int) -> None:
    audio = SpatialAudio(np.full((1, samples), 0.1, np.float32), 48000, "mono")
    assert chained(audio, ChainedCodec("unicodec", small_unicodec())).frames == samples
    assert (
        chained(SpatialAudio(audio.samples[:, :0], 48000, "mono"), WholeNumbers(24000).as_link()).frames == 0
    )


def test_dac_has_no_delay() -> None:
    """With symmetric kernels, a sound played backwards comes back backwards: no frame leans to one side."""
    torch.manual_seed(1)
    config = DacConfig(
        encoder_hidden_size=4,
        downsampling_ratios=[2, 4, 8, 8],
        decoder_hidden_size=32,
        n_codebooks=2,
        codebook_size=16,
        sampling_rate=44100,
    )
    model = DacCodec(DacModel(config)).model
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
                layer.weight.add_(layer.weight.flip(-1).clone())
        sound = torch.randn(1, 1, 512 * 6)
        forwards = model.decoder(model.encoder(sound))
        backwards = model.decoder(model.encoder(sound.flip(-1)))
    assert forwards.shape[-1] == 512 * 6
    torch.testing.assert_close(backwards.flip(-1), forwards, atol=1e-4, rtol=1e-3)


def test_the_tiny_codec_has_no_delay() -> None:
    samples = np.zeros(16000, np.float32)
    times = np.arange(4000) / 16000
    for start in (2000, 9000):
        samples[start : start + 4000] += 0.3 * np.sin(2 * np.pi * 440 * times) * np.exp(-times * 20)
    field = SpatialAudio(encode(samples, Direction(0.0).vector()), 16000, "foa")
    back = chained(field, load_chain_codec("tiny"))
    spectra = [np.fft.rfft(sound.samples[0], 32768) for sound in (back, field)]
    product = np.fft.irfft(spectra[0] * spectra[1].conj())
    assert int(np.argmax(product)) == 0


def test_names_of_codecs() -> None:
    assert chain_names("dac") == ("dac_44khz",)
    assert chain_names("unicodec, dac") == ("unicodec", "dac_44khz")
    assert chain_names(CHAIN_CODECS) == CHAIN_CODECS
    for name in ("mp3", ""):
        with pytest.raises(
            ValueError, match=f"chain has the codec '{name}'; it takes dac_44khz, unicodec, tiny"
        ):
            load_chain_codec(name)


def test_a_codec_that_is_not_here_says_how_to_get_it(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(empty))
    monkeypatch.setenv("HF_HUB_CACHE", str(empty))
    with pytest.raises(
        ValueError, match=r"codec unicodec is not on this machine; .*models import unicodec PATH"
    ):
        load_chain_codec("unicodec")


def test_bad_input_is_one_sentence() -> None:
    ears = SpatialAudio(np.ones((2, 100), np.float32), 16000, "binaural")
    with pytest.raises(ValueError, match="codec tiny takes 4 channels, but the sound is binaural and has 2"):
        chained(ears, load_chain_codec("tiny"))
    for settings, message in (
        ({"peak": 0.0}, "peak is 0.0"),
        ({"silence_db": 1.0}, "silence_db is 1.0"),
        ({"window_s": 0}, "window_s is 0"),
        ({"fade_s": 0.8}, "fade_s is 0.8"),
    ):
        with pytest.raises(ValueError, match=message):
            ChainSettings(**settings)  # type: ignore[arg-type]
