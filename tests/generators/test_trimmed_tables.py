"""Checkpoints that store only the rows of the tokens that may be drawn."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from spatialfoley.generators.visage.checkpoint import load_visage, save_visage, start_from
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.trimmed_tables import restore_tables, trim_tables
from tests.generators.random_checkpoints import random_conditions, random_model, write_random_checkpoint

GAIN_AND_SHAPE = VisageConfig.tiny(
    pattern="delay",
    num_rvq=2,
    token_ranges=((0, 20), (4, 64), *[(3, 12), (4, 64)] * 3),
    unfed_codebooks=(2, 4),
)


def write_trimmed(folder: Path, config: VisageConfig, seed: int = 0) -> Path:
    save_visage(random_model(config, seed), folder)
    path = folder / "model.safetensors"
    save_file(trim_tables(load_file(path), config), path)
    return folder


def test_only_the_rows_that_can_be_read_are_stored() -> None:
    trimmed = trim_tables(random_model(GAIN_AND_SHAPE).state_dict(), GAIN_AND_SHAPE)
    for codebook, tokens in ((0, 20), (1, 60), (2, 9), (7, 60)):
        assert trimmed[f"model.decoder.embed_dac.{codebook}.weight"].shape == (tokens + 1, 32)
        assert trimmed[f"dac_heads.{codebook}.weight"].shape == (tokens, 32)
        assert trimmed[f"dac_heads.{codebook}.bias"].shape == (tokens,)


def test_a_trimmed_network_predicts_the_same_over_the_allowed_tokens(tmp_path: Path) -> None:
    config, whole = GAIN_AND_SHAPE, random_model(GAIN_AND_SHAPE)
    loaded = load_visage(write_trimmed(tmp_path, config))
    assert loaded.config == config
    generator = torch.Generator().manual_seed(0)
    ranges = config.layout.allowed.ranges  # type: ignore[union-attr]
    codes = torch.stack(
        [torch.randint(first, end, (2, 7), generator=generator) for first, end in ranges], dim=-1
    )
    rows, conditions = config.layout.interleave(codes), random_conditions(config)
    with torch.no_grad():
        hidden = [model.decode_teacher(rows[:, :-1], model.encode(conditions)) for model in (whole, loaded)]
        assert torch.equal(hidden[0], hidden[1])
        for codebook, (first, end) in enumerate(ranges):
            wanted, given = (m.logits(h, codebook) for m, h in zip((whole, loaded), hidden, strict=True))
            assert torch.equal(wanted[..., first:end], given[..., first:end])
            assert not given[..., end:].any(), "tokens that are not allowed have no weights"


@pytest.mark.parametrize("config", [VisageConfig.tiny(), GAIN_AND_SHAPE])
def test_whole_checkpoints_load_as_they_are(tmp_path: Path, config: VisageConfig) -> None:
    write_random_checkpoint(tmp_path, config)
    stored, loaded = load_file(tmp_path / "model.safetensors"), load_visage(tmp_path).state_dict()
    assert all(torch.equal(loaded[key], stored[key]) for key in stored)
    if not config.token_ranges:
        assert trim_tables(stored, config) == stored


def test_all_tokens_allowed_drops_only_the_rows_after_the_pad() -> None:
    config = VisageConfig.tiny(token_ranges=((0, 64),))
    state = random_model(config).state_dict()
    trimmed = trim_tables(state, config)
    assert len(trimmed["model.decoder.embed_dac.0.weight"]) == 65
    restored = restore_tables(trimmed, config, "here")
    assert torch.equal(
        restored["model.decoder.embed_dac.0.weight"][:65], state["model.decoder.embed_dac.0.weight"][:65]
    )


def test_another_length_is_refused_in_one_sentence(tmp_path: Path) -> None:
    write_trimmed(tmp_path, GAIN_AND_SHAPE)
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text())
    settings["token_ranges"][2] = [3, 14]
    path.write_text(json.dumps(settings))
    with pytest.raises(
        ValueError,
        match=r"dac_heads\.2\.bias has 9 rows, but dac_vocab_size 64 wants 64 or, trimmed to the token_ranges "
        r"3 to 13, 11; use the config\.json that belongs to the weights",
    ):
        load_visage(tmp_path)


def test_training_starts_from_trimmed_weights(tmp_path: Path) -> None:
    mono_config = VisageConfig.tiny(
        pattern="delay", num_rvq=1, num_channels=1, token_ranges=((32, 64),), max_target_length=500
    )
    config = VisageConfig.tiny(pattern="delay", num_rvq=1, token_ranges=((32, 64),))
    mono = random_model(mono_config, seed=3)
    model = random_model(config, seed=4)
    for place in (write_trimmed(tmp_path, mono_config, seed=3), tmp_path / "model.safetensors"):
        start_from(model, place)
        for codebook in range(4):
            assert torch.equal(model.dac_heads[codebook].weight[32:], mono.dac_heads[0].weight[32:])
    with pytest.raises(
        ValueError,
        match="was trained on tokens 0 to 63, but dac_vocab_size is 128; start from a network of the same",
    ):
        start_from(random_model(VisageConfig.tiny(dac_vocab_size=128, dac_pad_token_id=128)), tmp_path)
