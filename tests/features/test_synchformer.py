from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spatialfoley.features.synchformer import (
    SynchformerConfig,
    SynchformerFeatures,
    SynchformerVisual,
    segment_starts,
)

TINY = SynchformerConfig(width=16, layers=1, heads=2, size_px=32)
PATCHES, TIMES = TINY.patches, TINY.segment_tokens


def random_network(config: SynchformerConfig = TINY) -> SynchformerVisual:
    generator = torch.Generator().manual_seed(0)
    model = SynchformerVisual(config).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return model


def random_frames(count: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_eight_seconds_are_24_segments() -> None:
    starts = segment_starts(200)
    assert len(starts) == 24
    assert starts[:3] == [0, 8, 16]
    assert starts[-1] == 184


@pytest.mark.parametrize(("frames", "starts"), [(16, [0]), (23, [0]), (24, [0, 8])])
def test_frames_after_the_last_full_segment_are_left_out(frames: int, starts: list[int]) -> None:
    assert segment_starts(frames) == starts


def test_video_shorter_than_a_segment_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"15 frames \(0\.60 s at 25 frames per second\), fewer than one .* of 16 \(0\.64 s\); give a longer",
    ):
        SynchformerFeatures(random_network())(random_frames(15))


def test_segments_follow_each_other_and_each_is_encoded_alone() -> None:
    encoder = SynchformerFeatures(random_network(), segments_at_once=2)
    frames = random_frames(40, 32, 48)
    together = encoder(frames)
    alone = [encoder(frames[start : start + 16]) for start in (0, 8, 16, 24)]
    assert together.dtype == torch.float32
    assert together.shape == (4 * 8, 16)
    torch.testing.assert_close(together, torch.cat(alone))


def test_encoder_sees_the_centre_in_minus_one_to_one() -> None:
    model, frames = random_network(), random_frames(16, 32, 48)
    x = torch.tensor(frames[:, :, 8:40]).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = model(x[None, None])[0, 0]
    torch.testing.assert_close(SynchformerFeatures(model)(frames), expected, atol=1e-5, rtol=1e-5)


def changed_patches(over_time: bool, time: int, place: int) -> Tensor:
    """Which of the tokens [t, P] change when one patch does."""
    attention = random_network().vfeat_extractor.blocks[0].attn
    x = torch.randn(1, 1 + TIMES * PATCHES, TINY.width, generator=torch.Generator().manual_seed(2))
    other = x.clone()
    other[:, 1 + time * PATCHES + place] += 1
    with torch.no_grad():
        difference = (attention(x, over_time) - attention(other, over_time)).abs().amax(dim=(0, 2))
    assert float(difference[0]) > 0, "the class token sees every patch"
    return difference[1:].reshape(TIMES, PATCHES) > 0


def test_attention_over_time_stays_at_its_place() -> None:
    expected = torch.zeros(TIMES, PATCHES, dtype=torch.bool)
    expected[:, 2] = True
    assert torch.equal(changed_patches(over_time=True, time=5, place=2), expected)


def test_attention_over_space_stays_in_its_frame() -> None:
    expected = torch.zeros(TIMES, PATCHES, dtype=torch.bool)
    expected[5] = True
    assert torch.equal(changed_patches(over_time=False, time=5, place=2), expected)


def test_frame_summary_is_the_class_token_of_a_whole_transformer_layer() -> None:
    summary = random_network().vfeat_extractor.spatial_attn_agg
    layer = nn.TransformerEncoderLayer(
        16, 2, 64, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    state = summary.state_dict()
    first = state.pop("cls_token")
    layer.load_state_dict(state)
    patches = torch.randn(3, PATCHES, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = layer(torch.cat([first.expand(3, -1, -1), patches], dim=1))[:, 0]
        torch.testing.assert_close(summary(patches), expected, atol=1e-6, rtol=1e-5)


def test_file_is_read_without_the_other_branches(tmp_path: Path) -> None:
    model, frames = random_network(), random_frames(16)
    state = {**model.state_dict(), "transformer.off_head.bias": torch.zeros(21)}
    torch.save(state, tmp_path / "synchformer_state_dict.pth")
    loaded = SynchformerFeatures.load(tmp_path, config=TINY)
    assert (loaded.frame_rate_hz, loaded.size_px) == (25, 32)
    assert torch.equal(loaded(frames), SynchformerFeatures(model)(frames))


def test_half_precision_weights_give_nearly_the_same(tmp_path: Path) -> None:
    model, frames = random_network(), random_frames(16)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    half = SynchformerFeatures.load(tmp_path, dtype=torch.bfloat16, config=TINY)(frames)
    full = SynchformerFeatures(model)(frames)
    assert half.dtype == torch.float32
    assert float((half - full).norm() / full.norm()) < 0.03


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    torch.save(random_network().state_dict(), tmp_path / "weights.pth")
    wider = SynchformerConfig(width=32, layers=1, heads=2, size_px=32)
    with pytest.raises(ValueError, match=r"cls_token \[1, 1, 16\] instead of \[1, 1, 32\]"):
        SynchformerFeatures.load(tmp_path, config=wider)
    with pytest.raises(ValueError, match=r"missing \(vfeat_extractor\.blocks\.1\.norm1\.weight"):
        SynchformerFeatures.load(tmp_path, config=SynchformerConfig(width=16, layers=2, heads=2, size_px=32))


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"width is 10; it must be a multiple of heads \(4\)"):
        SynchformerConfig(width=10, heads=4)
    with pytest.raises(
        ValueError, match="segments of 15 frames of 224 px cannot be cut into cubes of 2 frames"
    ):
        SynchformerConfig(segment_frames=15)
