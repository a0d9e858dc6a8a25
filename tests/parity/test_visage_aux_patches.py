"""Patch saliency against the published computation, in float32 on stored float16 features.

Tolerance 1e-5: scores are of order 1, and no patch of these files lies near the threshold of the filter.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spatialfoley.features.patch_saliency import (
    energy_map,
    filtered_energy_map,
    filtered_scores,
    patch_scores,
)
from tests.parity.cases import case_params

TOLERANCE = 1e-5

pytestmark = pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))


def patches_of(path: Path) -> Tensor:
    with np.load(path) as arrays:
        return torch.from_numpy(arrays["patch_features_f16"].astype(np.float32))[:, 1:]


def assert_equals_stored(path: Path, name: str, actual: Tensor) -> None:
    with np.load(path) as arrays:
        torch.testing.assert_close(actual, torch.from_numpy(arrays[name]), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("name", "compute"),
    [
        ("spatial_score", lambda p: patch_scores(p).spatial),
        ("temporal_score", lambda p: patch_scores(p).temporal),
        ("energy_map", lambda p: energy_map(patch_scores(p))),
        ("filtered_spatial_score", lambda p: filtered_scores(patch_scores(p)).spatial),
        ("filtered_temporal_score", lambda p: filtered_scores(patch_scores(p)).temporal),
        ("filtered_energy_map", filtered_energy_map),
    ],
)
def test_patch_arrays(path: Path, name: str, compute: Callable[[Tensor], Tensor]) -> None:
    assert_equals_stored(path, f"patch_{name}", compute(patches_of(path)))


def test_single_frame(path: Path) -> None:
    patches = patches_of(path)[:1]
    scores = patch_scores(patches)
    assert_equals_stored(path, "patch_T1_spatial_score", scores.spatial)
    assert_equals_stored(path, "patch_T1_temporal_score", scores.temporal)
    assert_equals_stored(path, "patch_T1_filtered_energy_map", filtered_energy_map(patches))
