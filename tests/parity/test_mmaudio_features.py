"""What MMAudio knows of a video and a text against stored runs of the published code with random weights.

Tolerances are several times the distance of the published code in float32 from itself in float64: 1e-4 for
Synchformer (5e-6), 1e-3 for its slices at full size, 1e-5 for CLIP.
"""

import json
import zlib
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from transformers import CLIPModel

from spatialfoley.features.clip_h14 import ClipH14Features
from spatialfoley.features.frame_choice import published_frame_indices
from spatialfoley.features.open_clip_layout import ClipH14Config, convert_open_clip
from spatialfoley.features.resize import crop_centre, squash
from spatialfoley.features.synchformer import SynchformerConfig, SynchformerFeatures, SynchformerVisual
from tests.parity.cases import case_params


@cache
def read_case(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    """Facts, stored inputs and outputs, and weights."""
    facts = json.loads(path.with_suffix(".json").read_text())
    stored = load_file(path)
    prefix = "weights/"
    weights = {key.removeprefix(prefix): stored.pop(key) for key in list(stored) if key.startswith(prefix)}
    return facts, stored, weights


def assert_close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=0)


def published_keys(path: Path) -> dict[str, tuple[int, ...]]:
    return {key: tuple(shape) for key, (shape, _) in json.loads(path.read_text())["keys"].items()}


def synchformer(path: Path) -> tuple[SynchformerVisual, dict[str, Tensor]]:
    facts, stored, weights = read_case(path)
    names = {"EMBED_DIM": "width", "DEPTH": "layers", "NUM_HEADS": "heads", "MLP_RATIO": "mlp_ratio"}
    changes = facts["overrides_of_divided_224_16x4_yaml"]
    config = SynchformerConfig(**{names[key.removeprefix("VIT.")]: value for key, value in changes.items()})
    model = SynchformerVisual(config).eval()
    model.load_state_dict(weights, strict=True)
    return model, stored


SYNCHFORMER = case_params("mmaudio", "synchformer_*.safetensors")
CLIP = case_params("mmaudio", "clip_*.safetensors")
RESIZE = case_params("mmaudio", "resize_*.safetensors")


@pytest.mark.parametrize("path", SYNCHFORMER)
@torch.no_grad()
def test_synchformer_features(path: Path) -> None:
    model, stored = synchformer(path)
    x = (stored["in/video_u8"].float() / 255 - 0.5) / 0.5
    assert_close(model(x), stored["out/features"], 1e-4)


@pytest.mark.parametrize("path", SYNCHFORMER)
@torch.no_grad()
def test_synchformer_tokens_before_the_last_norm(path: Path) -> None:
    model, stored = synchformer(path)
    x = (stored["in/video_u8"].float() / 255 - 0.5) / 0.5
    tokens = model.vfeat_extractor.tokens(x.flatten(0, 1))
    expected = stored["out/tokens_cls_and_first64"]
    assert_close(tokens[:, : expected.shape[1]], expected, 1e-4)
    assert_close(tokens.mean(dim=1), stored["out/tokens_mean"], 1e-4)
    assert_close(tokens.abs().mean(dim=1), stored["out/tokens_abs_mean"], 1e-4)


@pytest.mark.parametrize("path", SYNCHFORMER)
def test_synchformer_encoder_on_frames_of_the_right_size(path: Path) -> None:
    model, stored = synchformer(path)
    segment = stored["in/video_u8"][0, 0]
    features = SynchformerFeatures(model)(segment.permute(0, 2, 3, 1).numpy())
    assert_close(features, stored["out/features"][0, 0], 1e-4)


@pytest.mark.parametrize("path", case_params("mmaudio", "state_dict_synchformer_visual.json"))
def test_synchformer_keys(path: Path) -> None:
    with torch.device("meta"):
        model = SynchformerVisual(SynchformerConfig())
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == published_keys(path)


