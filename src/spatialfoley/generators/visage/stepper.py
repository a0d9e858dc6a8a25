"""The plain way to run the decoder row by row: documented operations, a cache that grows.

It is the meaning of a step; faster decoders must return the same logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spatialfoley.generators.visage.model import VisageModel

StepFunction = Callable[[int, Tensor | None], Tensor]
"""(row index, tokens (B, K) of the row before, None for row 0) -> logits (branches, B, active codebooks, V).

Rows are asked for in order from 0. The active codebooks are those of `TokenLayout.active_codebooks`; the logits are
those of the tokens of `TokenLayout.window` where there is one.
"""


def plain_stepper(model: VisageModel, encoder_hidden: Tensor, rows: int) -> StepFunction:
    """Start decoding a batch of clips.

    Args:
        model: The network, in evaluation mode.
        encoder_hidden: Encoder states (branches, B, T + 2, D); every branch is fed the same tokens.
        rows: Decoder rows that the clips will have.

    Raises:
        ValueError: If there are more rows than positions.
    """
    model.check_row_count(rows)
    branches, batch = encoder_hidden.shape[:2]
    states = encoder_hidden.flatten(0, 1)
    decoder = model.model.decoder
    cross = [layer.encoder_attn.keys_and_values(states) for layer in decoder.layers]
    cache: list[tuple[Tensor, Tensor] | None] = [None] * len(decoder.layers)

    @torch.inference_mode()
    def step(row_index: int, previous_row: Tensor | None) -> Tensor:
        if previous_row is None:
            tokens = decoder.bos.expand(branches * batch, 1, -1)
        else:
            tokens = decoder.embed_tokens(previous_row[:, None]).repeat(branches, 1, 1)
        x = decoder.embed(tokens, row_index, states)
        for index, layer in enumerate(decoder.layers):
            keys, values = layer.self_attn.keys_and_values(x)
            past = cache[index]
            if past is not None:
                keys, values = torch.cat([past[0], keys], dim=2), torch.cat([past[1], values], dim=2)
            cache[index] = (keys, values)
            x = layer.after_self_attention(x, layer.self_attn.attend(x, keys, values), *cross[index])
        active = model.layout.active_codebooks(row_index, rows - 1)
        return model.stacked_logits(x[:, 0], active, model.layout.window).unflatten(0, (branches, batch))

    return step
