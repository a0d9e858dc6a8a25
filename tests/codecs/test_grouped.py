"""Groups of codec frames: the codes of each channel side by side, and back."""

import pytest
import torch

from spatialfoley.codecs.grouped import GroupedCodec, group_codes, ungroup_codes
from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig


def test_a_group_is_ordered_by_channel_then_frame_then_level() -> None:
    """Two frames of two channels of two levels; a code is written as channel, frame, level."""
    codes = torch.tensor([[[0, 1, 100, 101], [10, 11, 110, 111]]])
    assert group_codes(codes, 2, 2).tolist() == [[[0, 1, 10, 11, 100, 101, 110, 111]]]


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("group", [1, 2, 5])
@pytest.mark.parametrize("frames", [1, 4, 10, 11])
def test_ungrouping_gives_the_codes_back(levels: int, channels: int, group: int, frames: int) -> None:
    codes = torch.randint(1000, (2, frames, channels * levels))
    grouped = group_codes(codes, levels, group)
    assert grouped.shape == (2, -(-frames // group), channels * group * levels)
    back = ungroup_codes(grouped, levels, group)
    assert torch.equal(back[:, :frames], codes)
    assert torch.equal(back[:, frames:], codes[:, -1:].expand_as(back[:, frames:]))
    assert torch.equal(group_codes(back, levels, group), grouped)


def test_the_last_group_can_be_filled_with_a_token() -> None:
    grouped = group_codes(torch.arange(6).view(1, 3, 2), 1, 2, filling=-1)
    assert grouped.tolist() == [[[0, 2, 1, 3], [4, -1, 5, -1]]]


@pytest.mark.parametrize("samples", [16_000, 16_001, 700])
def test_the_grouped_codec_makes_the_sound_of_the_codec(samples: int) -> None:
    codec = TinyCodec(TinyCodecConfig(width=8, blocks=1, latent_dim=4, shape_levels=2, vocabulary_size=8))
    grouped = GroupedCodec(codec, 5).to("cpu")
    assert (grouped.rate_hz, grouped.hop_samples, grouped.frame_rate_hz) == (16_000, 1600, 10)
    assert (grouped.levels, grouped.vocabulary_size) == (15, codec.vocabulary_size)
    sound = torch.randn(2, 4, samples, generator=torch.Generator().manual_seed(0)) / 10
    codes = grouped.encode(sound)
    assert codes.shape == (2, -(-samples // 1600), 60)
    made = grouped.decode(codes)
    assert made.shape == (2, 4, codes.shape[1] * 1600)
    # The last frames hear what follows them: nothing, or their own repetition.
    alone = codec.decode(codec.encode(sound))
    whole = alone.shape[2] - 3 * codec.hop_samples
    assert torch.allclose(made[..., :whole], alone[..., :whole], atol=1e-6)


def test_bad_groups_get_one_sentence() -> None:
    codec = TinyCodec(TinyCodecConfig(width=8, blocks=1, latent_dim=4, shape_levels=1, vocabulary_size=8))
    for frames in (0, 3):
        with pytest.raises(
            ValueError, match=rf"frames is {frames}, but must .* divide the codec's 50 frames"
        ):
            GroupedCodec(codec, frames)
    with pytest.raises(ValueError, match=r"codes has the shape \(1, 3, 5\), but must be .* a multiple of 2"):
        group_codes(torch.zeros(1, 3, 5, dtype=torch.long), 2, 2)
    with pytest.raises(ValueError, match="a multiple of 4, which is levels times frames"):
        ungroup_codes(torch.zeros(1, 3, 6, dtype=torch.long), 2, 2)
    with pytest.raises(ValueError, match="must be at least 1 each"):
        group_codes(torch.zeros(1, 3, 4, dtype=torch.long), 1, 0)
