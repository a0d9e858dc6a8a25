"""The first model: Qwen2.5-Omni watches a clip, listens to it, and describes what is heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spatialfoley.dataset.captioning.found import FoundModel
from spatialfoley.dataset.captioning.omni_inputs import (
    FRAME_RATE_HZ,
    PatchSizes,
    interleaved,
    sound_frames,
    sound_tokens,
    video_patches,
)
from spatialfoley.dataset.captioning.prompts import DESCRIBE, DESCRIBE_SYSTEM
from spatialfoley.dataset.captioning.writing import END_OF_TURN, network_of, tokenizer_of, write

KINDS = ("qwen2_5_omni", "qwen2_5_omni_thinker")
"""Values of `model_type`: the published model, of which only the part that writes is loaded, or that part alone."""

_BEFORE = f"<|im_start|>system\n{DESCRIBE_SYSTEM}{END_OF_TURN}\n<|im_start|>user\n"
_AFTER = f"{DESCRIBE}{END_OF_TURN}\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Describer:
    """Qwen2.5-Omni without its voice.

    Attributes:
        model: Where it comes from.
        network: Qwen2_5OmniThinkerForConditionalGeneration.
        tokenizer: Of the same folder.
        least_px: Pixels of a resized frame at least.
        most_px: And at most; fewer take less memory.
    """

    model: FoundModel
    network: Any
    tokenizer: Any
    least_px: int
    most_px: int

    def describe(self, frames: np.ndarray, mono: np.ndarray, most_tokens: int) -> str:
        """What is heard in a clip.

        Args:
            frames: uint8 RGB (T, H, W, 3), 2 per second.
            mono: (N,) at 16 kHz.
            most_tokens: Of the answer.

        Raises:
            ValueError: The clip has another form.
        """
        return write(self.network, self.tokenizer, self.inputs(frames, mono), most_tokens)

    def inputs(self, frames: np.ndarray, mono: np.ndarray) -> dict[str, Any]:
        """Everything that `generate` takes, for one clip."""
        config = self.network.config
        vision = config.vision_config
        sizes = PatchSizes(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
        patches = video_patches(frames, sizes, self.least_px, self.most_px)
        heard = sound_frames(mono, config.audio_config.num_mel_bins)
        step_s = sizes.frames / FRAME_RATE_HZ
        order = interleaved(
            patches.grid[0],
            patches.tokens_per_step(sizes.merge),
            step_s,
            sound_tokens(heard.shape[1]),
            config.position_id_per_seconds,
            config.seconds_per_chunk,
        )
        device, dtype = self.network.device, self.network.dtype
        ids = torch.tensor([self._tokens(order)], device=device)
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values_videos": patches.rows.to(device, dtype),
            "video_grid_thw": torch.tensor([patches.grid], device=device),
            "video_second_per_grid": torch.tensor([step_s], device=device),
            "input_features": heard[None].to(device, dtype),
            "feature_attention_mask": torch.ones(1, heard.shape[1], dtype=torch.long, device=device),
            "use_audio_in_video": True,
        }

    def _tokens(self, order: list[bool]) -> list[int]:
        """The conversation with the clip in its middle: picture and sound between two marks each."""
        config = self.network.config
        clip = [config.video_token_id if picture else config.audio_token_id for picture in order]
        opened = [config.vision_start_token_id, config.audio_start_token_id]
        closed = [config.audio_end_token_id, config.vision_end_token_id]
        before, after = (
            self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (_BEFORE, _AFTER)
        )
        return [*before, *opened, *clip, *closed, *after]


def load_describer(
    model: FoundModel, device: torch.device, dtype: torch.dtype, least_px: int, most_px: int
) -> Describer:
    """Load it.

    Raises:
        WeightsError: Something is missing or does not fit.
    """
    from transformers import AutoConfig, Qwen2_5OmniThinkerForConditionalGeneration

    config = AutoConfig.from_pretrained(model.folder, local_files_only=True)
    network = network_of(
        Qwen2_5OmniThinkerForConditionalGeneration,
        model,
        device,
        dtype,
        config=getattr(config, "thinker_config", config),
    )
    return Describer(model, network, tokenizer_of(model), least_px, most_px)
