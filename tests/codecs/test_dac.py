import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import DacConfig, DacModel

from spatialfoley.codecs.dac import DacCodec

LEVELS = 3


def random_network(strides: tuple[int, ...] = (2, 4), rate_hz: int = 16000) -> DacModel:
    torch.manual_seed(0)
    config = DacConfig(
        encoder_hidden_size=8,
        downsampling_ratios=strides,
        decoder_hidden_size=32,
        n_codebooks=LEVELS,
        codebook_size=64,
        sampling_rate=rate_hz,
    )
    return DacModel(config).eval()


def write_folder(folder: Path, network: DacModel) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(network.config.to_dict()))
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder


def random_audio(channels: int = 4, samples: int = 83) -> torch.Tensor:
    return torch.randn(2, channels, samples, generator=torch.Generator().manual_seed(3)) * 0.3


def test_sizes_follow_from_the_settings(tmp_path: Path) -> None:
    codec = DacCodec.load(write_folder(tmp_path / "dac", random_network((2, 4), 44100)))
    assert (codec.rate_hz, codec.hop_samples, codec.levels) == (44100, 8, LEVELS)


def test_nominal_frame_rate_is_cut_to_an_integer() -> None:
    codec = DacCodec(random_network((2, 4, 8, 8), 44100))
    assert (codec.hop_samples, codec.frame_rate_hz) == (512, 86)


def test_codes_cover_the_last_samples_and_stand_channel_by_channel() -> None:
    codec, audio = DacCodec(random_network()), random_audio()
    codes = codec.encode(audio)
    assert codes.shape == (2, 11, 4 * LEVELS)
    assert codes.dtype == torch.int64
    assert torch.equal(codes[:, :, LEVELS : 2 * LEVELS], codec.encode(audio[:, 1:2]))


def test_padding_is_silence() -> None:
    codec, audio = DacCodec(random_network()), random_audio()
    assert torch.equal(codec.encode(audio), codec.encode(torch.cat([audio, torch.zeros(2, 4, 5)], dim=-1)))


def test_decoded_channels_stay_apart() -> None:
    codec = DacCodec(random_network())
    codes = codec.encode(random_audio())
    audio = codec.decode(codes)
    assert audio.shape == (2, 4, 88)
    torch.testing.assert_close(audio[:, 2:3], codec.decode(codes[:, :, 2 * LEVELS : 3 * LEVELS]))
    assert not torch.allclose(audio[:, 0], audio[:, 1])


def test_codec_with_an_odd_stride_still_gives_whole_frames() -> None:
    codec = DacCodec(random_network((2, 5)))
    codes = torch.zeros(1, 7, LEVELS, dtype=torch.int64)
    assert codec.decode(codes).shape == (1, 1, 7 * codec.hop_samples)


def test_folder_and_network_agree(tmp_path: Path) -> None:
    network = random_network()
    codes = DacCodec(network).encode(random_audio())
    assert torch.equal(DacCodec.load(write_folder(tmp_path / "dac", network)).encode(random_audio()), codes)


def test_file_that_only_resembles_the_original_layout(tmp_path: Path) -> None:
    weights = {"encoder.block.3.bias": torch.zeros(4), "decoder.model.0.bias": torch.zeros(4)}
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": weights, "metadata": {"kwargs": {"sample_rate": 44100}}}, path)
    with pytest.raises(ValueError, match=r"weights\.pth does not look like a DAC checkpoint"):
        DacCodec.load(path)


def test_missing_and_unexpected_keys_are_listed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "dac", random_network())
    state = random_network().state_dict()
    state["encoder.surplus"] = state.pop("encoder.conv1.bias")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"1 missing \(encoder\.conv1\.bias\), 1 unexpected \(encoder\.surplus\)"
    ):
        DacCodec.load(folder)


def test_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no config.json"):
        DacCodec.load(tmp_path)
    with pytest.raises(ValueError, match=r"nothing.pth is no file"):
        DacCodec.load(tmp_path / "nothing.pth")


def test_nan_is_refused() -> None:
    audio = random_audio()
    audio[0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="samples holds NaN or infinite values"):
        DacCodec(random_network()).encode(audio)


def test_tokens_out_of_range_are_refused() -> None:
    codes = torch.full((1, 2, LEVELS), 64)
    with pytest.raises(ValueError, match="codes must lie in 0 to 63, but span 64 to 64"):
        DacCodec(random_network()).decode(codes)
