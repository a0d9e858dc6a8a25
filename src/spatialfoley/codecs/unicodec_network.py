"""UniCodec's network in the published key layout: encoder, one codebook, backbone, head.

Jiang et al., "UniCodec: Unified Audio Codec with Single Domain-Adaptive Codebook", ACL 2025; the codebook after
Zhu et al., "Addressing Representation Collapse in Vector Quantized Models with One Linear Layer" (SimVQ), 2024:
its entries are frozen random vectors, and what is learned is one projection of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.unicodec_config import UniCodecConfig
from spatialfoley.codecs.unicodec_decoder import UniCodecBackbone, UniCodecHead
from spatialfoley.codecs.unicodec_encoder import UniCodecEncoder
from spatialfoley.codecs.weight_norm import fold_weight_norm
from spatialfoley.weights import WeightsError, compare_keys

_PARTS = ("feature_extractor.", "backbone.", "head.")
_ENTRIES_SHARE = 0.25
_UNUSED_PREFIXES = ("feature_extractor.encodec.decoder.", "feature_extractor.encodec.encoder.mask_emb")
_UNUSED_SUFFIXES = (".linear1.weight", ".linear2.weight", ".layer_scale_2.scale")


class UniCodecNetwork(nn.Module):
    """Sound to tokens and back; a batch of single channels."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.config = config
        parts = nn.ModuleDict(
            {
                "encoder": UniCodecEncoder(config),
                "quantizer": nn.ModuleDict({"vq": ProjectedCodebook(config)}),
            }
        )
        self.feature_extractor = nn.ModuleDict({"encodec": parts})
        self.backbone = UniCodecBackbone(config)
        self.head = UniCodecHead(config)

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], rate_hz: int = 24000, heads: int = 8, source: str = "the checkpoint"
    ) -> UniCodecNetwork:
        """Build the network from published weights, of any size.

        Args:
            state: Weights by key, with weight norm or without. Unused layers may be among them, and what a
                trainer keeps beside the codec.
            rate_hz: Sample rate, which no weight tells.
            heads: Of the encoder's attention, which no weight tells.
            source: What to name in errors.

        Raises:
            ValueError: If keys or shapes do not fit; they are listed.
        """
        used = used_weights(state)
        try:
            config = UniCodecConfig.of_weights(used, rate_hz, heads)
        except KeyError as missing:
            raise WeightsError(
                f"{source} is no UniCodec checkpoint: {missing} is missing; give unicode.ckpt"
            ) from None
        with torch.device("meta"):
            network = cls(config)
        compare_keys({key: tuple(value.shape) for key, value in network.state_dict().items()}, used, source)
        network.load_state_dict({key: value.float() for key, value in used.items()}, assign=True)
        return network.eval()

    @property
    def encoder(self) -> UniCodecEncoder:
        """Sound to vectors."""
        return self.feature_extractor["encodec"]["encoder"]  # type: ignore[index]

    @property
    def codebook(self) -> ProjectedCodebook:
        """Vectors to tokens and back."""
        return self.feature_extractor["encodec"]["quantizer"]["vq"]  # type: ignore[index]

    def tokens(self, samples: Tensor, allowed: Sequence[range], entries: Tensor | None = None) -> Tensor:
        """Tokens (B, ceil(N / hop)) of sound (B, N).

        Args:
            samples: (B, N).
            allowed: Of every item, the part of the codebook from which its tokens are taken.
            entries: `codebook.entries()`, where they are at hand.
        """
        return nearest_entries(
            self.encoder(samples), self.codebook.entries() if entries is None else entries, allowed
        )

    def sound(self, tokens: Tensor, bandwidth: int = 0) -> Tensor:
        """Sound (B, S · hop) of tokens (B, S)."""
        chosen = torch.tensor([bandwidth], device=tokens.device)
        return self.head(self.backbone(self.codebook.entries()[tokens], chosen))

    def reconstruct(self, samples: Tensor, allowed: Sequence[range]) -> tuple[Tensor, Tensor]:
        """Training pass: what comes back of sound (B, N), as long as that, and the commitment loss.

        The gradient passes the choice of tokens unchanged. The loss draws vectors to their entries and, by a
        quarter as much, the projection of the entries to the vectors, as published.
        """
        vectors, entries = self.encoder(samples), self.codebook.entries()
        chosen = entries[nearest_entries(vectors.detach(), entries.detach(), allowed)]
        commitment = functional.mse_loss(vectors, chosen.detach())
        commitment = commitment + _ENTRIES_SHARE * functional.mse_loss(chosen, vectors.detach())
        passed = vectors + (chosen - vectors).detach()
        bandwidth = torch.zeros(1, dtype=torch.long, device=samples.device)
        return self.head(self.backbone(passed, bandwidth))[:, : samples.shape[1]], commitment


class ProjectedCodebook(nn.Module):
    """Entries that stay as they are, seen through a projection that is learned."""

    def __init__(self, config: UniCodecConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.codebook_size, config.width)
        self.embedding.requires_grad_(False)
        self.embedding_proj = nn.Linear(config.width, config.width)

    def entries(self) -> Tensor:
        """The projected codebook (V, width); of the published size it costs more than coding a second of sound."""
        return self.embedding_proj(self.embedding.weight)


def nearest_entries(vectors: Tensor, entries: Tensor, allowed: Sequence[range]) -> Tensor:
    """Tokens (B, S) of vectors (B, S, width): of each item the nearest of its allowed entries (V, width)."""
    half_square = 0.5 * entries.square().sum(-1)
    tokens = []
    for item, part in zip(vectors, allowed, strict=True):
        chosen = slice(part.start, part.stop)
        # |z - e|² / 2 without |z|², which is the same for all entries.
        distance = half_square[chosen] - item @ entries[chosen].T
        tokens.append(distance.argmin(-1) + part.start)
    return torch.stack(tokens)


def used_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a published checkpoint the weights that coding needs, weight norm multiplied out.

    Left out are the convolutional decoder that UniCodec inherited, the plain feed-forward that its experts
    replaced, the vector that stood in for masked frames while it was trained, and the trainer's other networks.
    """
    kept = {
        key: value
        for key, value in state.items()
        if key.startswith(_PARTS)
        and not key.startswith(_UNUSED_PREFIXES)
        and not key.endswith(_UNUSED_SUFFIXES)
    }
    return fold_weight_norm(kept)
