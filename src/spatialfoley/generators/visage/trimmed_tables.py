"""Token tables without the rows that no allowed token reads: what small exported models store.

With `VisageConfig.token_ranges` a codebook may take few tokens of a large vocabulary (a gain takes 101 of
2048), but its embedding and its head have a row for each. A trimmed checkpoint keeps of every embedding the rows
of the range and the pad row, in this order, and of every head the rows of the range. Restored rows are zero: their
tokens can neither be drawn nor fed. Without token_ranges nothing is ever trimmed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from spatialfoley.generators.visage.config import VisageConfig

_EMBEDDING = re.compile(r"model\.decoder\.embed_dac\.(\d+)\.weight")
_HEAD = re.compile(r"dac_heads\.(\d+)\.(?:weight|bias)")


def trim_tables(state: Mapping[str, Tensor], config: VisageConfig) -> dict[str, Tensor]:
    """Weights of a network with its tables trimmed; all as they are where every token is allowed.

    Args:
        state: Weights by published key, tables whole.
        config: Of the network.
    """
    trimmed = dict(state)
    for key, codebook, is_embedding in _tables(state, config):
        first, end = _range(config, codebook)
        table = state[key][first:end]
        pad = config.dac_pad_token_id
        trimmed[key] = torch.cat([table, state[key][pad : pad + 1]]) if is_embedding else table
    return trimmed


def restore_tables(
    state: Mapping[str, Tensor], config: VisageConfig, source: Path | str
) -> dict[str, Tensor]:
    """Weights with whole tables, from a checkpoint with trimmed or whole ones.

    Args:
        state: Weights by published key.
        config: As stored beside them.
        source: What to name in errors.

    Raises:
        ValueError: If a table is neither whole nor trimmed to the token_ranges of `config`.
    """
    restored = dict(state)
    for key, codebook, is_embedding in _tables(state, config):
        whole = config.embedding_rows if is_embedding else config.dac_vocab_size
        first, end = _range(config, codebook)
        kept, table = end - first + is_embedding, state[key]
        if len(table) == whole:
            continue
        if len(table) != kept:
            raise ValueError(
                f"{source}: {key} has {len(table)} rows, but dac_vocab_size {config.dac_vocab_size} wants {whole} "
                f"or, trimmed to the token_ranges {first} to {end - 1}, {kept}; use the config.json that belongs "
                "to the weights"
            )
        restored[key] = table.new_zeros(whole, *table.shape[1:])
        restored[key][first:end] = table[: end - first]
        if is_embedding:
            restored[key][config.dac_pad_token_id] = table[-1]
    return restored


def _tables(state: Mapping[str, Tensor], config: VisageConfig) -> list[tuple[str, int, bool]]:
    """Key, codebook and whether it is an embedding, of every table that has a range."""
    if config.layout.allowed is None:
        return []
    found = []
    for key in state:
        for pattern in (_EMBEDDING, _HEAD):
            match = pattern.fullmatch(key)
            if match and int(match[1]) < config.codebooks and state[key].ndim:
                found.append((key, int(match[1]), pattern is _EMBEDDING))
    return found


def _range(config: VisageConfig, codebook: int) -> tuple[int, int]:
    allowed = config.layout.allowed
    return (0, config.dac_vocab_size) if allowed is None else allowed.ranges[codebook]