def recipe_tensor(key: str, shape: torch.Size) -> Tensor:
    """The random weight that the full-size case states for a key."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    r = torch.randn(shape, generator=generator)
    if "norm" in key and key.endswith("weight"):
        return 1 + 0.1 * r
    if key.endswith("bias"):
        return 0.1 * r
    if key.endswith(("cls_token", "pos_embed", "temp_embed")):
        return 0.5 * r
    return r / r[0].numel() ** 0.5


@pytest.mark.parametrize("path", case_params("mmaudio", "synchformer_full_recipe.json"))
@torch.no_grad()
def test_synchformer_of_published_size(path: Path) -> None:
    facts = json.loads(path.read_text())
    with torch.device("meta"):
        model = SynchformerVisual(SynchformerConfig()).eval()
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    model.load_state_dict({key: recipe_tensor(key, shape) for key, shape in shapes.items()}, assign=True)
    x = torch.randn(1, 2, 16, 3, 224, 224, generator=torch.Generator().manual_seed(4242)).clamp(-1, 1)
    y = model(x)
    assert list(y.shape) == facts["out_shape"]
    slices = {"y[0,0,0,:12]": y[0, 0, 0, :12], "y[0,1,7,-12:]": y[0, 1, 7, -12:]}
    slices["y[0,0,3,100:112]"] = y[0, 0, 3, 100:112]
    for name, values in slices.items():
        assert_close(values, torch.tensor(facts["slices"][name]), 1e-3)
    assert float(y.mean()) == pytest.approx(facts["mean"], abs=1e-4)
    assert float(y.std()) == pytest.approx(facts["std"], abs=1e-4)


def clip_encoder(path: Path) -> tuple[ClipH14Features, dict[str, Tensor]]:
    facts, stored, weights = read_case(path)
    return ClipH14Features.from_state(weights, ClipH14Config.from_open_clip(facts["config"])), stored


@pytest.mark.parametrize("path", CLIP)
def test_clip_image_features(path: Path) -> None:
    encoder, stored = clip_encoder(path)
    assert_close(encoder.encode_pixels(stored["in/image"]), stored["out/image_features"], 1e-5)


@pytest.mark.parametrize("path", CLIP)
def test_clip_text_tokens(path: Path) -> None:
    encoder, stored = clip_encoder(path)
    assert_close(encoder.encode_tokens(stored["in/tokens"]), stored["out/text_tokens"], 1e-5)


@pytest.mark.parametrize("path", CLIP)
@torch.no_grad()
def test_clip_text_as_open_clip_pools_it(path: Path) -> None:
    """MMAudio does not use it; it holds the text projection to its place."""
    encoder, stored = clip_encoder(path)
    numbers = stored["in/tokens"]
    hidden = encoder.model.text_model(numbers).last_hidden_state
    pooled = encoder.model.text_projection(hidden[torch.arange(len(numbers)), numbers.argmax(dim=1)])
    expected = stored["out/text_pooled_standard"]
    assert_close(functional.normalize(pooled, dim=-1), functional.normalize(expected, dim=-1), 1e-5)


@pytest.mark.parametrize("path", case_params("mmaudio", "state_dict_clip_dfn5b_h14.json"))
def test_every_clip_key_finds_its_place(path: Path) -> None:
    published = {key: torch.empty(shape, device="meta") for key, shape in published_keys(path).items()}
    assert ClipH14Config.from_open_clip(json.loads(path.read_text())["config"]) == ClipH14Config()
    with torch.device("meta"):
        expected = CLIPModel(ClipH14Config().to_transformers()).state_dict()
    converted = convert_open_clip(published)
    assert {key: value.shape for key, value in converted.items()} == {
        key: value.shape for key, value in expected.items()
    }


@pytest.mark.parametrize("path", RESIZE)
def test_resized_frames_are_equal(path: Path) -> None:
    _, stored, _ = read_case(path)
    frames = stored["in/frames_u8"].permute(0, 2, 3, 1).numpy()
    for resized, expected in (
        (squash(frames, stored["out/clip_u8"].shape[-1]), stored["out/clip_u8"]),
        (crop_centre(frames, stored["out/sync_u8"].shape[-1]), stored["out/sync_u8"]),
    ):
        assert resized.dtype == torch.uint8
        assert resized.shape == expected.shape
        # Machines whose torch resizes with other instructions may differ by one level.
        assert int((resized.int() - expected.int()).abs().max()) <= 1


@pytest.mark.parametrize("path", case_params("mmaudio", "example_video_frames.json"))
def test_chosen_frames(path: Path) -> None:
    for facts in json.loads(path.read_text()).values():
        times_s = np.arange(facts["n_all"]) / float(Fraction(facts["fps"]))
        clip, sync = facts["clip_idx"], facts["sync_idx"]
        assert published_frame_indices(times_s, 8, 8.0).tolist() == clip[:64]
        assert published_frame_indices(times_s, 25, 8.0).tolist() == sync[:200]
