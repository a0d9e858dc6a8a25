import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from spatialfoley.generators.visage.checkpoint import load_visage, save_visage, start_from_mono
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import VisageModel
from tests.generators.random_checkpoints import random_conditions, random_model, write_random_checkpoint

TINY = VisageConfig.tiny()


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_written_network_reads_back(tmp_path: Path) -> None:
    config = VisageConfig.tiny(unfed_codebooks=(3, 6, 9), aligned_conditions=True, field_frame="camera")
    model = random_model(config)
    save_visage(model, tmp_path)
    loaded = load_visage(tmp_path)
    assert loaded.config == config
    assert not loaded.training
    conditions = random_conditions(config)
    with torch.no_grad():
        assert torch.equal(loaded.encode(conditions), model.encode(conditions))


def test_loaded_network_can_be_trained(tmp_path: Path) -> None:
    model = load_visage(write_random_checkpoint(tmp_path, TINY))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_half_precision_is_an_argument(tmp_path: Path) -> None:
    model = load_visage(write_random_checkpoint(tmp_path, TINY), dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_pickled_weights_are_read_too(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path, TINY)
    safe = tmp_path / "model.safetensors"
    torch.save(load_file(safe), tmp_path / "pytorch_model.bin")
    safe.unlink()
    assert load_visage(tmp_path).config == TINY


def test_missing_and_unexpected_keys_are_listed(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path, TINY)
    state = load_file(tmp_path / "model.safetensors")
    state["model.encoder.surplus"] = state.pop("model.encoder.eos")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"1 missing \(model\.encoder\.eos\), 1 unexpected \(model\.encoder\.surplus\)"
    ):
        load_visage(tmp_path)


def test_contradicting_settings_are_named(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path, TINY)
    change_config(tmp_path, d_model=64, decoder_layers=3, num_rvq=4)
    with pytest.raises(ValueError, match="contradicts the weights") as caught:
        load_visage(tmp_path)
    message = str(caught.value)
    assert "d_model is 64 but the weights have 32" in message
    assert "decoder_layers is 3 but the weights have 2" in message
    assert "num_rvq x num_channels is 16 but the weights have 12" in message


def test_unknown_setting_is_named_with_its_file(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path, TINY)
    change_config(tmp_path, depth=3)
    with pytest.raises(ValueError, match=r"config\.json: unknown settings depth"):
        load_visage(tmp_path)


def test_incomplete_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no config\.json; name a folder with a ViSAGe checkpoint"):
        load_visage(tmp_path)
    write_random_checkpoint(tmp_path, TINY)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(
        ValueError, match=r"holds no weights; it needs model\.safetensors or pytorch_model\.bin"
    ):
        load_visage(tmp_path)


def test_w_is_copied_to_y_z_x() -> None:
    mono = random_model(VisageConfig.tiny(num_channels=1, max_target_length=500), seed=1)
    model = VisageModel(TINY)
    last_position = model.model.decoder.embed_positions.weight[-1].clone()
    assert start_from_mono(model, mono.state_dict()) == ()
    for codebook in range(TINY.codebooks):
        level = codebook % TINY.num_rvq
        assert torch.equal(model.dac_heads[codebook].weight, mono.dac_heads[level].weight)
        assert torch.equal(model.dac_heads[codebook].bias, mono.dac_heads[level].bias)
        table, mono_table = model.model.decoder.embed_dac[codebook], mono.model.decoder.embed_dac[level]
        assert torch.equal(table.weight, mono_table.weight)
    assert torch.equal(model.model.decoder.layers[1].fc2.weight, mono.model.decoder.layers[1].fc2.weight)
    positions = model.model.decoder.embed_positions.weight
    assert torch.equal(positions[:-1], mono.model.decoder.embed_positions.weight)
    assert torch.equal(positions[-1], last_position)


def test_parts_that_mono_lacks_are_reported_and_kept() -> None:
    mono = random_model(VisageConfig.tiny(num_channels=1), seed=1).state_dict()
    direction = {key for key in mono if "direction_embedding" in key or key == "dir_null_embedding"}
    model = random_model(TINY, seed=2)
    before = model.state_dict()["model.encoder.direction_embedding.0.weight"].clone()
    kept = start_from_mono(model, {key: value for key, value in mono.items() if key not in direction})
    assert set(kept) == direction
    assert torch.equal(model.state_dict()["model.encoder.direction_embedding.0.weight"], before)


def test_mono_of_another_shape_is_refused() -> None:
    mono = random_model(VisageConfig.tiny(num_channels=1, num_rvq=4), seed=1).state_dict()
    with pytest.raises(ValueError, match=r"the mono checkpoint does not fit.*3 unexpected .*beyond 3 levels"):
        start_from_mono(VisageModel(TINY), mono)
