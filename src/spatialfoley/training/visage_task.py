"""Task `visage`: the token generator, published or tiny, mono pre-training included."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from spatialfoley.codecs.grouped import group_codes
from spatialfoley.dataset.clip_tensors import ClipTensors
from spatialfoley.dataset.world_tokens import WorldTokensSettings, world_clip_tensors
from spatialfoley.dataset.world_turns import WorldTurnsSettings, world_turns
from spatialfoley.generators.visage.allowed_tokens import AllowedTokens
from spatialfoley.generators.visage.checkpoint import start_from
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import VisageConditions, VisageModel
from spatialfoley.generators.visage.objective import codebook_loss, drop_conditions, sparse_codebook_loss
from spatialfoley.generators.visage.trimmed_tables import trim_tables
from spatialfoley.training.checkpoints import export_tensors
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping


@dataclasses.dataclass(frozen=True)
class VisageData:
    """Where the clip tensors lie, and how they are made from the synthetic world when missing."""

    folder: str
    world: WorldTokensSettings | None = None
    """In the camera's axes, with the mirror image of each clip."""
    world_turns: WorldTurnsSettings | None = None
    """In the world's axes, each clip under several yaws."""
    variant_probability: float = 0.5
    """Chance of an augmented variant of a clip (published: a quarter turn, 0.5)."""

    def __post_init__(self) -> None:
        if self.world is not None and self.world_turns is not None:
            raise RecipeError(
                "data has both world and world_turns; give the one whose axes the model generates in"
            )

    def open(self) -> ClipTensors:
        """The clip tensors, made first where that is wanted."""
        folder = Path(self.folder)
        if self.world is not None:
            return world_clip_tensors(self.world, folder)
        return ClipTensors(folder) if self.world_turns is None else world_turns(self.world_turns, folder)


@dataclasses.dataclass(frozen=True)
class VisageObjective:
    """How conditions are dropped for guidance; the chance is the model's cfg_dropout_prob."""

    drop_rule: Literal["published", "per_sample"] = "per_sample"
    spatial_fine_share: float = 1.0
    """Share of rows on which the finer levels of Y, Z, X are learnt, drawn anew at each step. They are most of
    the heads' work and, written relative to W, the least of the learning."""
    masked_loss: bool = False
    """Whether tokens outside the model's token_ranges have the probability 0 in the loss, as in sampling."""


