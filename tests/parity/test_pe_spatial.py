"""PE-Spatial against stored runs of the published code with random weights, and its published sizes and keys.

Tolerance 1e-5: the network in float32 differs from itself in float64 by about 2e-6.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from spatialfoley.features.perception import PerceptionConfig, PerceptionEncoder, strip_wrappers
from tests.parity.cases import case_params

TOLERANCE = 1e-5


@pytest.mark.parametrize("path", case_params("codecs", "pe_spatial_*.safetensors"))
@torch.no_grad()
def test_features(path: Path) -> None:
    with safe_open(path, "pt") as stored:
        config = PerceptionConfig.from_dict(json.loads(stored.metadata()["config"]))
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    model = PerceptionEncoder(config).eval()
    weights = {key.removeprefix("w."): value for key, value in tensors.items() if key.startswith("w.")}
    model.load_state_dict(strip_wrappers(weights), strict=True)
    names = sorted({key.split(".")[0] for key in tensors if key.startswith("case")})
    assert names
    for name in names:
        image = tensors[f"{name}.image"]
        torch.testing.assert_close(model.tokens(image), tensors[f"{name}.full"], atol=TOLERANCE, rtol=0)
        grid = [side // config.patch_size for side in image.shape[2:]]
        features = model(image)
        assert list(features.shape[1:3]) == grid
        torch.testing.assert_close(
            features.flatten(1, 2), tensors[f"{name}.features"], atol=TOLERANCE, rtol=0
        )


@pytest.mark.parametrize("path", case_params("codecs", "pe_config_table.json"))
def test_published_sizes(path: Path) -> None:
    table = json.loads(path.read_text())
    spatial = {name: settings for name, settings in table.items() if name.startswith("PE-Spatial")}
    assert spatial
    for name, settings in spatial.items():
        assert PerceptionConfig.published(name) == PerceptionConfig.from_dict(settings), name


@pytest.mark.parametrize("path", case_params("codecs", "pe_spatial_*_keys.json"))
def test_published_keys(path: Path) -> None:
    names = {"l14": "PE-Spatial-L14-448"}
    config = PerceptionConfig.published(names[path.stem.split("_")[2]])
    with torch.device("meta"):
        model = PerceptionEncoder(config)
    expected = {key: tuple(shape) for key, shape in json.loads(path.read_text()).items()}
    assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == expected
