import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPModel

from spatialfoley.features.clip_h14 import ClipH14Features
from spatialfoley.features.clip_tokens import ClipTokens, clean
from spatialfoley.features.open_clip_layout import ClipH14Config, convert_open_clip

TINY = ClipH14Config(
    embed_dim=8,
    image_size=28,
    patch_size=7,
    vision_width=16,
    vision_layers=2,
    vision_head_width=8,
    context_length=9,
    vocab_size=516,
    text_width=12,
    text_heads=3,
    text_layers=2,
)
OPEN_CLIP_SETTINGS = {
    "embed_dim": 8,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 28, "layers": 2, "width": 16, "head_width": 8, "patch_size": 7},
    "text_cfg": {"context_length": 9, "vocab_size": 516, "width": 12, "heads": 3, "layers": 2},
}
START, END = 514, 515


def random_network() -> CLIPModel:
    generator = torch.Generator().manual_seed(0)
    model = CLIPModel(TINY.to_transformers()).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


def blocks_of_open_clip(state: dict[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    """The blocks of one encoder as open_clip names and shapes them."""
    names = {
        "self_attn.out_proj": "attn.out_proj",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    result = {}
    for layer in range(2):
        block, target = f"{ours}.encoder.layers.{layer}", f"{theirs}transformer.resblocks.{layer}"
        for kind in ("weight", "bias"):
            parts = [state[f"{block}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            result[f"{target}.attn.in_proj_{kind}"] = torch.cat(parts)
            for name, their in names.items():
                result[f"{target}.{their}.{kind}"] = state[f"{block}.{name}.{kind}"]
    return result


def open_clip_state(network: CLIPModel) -> dict[str, Tensor]:
    """The same weights as open_clip names and shapes them."""
    ours = network.state_dict()
    state = {
        "visual.class_embedding": ours["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": ours["vision_model.embeddings.position_embedding.weight"],
        "visual.conv1.weight": ours["vision_model.embeddings.patch_embedding.weight"],
        "visual.proj": ours["visual_projection.weight"].T,
        "token_embedding.weight": ours["text_model.embeddings.token_embedding.weight"],
        "positional_embedding": ours["text_model.embeddings.position_embedding.weight"],
        "text_projection": ours["text_projection.weight"].T,
        "logit_scale": ours["logit_scale"],
    }
    for kind in ("weight", "bias"):
        state[f"visual.ln_pre.{kind}"] = ours[f"vision_model.pre_layrnorm.{kind}"]
        state[f"visual.ln_post.{kind}"] = ours[f"vision_model.post_layernorm.{kind}"]
        state[f"ln_final.{kind}"] = ours[f"text_model.final_layer_norm.{kind}"]
    state |= blocks_of_open_clip(ours, "vision_model", "visual.")
    state |= blocks_of_open_clip(ours, "text_model", "")
    return {key: value.clone().contiguous() for key, value in state.items()}


def write_vocabulary(folder: Path) -> Path:
    """A byte-level vocabulary that knows one word, "dog": bytes, bytes that end a word, two merges, start, end."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(rest))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "do", "dog</w>"]
    words += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\ndo g</w>\n")
    return folder


DOG = 513


def word_end(letter: str) -> int:
    """Number of a letter of ASCII that ends a word."""
    return 256 + ord(letter) - 33


def random_frames(count: int = 3, height: int = 28, width: int = 28) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_frame_feature_is_the_projected_class_token_of_length_one() -> None:
    network, frames = random_network(), random_frames(11)
    encoder = ClipH14Features(network)
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    pixels = torch.tensor((frames / 255 - mean) / deviation, dtype=torch.float32).permute(0, 3, 1, 2)
    with torch.no_grad():
        pooled = network.get_image_features(pixels)
    projected = pooled if isinstance(pooled, Tensor) else pooled.pooler_output
    expected = projected / projected.norm(dim=1, keepdim=True)
    features = encoder(frames)
    assert (encoder.frame_rate_hz, encoder.size_px, features.shape) == (8, 28, (11, 8))
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)


def test_pixels_beyond_whole_patches_are_not_seen() -> None:
    encoder = ClipH14Features(random_network(), size_px=33)
    pixels = torch.randn(1, 3, 33, 33, generator=torch.Generator().manual_seed(1))
    other = pixels.clone()
    other[:, :, 28:] = 9
    assert torch.equal(encoder.encode_pixels(pixels), encoder.encode_pixels(other))


def test_published_network_gets_384_px() -> None:
    config = replace(ClipH14Config(), vision_layers=1, text_layers=1, vocab_size=10, vision_width=80)
    with torch.device("meta"):
        assert ClipH14Features(CLIPModel(config.to_transformers())).size_px == 384


def test_size_must_fit_the_patches() -> None:
    with pytest.raises(
        ValueError, match="size_px is 35, but the network sees 28 px in patches of 7; give 28 to 34"
    ):
        ClipH14Features(random_network(), size_px=35)


def test_text_tokens_have_length_one_and_look_back_only() -> None:
    encoder = ClipH14Features(random_network())
    numbers = torch.tensor([[START, 1, 2, END, 0, 0, 0, 0, 0], [START, 1, 2, 3, END, 0, 0, 0, 0]])
    features = encoder.encode_tokens(numbers)
    assert features.shape == (2, 9, 12)
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2, 9))
    torch.testing.assert_close(features[0, :3], features[1, :3])
    assert not torch.allclose(features[0, 3:], features[1, 3:])


def test_open_clip_keys_become_exactly_the_keys_of_the_network() -> None:
    network = random_network()
    converted = convert_open_clip(open_clip_state(network))
    expected = network.state_dict()
    assert converted.keys() == expected.keys()
    assert all(torch.equal(converted[key], expected[key]) for key in expected)


def test_both_layouts_give_the_same_features(tmp_path: Path) -> None:
    network, frames = random_network(), random_frames()
    usual, foreign = write_vocabulary(tmp_path / "usual"), write_vocabulary(tmp_path / "open_clip")
    (usual / "config.json").write_text(json.dumps(network.config.to_dict()))
    old = {"text_model.embeddings.position_ids": torch.arange(9)[None]}
    save_file({**network.state_dict(), **old}, usual / "model.safetensors")
    settings = {"model_cfg": OPEN_CLIP_SETTINGS, "preprocess_cfg": {}}
    (foreign / "open_clip_config.json").write_text(json.dumps(settings))
    torch.save(open_clip_state(network), foreign / "open_clip_pytorch_model.bin")
    save_file(open_clip_state(network), foreign / "open_clip_model.safetensors")
    direct = ClipH14Features(network)
    numbers = torch.tensor([[START, DOG, END, 0, 0, 0, 0, 0, 0]])
    for folder in (usual, foreign):
        loaded = ClipH14Features.load(folder)
        torch.testing.assert_close(loaded(frames), direct(frames))
        torch.testing.assert_close(loaded.text(["dog"]), direct.encode_tokens(numbers))


def test_half_precision_weights_give_nearly_the_same(tmp_path: Path) -> None:
    network, frames = random_network(), random_frames()
    (tmp_path / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP_SETTINGS))
    torch.save(open_clip_state(network), tmp_path / "open_clip_pytorch_model.bin")
    half = ClipH14Features.load(tmp_path, dtype=torch.bfloat16)(frames)
    assert half.dtype == torch.float32
    assert float((half - ClipH14Features(network)(frames)).norm(dim=1).max()) < 0.05


def test_keys_that_do_not_fit_are_named(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP_SETTINGS))
    state = open_clip_state(random_network())
    state["text_extra"] = state.pop("ln_final.bias")
    torch.save(state, tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(
        ValueError, match=r"1 missing \(text_model\.final_layer_norm\.bias\), 1 unexpected \(text_extra\)"
    ):
        ClipH14Features.load(tmp_path)


def test_folder_without_settings_or_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no weights"):
        ClipH14Features.load(tmp_path)
    save_file(random_network().state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"has no config\.json; copy it from the checkpoint"):
        ClipH14Features.load(tmp_path)


def test_settings_of_open_clip() -> None:
    assert ClipH14Config.from_open_clip(OPEN_CLIP_SETTINGS) == TINY
    with pytest.raises(ValueError, match="pool_type in the settings of open_clip is not supported"):
        ClipH14Config.from_open_clip(
            {**OPEN_CLIP_SETTINGS, "text_cfg": {**OPEN_CLIP_SETTINGS["text_cfg"], "pool_type": "last"}}  # type: ignore[dict-item]
        )
    with pytest.raises(ValueError, match="the settings of open_clip lack 'text_cfg'"):
        ClipH14Config.from_open_clip({"embed_dim": 8, "vision_cfg": {}})


def test_text_becomes_lower_case_numbers_padded_with_zeros(tmp_path: Path) -> None:
    tokens = ClipTokens.load(write_vocabulary(tmp_path / "clip"))
    numbers = tokens(["a  DOG", ""], 6)
    assert numbers.dtype == torch.int64
    assert numbers.tolist() == [[START, word_end("a"), DOG, END, 0, 0], [START, END, 0, 0, 0, 0]]


def test_text_of_just_the_right_length_is_not_cut(tmp_path: Path) -> None:
    tokens = ClipTokens.load(write_vocabulary(tmp_path / "clip"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tokens(["dog dog dog"], 5).tolist() == [[START, DOG, DOG, DOG, END]]


def test_warning_says_what_was_cut(tmp_path: Path) -> None:
    tokens = ClipTokens.load(write_vocabulary(tmp_path / "clip"))
    with pytest.warns(
        UserWarning, match=r"has 8 tokens \(with start and end\), but CLIP reads 5; .* end: 'Dog a Dog'"
    ):
        numbers = tokens(["dog dog  a  Dog a Dog"], 5)
    assert numbers.tolist() == [[START, DOG, DOG, word_end("a"), END]]


def test_one_text_is_not_taken_for_its_letters(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="texts is the one text 'dog'; give a list of texts"):
        ClipTokens.load(write_vocabulary(tmp_path / "clip"))("dog", 5)


def test_entities_and_curly_quotes_become_plain() -> None:
    assert clean("  a dog\u2019s &amp;amp; \u201ccat\u201d \n ") == 'a dog\'s & "cat"'


def test_missing_vocabulary_is_said_when_a_text_comes(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps(OPEN_CLIP_SETTINGS))
    torch.save(open_clip_state(random_network()), tmp_path / "open_clip_pytorch_model.bin")
    encoder = ClipH14Features.load(tmp_path)
    assert encoder(random_frames()).shape == (3, 8)
    with pytest.raises(
        ValueError, match=r"holds no CLIP vocabulary, .* copy tokenizer\.json, or vocab\.json and"
    ):
        encoder.text(["dog"])
    with pytest.raises(ValueError, match="was built without a vocabulary"):
        ClipH14Features(random_network()).text(["dog"])


def test_damaged_vocabulary_is_refused(tmp_path: Path) -> None:
    folder = write_vocabulary(tmp_path / "clip")
    (folder / "vocab.json").write_text("{")
    with pytest.raises(ValueError, match=r"the CLIP vocabulary in .* cannot be read .*; copy it again"):
        ClipTokens.load(folder)


def test_vocabulary_larger_than_the_network_is_refused(tmp_path: Path) -> None:
    folder = write_vocabulary(tmp_path / "clip")
    words = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({**words, "more": len(words)}))
    with pytest.raises(ValueError, match="has 517 tokens, but the network knows 516"):
        ClipH14Features(random_network(), folder).text(["dog"])
