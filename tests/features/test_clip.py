import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from spatialfoley.features.clip import ClipFeatures, convert_openai, preprocess

WIDTH, PROJECTION = 64, 16
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711])


def random_network() -> CLIPVisionModelWithProjection:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=96,
        projection_dim=PROJECTION,
        num_hidden_layers=2,
        num_attention_heads=1,
    )
    return CLIPVisionModelWithProjection(config).eval()


def write_folder(folder: Path, network: CLIPVisionModelWithProjection) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(network.config.to_dict()))
    save_file(network.state_dict(), folder / "model.safetensors")
    return folder


def random_frames(count: int = 3, height: int = 224, width: int = 224) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def openai_state(network: CLIPVisionModelWithProjection) -> dict[str, Tensor]:
    """The same weights as OpenAI's file names and shapes them, beside one of the text encoder."""
    vision = network.vision_model.state_dict()
    state = {
        "visual.class_embedding": vision["embeddings.class_embedding"],
        "visual.positional_embedding": vision["embeddings.position_embedding.weight"],
        "visual.conv1.weight": vision["embeddings.patch_embedding.weight"],
        "visual.proj": network.visual_projection.weight.T,
        "token_embedding.weight": torch.zeros(3, 3),
    }
    for kind in ("weight", "bias"):
        state[f"visual.ln_pre.{kind}"] = vision[f"pre_layrnorm.{kind}"]
        state[f"visual.ln_post.{kind}"] = vision[f"post_layernorm.{kind}"]
        for layer in range(network.config.num_hidden_layers):
            ours, theirs = f"encoder.layers.{layer}", f"visual.transformer.resblocks.{layer}"
            state[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(
                [vision[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            )
            state[f"{theirs}.attn.out_proj.{kind}"] = vision[f"{ours}.self_attn.out_proj.{kind}"]
            state[f"{theirs}.ln_1.{kind}"] = vision[f"{ours}.layer_norm1.{kind}"]
            state[f"{theirs}.ln_2.{kind}"] = vision[f"{ours}.layer_norm2.{kind}"]
            state[f"{theirs}.mlp.c_fc.{kind}"] = vision[f"{ours}.mlp.fc1.{kind}"]
            state[f"{theirs}.mlp.c_proj.{kind}"] = vision[f"{ours}.mlp.fc2.{kind}"]
    return {key: value.detach().clone().contiguous() for key, value in state.items()}


def test_constant_frame_becomes_the_standardised_colour() -> None:
    frames = np.full((1, 300, 500, 3), 128, dtype=np.uint8)
    pixels = preprocess(frames, 224)
    assert pixels.shape == (1, 3, 224, 224)
    expected = (128 / 255 - MEAN) / DEVIATION
    np.testing.assert_allclose(pixels.mean(dim=(0, 2, 3)), expected, atol=1e-5)
    assert float(pixels.std(dim=(2, 3)).max()) < 1e-5


def test_frame_of_the_right_size_is_only_standardised() -> None:
    frames = random_frames(1)
    expected = (frames[0] / 255 - MEAN) / DEVIATION
    np.testing.assert_allclose(preprocess(frames, 224)[0].permute(1, 2, 0), expected, atol=1e-5)


def test_centre_is_cut_out() -> None:
    frames = np.zeros((1, 224, 448, 3), dtype=np.uint8)
    frames[:, :, 112:336] = 255
    expected = torch.tensor((1 - MEAN) / DEVIATION, dtype=torch.float32)
    torch.testing.assert_close(preprocess(frames, 224)[0], expected[:, None, None].expand(3, 224, 224))


def test_upper_left_stays_upper_left_when_resized() -> None:
    frames = np.zeros((1, 448, 448, 3), dtype=np.uint8)
    frames[:, :200, :200, 0] = 255
    red = preprocess(frames, 224)[0, 0]
    assert float(red[:90, :90].min()) > float(red[110:, 110:].max())


def test_features_of_a_clip(tmp_path: Path) -> None:
    encoder = ClipFeatures.load(write_folder(tmp_path / "clip", random_network()))
    features = encoder(random_frames())
    assert features.embedding.shape == (3, PROJECTION)
    assert features.embedding.dtype == torch.float32
    assert features.energy_map.shape == (3, 49)
    torch.testing.assert_close(features.energy_map.sum(dim=1), torch.ones(3))
    assert (encoder.frame_rate_hz, encoder.size_px) == (4, 224)


def test_embedding_is_the_projected_class_token(tmp_path: Path) -> None:
    network, frames = random_network(), random_frames()
    encoder = ClipFeatures.load(write_folder(tmp_path / "clip", network))
    with torch.no_grad():
        expected = network(preprocess(frames, 224)).image_embeds
    torch.testing.assert_close(encoder(frames).embedding, expected)


def test_energy_map_is_taken_before_the_last_norm() -> None:
    network, frames = random_network(), random_frames()
    before = ClipFeatures(network)(frames)
    with torch.no_grad():
        network.vision_model.post_layernorm.weight.mul_(torch.linspace(-3, 3, WIDTH))
    after = ClipFeatures(network)(frames)
    assert torch.equal(before.energy_map, after.energy_map)
    assert not torch.allclose(before.embedding, after.embedding)


def test_openai_layout_gives_the_same_features(tmp_path: Path) -> None:
    network, frames = random_network(), random_frames()
    folder = tmp_path / "openai"
    folder.mkdir()
    torch.save(openai_state(network), folder / "pytorch_model.bin")
    loaded, expected = ClipFeatures.load(folder)(frames), ClipFeatures(network)(frames)
    torch.testing.assert_close(loaded.embedding, expected.embedding)
    torch.testing.assert_close(loaded.energy_map, expected.energy_map)


def test_openai_archive_gives_the_same_features(tmp_path: Path) -> None:
    network, frames = random_network(), random_frames()

    class Archive(torch.nn.Module):
        """Holds the weights under OpenAI's names, as the published TorchScript file does."""

        def __init__(self) -> None:
            super().__init__()
            for key, value in openai_state(network).items():
                *path, name = key.split(".")
                module: torch.nn.Module = self
                for part in path:
                    if not hasattr(module, part):
                        module.add_module(part, torch.nn.Module())
                    module = getattr(module, part)
                module.register_parameter(name, torch.nn.Parameter(value))

        def forward(self, x: Tensor) -> Tensor:
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(Archive(), torch.zeros(1)).save(str(tmp_path / "ViT-B-32.pt"))
    torch.testing.assert_close(
        ClipFeatures.load(tmp_path)(frames).embedding, ClipFeatures(network)(frames).embedding
    )


def test_openai_keys_become_exactly_the_keys_of_the_network() -> None:
    network = random_network()
    assert convert_openai(openai_state(network)).keys() == network.state_dict().keys()


def test_whole_clip_checkpoint_is_read_without_its_text_half(tmp_path: Path) -> None:
    network, folder = random_network(), tmp_path / "whole"
    folder.mkdir()
    vision = network.config.to_dict()
    vision.pop("projection_dim")
    settings = {"model_type": "clip", "projection_dim": PROJECTION, "vision_config": vision}
    (folder / "config.json").write_text(json.dumps(settings))
    extra = {"logit_scale": torch.ones(1), "vision_model.embeddings.position_ids": torch.arange(50)}
    save_file({**network.state_dict(), **extra}, folder / "model.safetensors")
    frames = random_frames()
    torch.testing.assert_close(
        ClipFeatures.load(folder)(frames).embedding, ClipFeatures(network)(frames).embedding
    )


def test_missing_key_is_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clip", random_network())
    state = random_network().state_dict()
    del state["visual_projection.weight"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"1 missing \(visual_projection\.weight\)"):
        ClipFeatures.load(folder)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"holds no weights; it needs model\.safetensors or pytorch_model\.bin"
    ):
        ClipFeatures.load(tmp_path)


def test_other_patch_grids_are_refused() -> None:
    config = CLIPVisionConfig(hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=1, patch_size=16)
    with pytest.raises(ValueError, match="patch_size 16 does not give 7 x 7 patches"):
        ClipFeatures(CLIPVisionModelWithProjection(config))


def test_float_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frames is float64 of shape"):
        preprocess(np.zeros((1, 224, 224, 3)), 224)
