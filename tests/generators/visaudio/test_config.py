from typing import Any

import pytest

from spatialfoley.generators.visaudio.config import MMAudioConfig, SequenceLengths, VisaudioConfig


@pytest.mark.parametrize(
    ("name", "duration_s", "expected"),
    [
        ("large_44k_v2", 8.0, SequenceLengths(345, 64, 192)),
        ("small_16k", 8.0, SequenceLengths(250, 64, 192)),
        ("large_44k_v2", 10.0, SequenceLengths(431, 80, 240)),
        ("small_16k", 0.64, SequenceLengths(20, 5, 8)),
    ],
)
def test_lengths(name: str, duration_s: float, expected: SequenceLengths) -> None:
    assert MMAudioConfig.named(name).lengths(duration_s) == expected


def test_a_clip_shorter_than_a_segment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"duration_s is 0\.6, but one segment of frames needs 0\.64 s"):
        MMAudioConfig().lengths(0.6)


@pytest.mark.parametrize(("hidden_dim", "expected"), [(896, 2560), (448, 1280), (16, 256)])
def test_inner_width(hidden_dim: int, expected: int) -> None:
    assert MMAudioConfig(hidden_dim=hidden_dim, num_heads=1).ffn_dim == expected


def test_settings_survive_a_round_trip() -> None:
    config = VisaudioConfig.tiny(
        branches=("w", "y", "z", "x"), pe_readout="average", token_update="first_branch"
    )
    assert VisaudioConfig.from_dict(config.to_dict()) == config


def test_a_published_backbone_may_be_named() -> None:
    assert VisaudioConfig.from_dict({"backbone": "small_16k"}).backbone == MMAudioConfig.named("small_16k")
    assert VisaudioConfig.from_dict({}) == VisaudioConfig()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 3}, "hidden_dim 16 over num_heads 3 must give an even head width"),
        ({"fused_depth": 5}, "fused_depth is 5, but must be 0 to depth - 1 = 4"),
        ({"latent_dim": 0}, "latent_dim is 0, but must be greater than 0"),
    ],
)
def test_impossible_backbones_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MMAudioConfig.tiny(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"final_layer": "none"}, "final_layer is 'none', but must be one of shared, per_branch"),
        ({"branches": ("left", "left")}, "must be one or more different names"),
        ({"branches": ("left.ear",)}, "letters, digits and underscores only"),
        ({"pe_grid": 6}, "pe_grid is 6, but must be a multiple of 4"),
        ({"pe_channel_kernel": 2}, "pe_channel_kernel is 2, but must be odd"),
        ({"pe_pool": 0}, "pe_pool 0 must be at least 1"),
        ({"final_condition": "spacetime", "spacetime": False}, "set spacetime to True"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisaudioConfig.tiny(**changes)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="'huge' is no MMAudio network; known are small_16k"):
        MMAudioConfig.named("huge")
    with pytest.raises(ValueError, match="unknown settings pe_gird; known are backbone"):
        VisaudioConfig.from_dict({"pe_gird": 8})
    with pytest.raises(ValueError, match="unknown settings layers; known are clip_dim"):
        VisaudioConfig.from_dict({"backbone": {"layers": 8}})
