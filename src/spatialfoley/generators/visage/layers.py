"""The layers of both halves of the network: post-norm, as in BART, without a norm at the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.generators.visage.config import VisageConfig


class Attention(nn.Module):
    """Multi-head attention with biased projections."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def split(self, projected: Tensor) -> Tensor:
        """(B, L, D) -> (B, heads, L, D / heads)."""
        return projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_and_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Split keys and values (B, heads, L, D / heads) of source (B, L, D)."""
        return self.split(self.k_proj(source)), self.split(self.v_proj(source))

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, *, causal: bool = False) -> Tensor:
        """Attend from x (B, L, D) to split keys and values (B, heads, L', D / heads)."""
        dropout = self.dropout if self.training else 0.0
        queries = self.split(self.q_proj(x))
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, dropout_p=dropout, is_causal=causal
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, source: Tensor, *, causal: bool = False) -> Tensor:
        """Attend from x (B, L, D) to source (B, L', D)."""
        return self.attend(x, *self.keys_and_values(source), causal=causal)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed by its norm."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        width = config.d_model
        self.dropout, self.activation_dropout = config.dropout, config.activation_dropout
        self.self_attn = Attention(width, config.encoder_attention_heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        x = self.self_attn_layer_norm(x + self._drop(self.self_attn(x, x)))
        return self.final_layer_norm(x + self.feed_forward(x))

    def feed_forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D), without the residual."""
        hidden = functional.dropout(functional.gelu(self.fc1(x)), self.activation_dropout, self.training)
        return self._drop(self.fc2(hidden))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoder and feed-forward, each followed by its norm."""

    def __init__(self, config: VisageConfig) -> None:
        super().__init__()
        width, heads = config.d_model, config.decoder_attention_heads
        self.dropout, self.activation_dropout = config.dropout, config.activation_dropout
        self.self_attn = Attention(width, heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = Attention(width, heads, config.attention_dropout)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.decoder_ffn_dim)
        self.fc2 = nn.Linear(config.decoder_ffn_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, encoder_hidden: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D), all positions at once."""
        attended = self.self_attn(x, x, causal=True)
        return self.after_self_attention(x, attended, *self.encoder_attn.keys_and_values(encoder_hidden))

    def after_self_attention(self, x: Tensor, attended: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The rest of the layer, given the self-attention's output and the encoder's keys and values."""
        x = self.self_attn_layer_norm(x + self._drop(attended))
        x = self.encoder_attn_layer_norm(x + self._drop(self.encoder_attn.attend(x, keys, values)))
        hidden = functional.dropout(functional.gelu(self.fc1(x)), self.activation_dropout, self.training)
        return self.final_layer_norm(x + self._drop(self.fc2(hidden)))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


def empty_table(rows: int, width: int, padding_idx: int | None = None) -> nn.Embedding:
    """An embedding that `VisageModel` initialises, and nobody before it.

    The initialisation inside `nn.Embedding`, on the meta device on which checkpoints are loaded, would import
    torch's compiler: seconds, for nothing.
    """
    return nn.Embedding(rows, width, padding_idx, _weight=torch.empty(rows, width))
