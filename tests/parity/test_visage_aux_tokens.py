"""The token layout against the published preparation of tokens and labels. Everything must be equal."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from spatialfoley.generators.visage.token_layout import TokenLayout
from tests.parity.cases import case_params

pytestmark = pytest.mark.parametrize("path", case_params("visage", "aux_*.npz"))


def read_levels(path: Path) -> list[tuple[int, dict[str, Tensor]]]:
    """The arrays of every number of levels in the file."""
    with np.load(path) as arrays:
        levels = sorted({int(found[1]) for name in arrays if (found := re.match(r"dac_n(\d+)_codes$", name))})
        return [
            (
                n,
                {
                    name: torch.from_numpy(arrays[name].astype(np.int64))
                    for name in arrays
                    if f"_n{n}_" in name
                },
            )
            for n in levels
        ]


def pad_of(rows: Tensor) -> int:
    """Row 0 holds one codebook; its second cell is padding."""
    return int(rows[0, 1])


def test_ambisonic_rows_and_labels(path: Path) -> None:
    cases = read_levels(path)
    assert cases
    for levels, stored in cases:
        codes = stored[f"dac_n{levels}_codes"]
        expected = stored[f"dac_n{levels}_decoder_input_ids_with_last_row"]
        layout = TokenLayout(levels, channels=codes.shape[1] // levels, pad_id=pad_of(expected))
        rows = layout.interleave(codes[None])
        assert torch.equal(rows[0], expected)
        assert torch.equal(layout.labels(rows)[0], stored[f"dac_n{levels}_labels"])
        assert torch.equal(layout.deinterleave(rows)[0], codes)


def test_mono_rows(path: Path) -> None:
    for levels, stored in read_levels(path):
        expected = stored[f"dac_mono_n{levels}_decoder_input_ids"]
        layout = TokenLayout(levels, channels=1, pad_id=pad_of(expected))
        rows = layout.interleave(stored[f"dac_n{levels}_codes"][None, :, :levels])
        assert torch.equal(rows[0], expected)
        assert torch.equal(layout.deinterleave(rows)[0], stored[f"dac_n{levels}_codes"][:, :levels])
