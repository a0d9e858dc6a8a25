"""The tiny visual encoder: what pipelines rely on, and how far in time each output sees."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spatialfoley.features.tiny import TinyEncoder, TinyFeatures, TinyFeaturesConfig

SMALL = TinyFeaturesConfig(embedding_dim=16, channels=(4, 4, 4, 4), patch_dim=4)
REACH = 3 * (SMALL.temporal_kernel // 2)
"""Frames that the three temporal layers see to each side."""


@pytest.fixture
def features() -> TinyFeatures:
    torch.manual_seed(0)
    return TinyFeatures(TinyEncoder(SMALL))


def noise_frames(count: int, seed: int = 0) -> np.ndarray:
    size = SMALL.size_px
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def test_shapes_rates_and_map(features: TinyFeatures) -> None:
    seen = features(noise_frames(9))
    assert features.frame_rate_hz == 20
    assert features.size_px == 56
    assert seen.embedding.shape == (9, 16)
    assert seen.energy_map.shape == (9, 49)
    assert seen.embedding.dtype == seen.energy_map.dtype == torch.float32
    assert torch.allclose(seen.energy_map.sum(-1), torch.ones(9), atol=1e-6)
    assert (seen.energy_map >= 0).all()


def test_one_frame_is_enough(features: TinyFeatures) -> None:
    assert features(noise_frames(1)).embedding.shape == (1, 16)


def test_a_still_picture_has_one_map(features: TinyFeatures) -> None:
    seen = features(np.repeat(noise_frames(1), 6, axis=0))
    assert torch.allclose(seen.energy_map, seen.energy_map[:1].expand_as(seen.energy_map), atol=1e-6)


def test_the_map_sees_one_frame_back_and_the_embedding_six_to_each_side(features: TinyFeatures) -> None:
    frames = noise_frames(2 * REACH + 8)
    changed = frames.copy()
    at = REACH + 3
    changed[at] = 255 - changed[at]
    before, after = features(frames), features(changed)
    moved = (before.energy_map - after.energy_map).abs().amax(-1) > 1e-6
    assert moved.nonzero().flatten().tolist() == [at, at + 1]
    moved = (before.embedding - after.embedding).abs().amax(-1) > 1e-6
    first, last = moved.nonzero().flatten()[[0, -1]].tolist()
    assert first >= at - REACH
    assert last <= at + 1 + REACH
    assert moved[at]


def test_later_frames_give_later_features(features: TinyFeatures) -> None:
    frames = noise_frames(2 * REACH + 10)
    whole, late = features(frames), features(frames[3:])
    # The first frame has no change, and the layers reach beyond both ends.
    inner = slice(REACH + 1, -REACH)
    assert torch.allclose(whole.embedding[3:][inner], late.embedding[inner], atol=1e-5)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.zeros((4, 48, 56, 3), np.uint8), r"uint8 of shape \(4, 48, 56, 3\)"),
        (np.zeros((56, 56, 3), np.uint8), r"uint8 of shape \(56, 56, 3\)"),
        (np.zeros((4, 56, 56, 3), np.float32), r"float32 of shape \(4, 56, 56, 3\)"),
    ],
)
def test_wrong_frames_are_named(features: TinyFeatures, frames: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said + r".*needs uint8 \[T, \*\(56, 56, 3\)\]"):
        features(frames)


def test_a_stored_encoder_sees_the_same(features: TinyFeatures, tmp_path: Path) -> None:
    (tmp_path / "features.json").write_text(json.dumps(dataclasses.asdict(SMALL)))
    save_file(features.encoder.state_dict(), tmp_path / "features.safetensors")
    loaded = TinyFeatures.load(tmp_path)
    assert loaded.encoder.config == SMALL
    frames = noise_frames(5)
    assert torch.equal(loaded(frames).embedding, features(frames).embedding)
    assert torch.equal(loaded(frames).energy_map, features(frames).energy_map)