class VisageTask:
    """Clip tensors in, the published sum of codebook losses out."""

    def __init__(self, settings: TrainingSettings) -> None:
        data = from_mapping(VisageData, settings.data, "data")
        self.clips = data.open()
        self.variant_probability = data.variant_probability
        self.objective = from_mapping(VisageObjective, settings.objective, "objective")
        self.batch_size = settings.batch_size
        try:
            self.config = VisageConfig.from_dict(settings.model)
        except ValueError as error:
            raise RecipeError(f"model: {error}") from None
        self._check_shapes()
        every = (0, self.config.dac_vocab_size)
        self._tokens = self.config.layout.allowed or AllowedTokens((every,) * self.config.codebooks)
        torch.manual_seed(settings.seed)
        self.visage = VisageModel(self.config)
        if settings.initialize_from is not None:
            start_from(self.visage, Path(settings.initialize_from))
        self.model: nn.Module = TrainingPass(self.visage, self.objective.masked_loss)

    def _check_shapes(self) -> None:
        """Clips may hold the codes of single codec frames where the model takes several in a row."""
        codes, embedding = self.clips.arrays["codes"], self.clips.arrays["embedding"]
        found = {"codebooks": codes.shape[-1], "d_clip": embedding.shape[-1]}
        wanted = {"codebooks": self.config.codebooks, "d_clip": self.config.d_clip}
        single = wanted["codebooks"] // self.config.frames_per_row
        self.group = self.config.frames_per_row if found["codebooks"] == single else 1
        if {**found, "codebooks": found["codebooks"] * self.group} != wanted:
            ungrouped = f" (or {single}, of single codec frames)" if single != wanted["codebooks"] else ""
            raise RecipeError(f"the clip tensors have {found}, but the model is set to {wanted}{ungrouped}")

    def batch(self, generator: torch.Generator) -> tuple[VisageConditions, Tensor]:
        """Conditions and codes [B, S, K] of clips drawn with replacement."""
        clips = torch.randint(len(self.clips), (self.batch_size,), generator=generator)
        augmented = torch.rand(self.batch_size, generator=generator) < self.variant_probability
        variants = torch.zeros(self.batch_size, dtype=torch.long)
        if self.clips.variants > 1:
            others = torch.randint(1, self.clips.variants, (self.batch_size,), generator=generator)
            variants = torch.where(augmented, others, variants)
        taken = self.clips.take(clips.numpy(), variants.numpy())
        conditions = VisageConditions(
            frames=torch.from_numpy(taken.embedding.astype(np.float32)),
            energy_map=torch.from_numpy(taken.energy_map.astype(np.float32)),
            direction=torch.from_numpy(taken.direction.astype(np.float32)),
        )
        codes = torch.from_numpy(taken.codes.astype(np.int64))
        codes = torch.where(codes < 0, self.config.dac_pad_token_id, codes)
        codes = group_codes(codes, self.config.layout.codec_levels, self.group, self.config.dac_pad_token_id)
        self._tokens.refuse(codes, self.config.dac_pad_token_id)
        return conditions, codes

    def loss(
        self, model: nn.Module, batch: tuple[VisageConditions, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Sum over codebooks of the mean cross-entropy, with conditions dropped for guidance."""
        conditions, codes = batch
        device = next(model.parameters()).device
        conditions = drop_conditions(
            conditions, self.config.cfg_dropout_prob, self.objective.drop_rule, generator
        )
        conditions = conditions.to(device)
        total, per_codebook = model(
            conditions, codes.to(device), self._fine_frames(codes.shape[1], generator)
        )
        return total, self._figures(per_codebook)

    def _fine_frames(self, frames: int, generator: torch.Generator) -> Tensor | None:
        """Frames whose finer levels of Y, Z, X are learnt at this step; None for all."""
        count = round(self.objective.spatial_fine_share * frames)
        return None if count == frames else torch.randperm(frames, generator=generator)[:count].sort().values

    def _figures(self, per_codebook: Tensor) -> dict[str, float]:
        """Mean loss of each part: first level and finer levels, of W and of Y, Z, X."""
        layout = self.config.layout
        table = per_codebook.detach().cpu().unflatten(0, (layout.channels, -1, layout.codec_levels))
        w, others = table[0], table[1:]
        figures = {"w_first": w[:, 0].mean().item()}
        if len(others):
            figures["yzx_first"] = others[:, :, 0].mean().item()
        if layout.codec_levels > 1:
            figures["w_fine"] = w[:, 1:].mean().item()
            if len(others):
                figures["yzx_fine"] = others[:, :, 1:].mean().item()
        return figures

    def export(self, folder: Path) -> None:
        """Write config.json and model.safetensors in the published layout (float16), tables trimmed."""
        state = trim_tables(self.visage.state_dict(), self.config)
        export_tensors(state, folder / "model.safetensors", self.config.to_dict(), folder / "config.json")


class TrainingPass(nn.Module):
    """Conditions and codes in, losses out: what a distributed wrapper has to see as one forward."""

    def __init__(self, visage: VisageModel, masked_loss: bool = False) -> None:
        super().__init__()
        self.visage = visage
        self.allowed = visage.layout.allowed if masked_loss else None

    def forward(
        self, conditions: VisageConditions, codes: Tensor, fine_frames: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Sum of the codebooks' losses, and each of them (K,); see `sparse_codebook_loss` for fine_frames."""
        visage, layout = self.visage, self.visage.layout
        rows = layout.interleave(codes)
        hidden = visage.decode_teacher(rows[:, :-1], visage.encode(conditions))
        labels, smoothing = layout.labels(rows), visage.config.label_smoothing
        if fine_frames is None and self.allowed is not None:
            # All frames: only the tokens that a codebook may take are computed.
            fine_frames = torch.arange(codes.shape[1], device=codes.device)
        if fine_frames is None or layout.channels == 1:
            window = None if self.allowed is None else self.allowed.window
            loss = codebook_loss(visage.row_logits(hidden, window), labels, layout, smoothing, self.allowed)
        else:
            loss = sparse_codebook_loss(visage, hidden, labels, fine_frames, smoothing, self.allowed)
        return loss.total, loss.per_codebook
