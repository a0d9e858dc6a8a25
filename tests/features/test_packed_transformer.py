"""The packed encoders against the same weights in float32."""

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPModel

from spatialfoley.features.clip_h14 import ClipH14Features
from spatialfoley.features.open_clip_layout import ClipH14Config
from spatialfoley.features.packed_transformer import packing_refused
from spatialfoley.features.perception import PerceptionConfig, PerceptionEncoder
from spatialfoley.features.synchformer import SynchformerConfig, SynchformerVisual

REFUSED = packing_refused(nn.Linear(1, 1), 64, 2, turned=True)
here = pytest.mark.skipif(REFUSED is not None, reason=str(REFUSED))
TOLERANCE = 2e-2


def randomise(network: nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        spread = 0.2 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
        norm = any(part in name for part in ("norm", "ln_")) and name.endswith("weight")
        parameter.data = float(norm) + spread * torch.randn(parameter.shape, generator=generator)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def deviation(made: Tensor, expected: Tensor) -> float:
    return float((made - expected).norm() / expected.norm())


@here
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@torch.inference_mode()
def test_clip_sees_the_same_frames(activation: str) -> None:
    config = ClipH14Config(
        embed_dim=24,
        image_size=28,
        patch_size=7,
        vision_width=160,
        vision_layers=3,
        vision_head_width=80,
        context_length=9,
        vocab_size=516,
        text_width=12,
        text_heads=3,
        text_layers=2,
    ).to_transformers()
    config.vision_config.hidden_act = activation
    model = CLIPModel(config)
    randomise(model)
    features, pixels = ClipH14Features(model), normal(3, 3, 28, 28)
    expected = features.encode_pixels(pixels)
    words = features.encode_tokens(torch.ones(1, 9, dtype=torch.int64))
    assert features.pack()
    assert deviation(features.encode_pixels(pixels), expected) < TOLERANCE
    assert torch.equal(features.encode_tokens(torch.ones(1, 9, dtype=torch.int64)), words)


@here
@pytest.mark.parametrize("changes", [{}, {"use_cls_token": False, "ls_init_value": 0.1}], ids=str)
@torch.inference_mode()
def test_perception_encoder_sees_the_same_patches(changes: dict[str, object]) -> None:
    model = PerceptionEncoder(
        PerceptionConfig.from_dict(
            {"patch_size": 7, "width": 64, "layers": 3, "heads": 2, "image_size": 28, **changes}
        )
    )
    randomise(model)
    pixels = normal(2, 3, 28, 28)
    expected = model(pixels)
    assert model.pack()
    assert deviation(model(pixels), expected) < TOLERANCE


@here
@torch.inference_mode()
def test_synchformer_sees_the_same_motion() -> None:
    model = SynchformerVisual(SynchformerConfig(width=64, layers=3, heads=2, size_px=48, patch_px=16))
    randomise(model)
    segments = normal(1, 3, 16, 3, 48, 48)
    expected = model(segments)
    tokens = model.vfeat_extractor.tokens(segments[0])
    assert model.vfeat_extractor.pack()
    assert deviation(model.vfeat_extractor.tokens(segments[0]), tokens) < TOLERANCE
    assert deviation(model(segments), expected) < TOLERANCE


@torch.inference_mode()
def test_an_encoder_that_does_not_fit_stays_as_it_is() -> None:
    model = PerceptionEncoder(PerceptionConfig(patch_size=7, width=16, layers=1, heads=2, image_size=28))
    randomise(model)
    before = copy.deepcopy(model.state_dict())
    assert not model.pack()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
