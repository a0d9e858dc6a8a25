"""The plain codec and the reader of stored codecs: what must hold whatever the weights, and what a lesson gives."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spatialfoley.codecs.plain import PlainCodec, PlainCodecConfig, _drawn_together
from spatialfoley.codecs.residual_quantizer import ResidualQuantizer
from spatialfoley.codecs.stored import load_stored_codec
from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig

CONFIG = PlainCodecConfig(width=32, blocks=1, latent_dim=8, levels=2, vocabulary_size=64)


@pytest.fixture
def codec() -> PlainCodec:
    torch.manual_seed(0)
    return PlainCodec(CONFIG).eval()


def sound(samples: int = 3200, clips: int = 2) -> torch.Tensor:
    return torch.randn(clips, 4, samples, generator=torch.Generator().manual_seed(3)) * 0.1


def stored(folder: Path, codec: nn.Module, settings: dict[str, object]) -> Path:
    folder.mkdir()
    (folder / "codec.json").write_text(json.dumps(settings), encoding="utf-8")
    save_file(
        {name: value.contiguous() for name, value in codec.state_dict().items()}, folder / "codec.safetensors"
    )
    return folder


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 3200])
def test_every_length_is_covered_by_whole_frames(codec: PlainCodec, samples: int) -> None:
    codes = codec.encode(sound(samples))
    frames = -(-samples // 320)
    assert codes.shape == (2, frames, 8)
    assert codes.dtype == torch.int64
    assert codec.decode(codes).shape == (2, 4, frames * 320)


def test_what_the_codec_says_of_itself(codec: PlainCodec) -> None:
    said = (codec.rate_hz, codec.hop_samples, codec.frame_rate_hz, codec.levels, codec.vocabulary_size)
    assert said == (16000, 320, 50, 2, 64)
    assert TinyCodec(TinyCodecConfig(width=8, blocks=1, vocabulary_size=64)).vocabulary_size == 101, "ratios"
    assert TinyCodec(TinyCodecConfig(width=8, blocks=1, vocabulary_size=512)).vocabulary_size == 512


def test_codes_are_channel_major_and_a_channel_is_coded_as_if_alone(codec: PlainCodec) -> None:
    field = sound()
    codes = codec.encode(field)
    other = field.flip(1)
    assert torch.equal(codec.encode(other).unflatten(2, (4, 2)), codes.unflatten(2, (4, 2)).flip(2))
    decoded = codec.decode(codes)
    changed = codes.clone()
    changed[..., 4:6] = 0
    kept = [0, 1, 3]
    assert torch.equal(codec.decode(changed)[:, kept], decoded[:, kept])
    assert not torch.allclose(codec.decode(changed)[:, 2], decoded[:, 2])


def test_equal_sounds_have_equal_codes(codec: PlainCodec) -> None:
    assert torch.equal(codec.encode(sound()), codec.encode(sound()))
    one_of_two = codec.encode(sound())[1:]
    assert torch.equal(codec.encode(sound()[1:]), one_of_two)


def test_the_front_end_halves_levels_in_decibels_and_keeps_signs() -> None:
    drawn = _drawn_together(torch.tensor([1.0, -1e-4, 0.0, 1e-12]))
    assert drawn.tolist() == pytest.approx([1.0, -1e-2, 0.0, 1e-8], rel=1e-4)


def test_tokens_sum_up_entries_of_every_level() -> None:
    quantizer = ResidualQuantizer(2, 4, 2)
    quantizer.codebooks = torch.tensor(
        [[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [-4.0, 0.0]], [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]]
    )
    z = torch.tensor([[4.1, 0.9], [-3.9, -1.2], [0.1, 0.2]])
    codes = quantizer.encode(z)
    assert codes.tolist() == [[1, 2], [3, 3], [0, 0]]
    assert quantizer.decode(codes).tolist() == [[4.0, 1.0], [-4.0, -1.0], [0.0, 0.0]]
    passed, commitment = quantizer.train_step(z)
    assert torch.allclose(passed, torch.tensor([[4.0, 1.0], [-4.0, -1.0], [0.0, 0.0]]), atol=1e-6)
    assert commitment > 0


def test_a_frozen_codebook_stays_and_another_follows_what_it_stands_for() -> None:
    torch.manual_seed(1)
    quantizer, z = ResidualQuantizer(1, 8, 2), torch.randn(64, 2) * 2
    before = {name: buffer.clone() for name, buffer in quantizer.named_buffers()}
    quantizer.frozen = True
    quantizer.train_step(z)
    assert all(torch.equal(buffer, before[name]) for name, buffer in quantizer.named_buffers())
    quantizer.frozen = False
    error = [float((quantizer.train_step(z)[0] - z).square().mean()) for _ in range(200)]
    assert error[-1] < 0.7 * error[0]


def test_a_lesson_teaches_levels_down_to_silence() -> None:
    """A sound, the same 30 dB below, and nothing: three levels come back from one codec, in the right order."""
    torch.manual_seed(2)
    codec = PlainCodec(dataclasses.replace(CONFIG, levels=1, vocabulary_size=32))
    tone = 0.2 * torch.sin(torch.arange(1600) * 0.2)
    lesson = torch.stack([tone, tone * 10 ** (-30 / 20), torch.zeros(1600)])
    optimizer = torch.optim.Adam(codec.parameters(), lr=5e-3)
    for _ in range(80):
        back, commitment = codec.reconstruct(lesson)
        # Each crop by its own loudness, and in decibels what is far from it: else the loud one alone would count.
        error = (back - lesson).square().mean(-1)
        energies = [sound.square().mean(-1) + 1e-8 for sound in (back, lesson)]
        level = (energies[0] / energies[1]).log().abs()
        loss = (error / sum(energies) + 0.2 * level).mean() + commitment
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    field = torch.stack([lesson[0], lesson[1], lesson[2], lesson[1]])[None]
    levels = codec.eval().decode(codec.encode(field))[0, :, 320:-320].square().mean(-1).sqrt()
    loud, quiet, silent, quiet_too = (20 * levels.log10()).tolist()
    assert loud == pytest.approx(-17, abs=3)
    assert quiet == pytest.approx(-47, abs=4)
    assert quiet_too == quiet
    assert silent < -60


def test_both_kinds_are_read_from_their_folders(codec: PlainCodec, tmp_path: Path) -> None:
    plain = stored(tmp_path / "plain", codec, dataclasses.asdict(CONFIG))
    again = load_stored_codec(plain)
    assert isinstance(again, PlainCodec)
    assert again.config == CONFIG
    assert torch.equal(again.encode(sound()), codec.encode(sound()))
    config = TinyCodecConfig(width=8, blocks=1, latent_dim=4, vocabulary_size=16)
    tiny = stored(tmp_path / "tiny", TinyCodec(config), dataclasses.asdict(config))
    assert isinstance(load_stored_codec(tiny), TinyCodec)
    with pytest.raises(
        ValueError, match="plain holds a codec of the kind 'plain', but a tiny codec is needed"
    ):
        TinyCodec.load(plain)


def test_bad_input_is_one_sentence(codec: PlainCodec, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3, 100\).*\[batch, 4, time\]"):
        codec.encode(torch.zeros(2, 3, 100))
    with pytest.raises(ValueError, match=r"must be \[batch, frames, 8\]"):
        codec.decode(torch.zeros(1, 5, 4, dtype=torch.long))
    with pytest.raises(ValueError, match="codes must lie in 0 to 63, but span 0 to 64"):
        codec.decode(torch.tensor([[[0] * 7 + [64]]]))
    with pytest.raises(ValueError, match="levels is 0; it must be at least 1"):
        PlainCodecConfig(levels=0)
    with pytest.raises(ValueError, match=r"holds no codec\.json and codec.safetensors"):
        load_stored_codec(tmp_path)
    strange = stored(tmp_path / "strange", codec, dataclasses.asdict(CONFIG) | {"kind": "opus"})
    with pytest.raises(ValueError, match=r"kind in .*codec\.json is 'opus'; it must be 'plain', or left out"):
        load_stored_codec(strange)
