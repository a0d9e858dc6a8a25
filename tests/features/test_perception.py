import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.features.perception import (
    PerceptionConfig,
    PerceptionEncoder,
    PerceptionFeatures,
    strip_wrappers,
)

TINY = PerceptionConfig(patch_size=4, width=16, layers=2, heads=2, image_size=16)
KINDS = [
    TINY,
    replace(TINY, use_cls_token=False),
    replace(TINY, use_cls_token=False, ls_init_value=0.1),
    replace(TINY, patch_size=2, image_size=8),
]


def random_network(config: PerceptionConfig = TINY) -> PerceptionEncoder:
    generator = torch.Generator().manual_seed(0)
    model = PerceptionEncoder(config).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


def random_frames(count: int, height: int = 16, width: int = 16) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("config", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (24, 16), (19, 34)])
@torch.no_grad()
def test_any_size_gives_one_vector_per_whole_patch(config: PerceptionConfig, size: tuple[int, int]) -> None:
    model = random_network(config)
    rows, columns = (side // config.patch_size for side in size)
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    assert model(pixels).shape == (2, rows, columns, 16)
    assert model.tokens(pixels).shape == (2, rows * columns + int(config.use_cls_token), 16)
    whole = pixels[:, :, : rows * config.patch_size, : columns * config.patch_size]
    torch.testing.assert_close(model(pixels), model(whole))


@torch.no_grad()
def test_rows_run_down_and_columns_to_the_right() -> None:
    model = random_network(replace(TINY, layers=0))
    pixels = torch.zeros(1, 3, 24, 16)
    other = pixels.clone()
    other[:, :, 4:8, 12:16] = 1
    changed = (model(pixels) != model(other)).any(dim=-1)[0]
    assert changed.nonzero().tolist() == [[1, 3]]


def test_pairs_turn_by_column_first_then_by_row() -> None:
    model = PerceptionEncoder(replace(TINY, width=32))
    cosine, sine = model._rotation(2, 3, torch.device("cpu"))
    assert cosine.shape == (1 + 6, 8)
    assert torch.equal(sine[0], torch.zeros(8))
    last = 1 + 1 * 3 + 2  # second row, third column: 2 and 3 when counted from 1
    frequencies = [1, 10_000**-0.25, 10_000**-0.5, 10_000**-0.75]
    angles = [3 * f for f in frequencies] + [2 * f for f in frequencies]
    torch.testing.assert_close(sine[last], torch.tensor([math.sin(a) for a in angles]))
    torch.testing.assert_close(cosine[last], torch.tensor([math.cos(a) for a in angles]))


def test_without_class_token_positions_count_from_zero() -> None:
    model = PerceptionEncoder(replace(TINY, use_cls_token=False))
    cosine, sine = model._rotation(2, 3, torch.device("cpu"))
    assert len(cosine) == 6
    assert torch.equal(sine[0], torch.zeros(4))
    torch.testing.assert_close(sine[1, :1], torch.tensor([math.sin(1)]))


@pytest.mark.parametrize("with_class", [True, False])
def test_positions_are_stretched_over_other_grids(with_class: bool) -> None:
    model = PerceptionEncoder(replace(TINY, use_cls_token=with_class))
    grid = torch.arange(4.0)[None, :].expand(4, 4).reshape(16, 1).expand(-1, 16)  # column numbers
    model.positional_embedding.data[-16:] = grid
    first = int(with_class)
    if with_class:
        model.positional_embedding.data[0] = 7
    positions = model._positions(3, 8).detach()
    assert torch.equal(positions[:first], torch.full((first, 16), 7.0))
    expected = torch.tensor([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    for row in positions[first:].reshape(3, 8, 16):
        torch.testing.assert_close(row[:, 0], expected)


@torch.no_grad()
def test_layer_scale_of_zero_switches_the_blocks_off() -> None:
    model = random_network(replace(TINY, ls_init_value=0.1))
    for block in model.transformer["resblocks"].children():
        block.ls_1.gamma.zero_()
        block.ls_2.gamma.zero_()
    plain = random_network(replace(TINY, layers=0))
    plain.load_state_dict({key: model.state_dict()[key] for key in plain.state_dict()})
    pixels = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(model.tokens(pixels), plain.tokens(pixels))


def test_keys_of_a_model_with_layer_scale_and_without_class_token() -> None:
    with torch.device("meta"):
        shapes = PerceptionEncoder(PerceptionConfig.published("PE-Spatial-G14-448")).state_dict()
    assert "class_embedding" not in shapes
    assert shapes["positional_embedding"].shape == (1024, 1536)
    assert shapes["transformer.resblocks.49.ls_2.gamma"].shape == (1536,)
    assert shapes["transformer.resblocks.0.mlp.c_fc.weight"].shape == (8960, 1536)


def test_frames_are_squashed_standardised_and_averaged() -> None:
    model, frames = random_network(), random_frames(11)
    x = torch.tensor(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        grid = model(x)
    expected = grid.reshape(11, 2, 2, 2, 2, 16).mean(dim=(2, 4))
    encoder = PerceptionFeatures(model)
    features = encoder(frames)
    assert (encoder.frame_rate_hz, encoder.size_px, features.dtype) == (8, 16, torch.float32)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(PerceptionFeatures(model, pool=1)(frames), grid, atol=1e-5, rtol=1e-5)
    assert PerceptionFeatures(model, size_px=32)(random_frames(2, 40, 70)).shape == (2, 4, 4, 16)


@pytest.mark.parametrize("prefix", ["", "visual.", "module.", "module.visual."])
def test_published_files_are_read(tmp_path: Path, prefix: str) -> None:
    model, frames = random_network(), random_frames(1)
    state = {f"{prefix}{key}": value for key, value in model.state_dict().items()}
    if "visual" in prefix:
        state["logit_scale"] = torch.ones(1)
    torch.save({"state_dict": state}, tmp_path / "PE-Spatial.pt")
    loaded = PerceptionFeatures.load(tmp_path, TINY)
    assert torch.equal(loaded(frames), PerceptionFeatures(model)(frames))


def test_wrappers_inside_names_are_kept() -> None:
    assert set(strip_wrappers({"module.a.module.b": torch.ones(1)})) == {"a.module.b"}


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    torch.save(random_network().state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"1 unexpected \(class_embedding\), 1 of another shape"):
        PerceptionFeatures.load(tmp_path, replace(TINY, use_cls_token=False))


def test_pool_must_divide_the_grid() -> None:
    with pytest.raises(ValueError, match=r"pool is 3 and size_px 16, but 16 px give 4 x 4 patches of 4 px"):
        PerceptionFeatures(random_network(), pool=3)


def test_unknown_models_and_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no model 'PE-Core-L14-336'; choose one of PE-Spatial-G14"):
        PerceptionConfig.published("PE-Core-L14-336")
    with pytest.raises(ValueError, match="pool_type = 'attn' is not a setting of PE-Spatial"):
        PerceptionConfig.from_dict({"width": 16, "heads": 2, "pool_type": "attn"})
    with pytest.raises(ValueError, match="patchsize = 4 is not a setting"):
        PerceptionConfig.from_dict({"patchsize": 4})
    with pytest.raises(ValueError, match=r"width is 12; it must be a multiple of 4 x heads \(2\)"):
        replace(TINY, width=12)


def test_float_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frames is float64"):
        PerceptionFeatures(random_network())(np.zeros((1, 16, 16, 3)))
