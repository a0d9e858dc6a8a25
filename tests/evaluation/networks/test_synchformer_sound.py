import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import ASTConfig, ASTModel
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from spatialfoley.evaluation.networks.synchformer_sound import (
    SoundBranch,
    SoundConfig,
    log_mel_segments,
    mel_filters,
    segment_count,
)

TINY = SoundConfig(width=16, layers=2, heads=2, mel_bands=36)
# Of the spellings of transformers, which has the same network under other names.
_NAMES = (
    ("encoder.layer.", "layers."),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)


def random_branch(config: SoundConfig = TINY) -> SoundBranch:
    generator = torch.Generator().manual_seed(0)
    model = SoundBranch(config).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


def transformers_twin(model: SoundBranch) -> ASTModel:
    c = model.config
    twin = ASTModel(
        ASTConfig(
            hidden_size=c.width,
            num_hidden_layers=c.layers,
            num_attention_heads=c.heads,
            intermediate_size=int(c.width * c.mlp_ratio),
            num_mel_bins=c.mel_bands,
            max_length=c.frames,
        )
    ).eval()
    state = {}
    for key, value in model.ast.state_dict().items():
        for ours, theirs in _NAMES:
            key = key.replace(ours, theirs)
        state[key] = value
    twin.load_state_dict(state, strict=True)
    return twin


def noise(seconds: float, seed: int = 3) -> Tensor:
    return torch.randn(round(seconds * 16000), generator=torch.Generator().manual_seed(seed)) * 0.1


@torch.no_grad()
def test_spectrogram_transformer_is_that_of_transformers() -> None:
    model = random_branch()
    x = torch.randn(3, TINY.mel_bands, TINY.frames, generator=torch.Generator().manual_seed(1))
    expected = transformers_twin(model)(x.transpose(1, 2)).last_hidden_state
    torch.testing.assert_close(model.ast(x), expected, atol=2e-6, rtol=2e-6)


@torch.no_grad()
def test_branch_is_the_transformer_and_a_layer_over_the_frequencies_of_each_moment() -> None:
    model = random_branch()
    x = torch.randn(2, 3, TINY.mel_bands, TINY.frames, generator=torch.Generator().manual_seed(1))
    layer = nn.TransformerEncoderLayer(
        16, 2, 64, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    state = model.freq_attn_agg.state_dict()
    first = state.pop("cls_token")
    layer.load_state_dict(state)
    twin, found = transformers_twin(model), model(x)
    assert found.shape == (2, 3, 6, 16)
    for clip in range(2):
        for segment in range(3):
            tokens = twin(x[clip, segment].T[None]).last_hidden_state[0, 2:]
            for time in range(6):
                of_moment = torch.stack([tokens[band * 6 + time] for band in range(TINY.frequency_patches)])
                expected = layer(torch.cat([first, of_moment[None]], dim=1))[0, 0]
                torch.testing.assert_close(found[clip, segment, time], expected, atol=3e-6, rtol=3e-6)


def test_front_end_is_that_of_an_independent_implementation() -> None:
    mono = noise(1.3)
    filters = mel_filter_bank(513, 128, 0.0, 8000.0, 16000, norm=None, mel_scale="htk")
    np.testing.assert_allclose(mel_filters(128).numpy(), filters.T, atol=1e-6)
    found = log_mel_segments(mono)
    assert found.shape == (3, 128, 66)
    for segment in range(3):
        power = spectrogram(
            mono[segment * 5120 :][:10240].double().numpy(),
            window_function(400, "hann"),
            frame_length=400,
            hop_length=160,
            fft_length=1024,
            power=2.0,
            pad_mode="reflect",
            mel_filters=filters,
            mel_floor=0.0,
        )
        expected = (np.log(power + 1e-6) + 4.2677393) / (2 * 4.5689974)
        np.testing.assert_allclose(found[segment, :, :65].numpy(), expected, atol=2e-4)


def test_silence_and_the_frame_that_is_filled_in() -> None:
    found = log_mel_segments(torch.zeros(10240))
    silence = (math.log(1e-6) + 4.2677393) / (2 * 4.5689974)
    torch.testing.assert_close(found[:, :, :65], torch.full((1, 128, 65), silence))
    torch.testing.assert_close(found[:, :, 65], torch.full((1, 128), 4.2677393 / (2 * 4.5689974)))


def test_a_tone_is_loudest_in_the_band_around_it_and_a_click_at_its_time() -> None:
    time_s = torch.arange(10240) / 16000
    tone = log_mel_segments(torch.sin(2 * torch.pi * 1000 * time_s))[0, :, 30]
    centres_mel = torch.linspace(0, 2595 * math.log10(1 + 8000 / 700), 130)[1:-1]
    assert int(tone.argmax()) == int((centres_mel - 2595 * math.log10(1 + 1000 / 700)).abs().argmin())
    click = torch.zeros(10240)
    click[4800] = 1.0
    assert int(log_mel_segments(click)[0].mean(dim=0)[:65].argmax()) == 30


@pytest.mark.parametrize(("samples", "count"), [(128000, 24), (80000, 14), (10240, 1), (10239, 0), (0, 0)])
def test_segments_of_8_and_5_seconds(samples: int, count: int) -> None:
    assert segment_count(samples) == count
    if count:
        assert len(log_mel_segments(torch.zeros(samples))) == count


def test_each_segment_is_heard_alone() -> None:
    mono = noise(1.6)
    together = log_mel_segments(mono)
    torch.testing.assert_close(together[2], log_mel_segments(mono[10240:20480])[0])


def test_what_cannot_be_heard_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"shape \(10239,\); give one waveform \(N,\) of at least 10240 samples"
    ):
        log_mel_segments(torch.zeros(10239))
    with pytest.raises(ValueError, match=r"mono has shape \(1, 16000\)"):
        log_mel_segments(torch.zeros(1, 16000))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"width is 10; it must be a multiple of heads \(4\)"):
        SoundConfig(width=10, heads=4)
    with pytest.raises(
        ValueError, match="spectrogram of 8 bands and 66 frames is smaller than one patch of 16"
    ):
        SoundConfig(mel_bands=8)
    with pytest.raises(ValueError, match="frames is 64, but a segment has 65"):
        SoundConfig(frames=64)
