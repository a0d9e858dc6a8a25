"""Describes what is heard in a clip, with Qwen2.5-Omni: the first of the two stages of a caption.

After the stage that cuts clips, before "distil". A clip of which the model says nothing is kept, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from spatialfoley.dataset.captioning.found import check_device
from spatialfoley.dataset.captioning.prompts import CAPTION_VERSION
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, TransientProblem, Workspace
from spatialfoley.dataset.watching import clip_frames, clip_mono
from spatialfoley.weights import WeightsError

if TYPE_CHECKING:
    from spatialfoley.dataset.captioning.describer import Describer

LEAST_FRAME_PX = 28 * 28


@dataclass(frozen=True)
class Describe:
    """Adds `description` and `description_by`, or `caption_missing`.

    Attributes:
        model: A known name, or the folder of a Qwen2.5-Omni.
        device: "auto", "cpu", "cuda" (workers take the GPUs in turn) or "cuda:1".
        most_tokens: Of the description.
        least_px: Pixels of a frame at least; 100352 is the model's own limit.
        most_px: And at most; fewer take less memory.
        view: Role of the clip's picture.
    """

    version: ClassVar[int] = CAPTION_VERSION
    model: str = "qwen2.5-omni-7b"
    device: str = "auto"
    most_tokens: int = 256
    least_px: int = 128 * 28 * 28
    most_px: int = 768 * 28 * 28
    view: str = "view"

    def __post_init__(self) -> None:
        check_device(self.device)
        if self.most_tokens < 1:
            raise ValueError(f"most_tokens is {self.most_tokens}; it must be at least 1")
        if not LEAST_FRAME_PX <= self.least_px <= self.most_px:
            raise ValueError(
                f"least_px is {self.least_px} and most_px {self.most_px}; give at least {LEAST_FRAME_PX}, and "
                "most_px not below least_px"
            )

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Watch and listen."""
        from spatialfoley.dataset.captioning.omni_inputs import FRAME_RATE_HZ
        from spatialfoley.dataset.captioning.writing import whole_sentences

        if "caption" in record.facts:
            return Passed((record,))
        frames = clip_frames(record, space, self.view, FRAME_RATE_HZ)
        mono = _heard(record, space)
        describer, text = self._asked(frames, mono)
        by = {"description_by": describer.model.facts()}
        if not text:
            missing = {"caption_missing": "empty", "caption_missing_because": "nothing was described"}
            return Passed((record.with_(facts={**by, **missing}),))
        return Passed((record.with_(facts={**by, "description": whole_sentences(text)}),))

    def _asked(self, frames: np.ndarray, mono: np.ndarray) -> tuple[Describer, str]:
        import torch

        from spatialfoley.dataset.captioning.held import NoDeviceError, alone, held

        key = ("describe", self.model, self.device, self.least_px, self.most_px)
        try:
            describer = held(key, self._load)
            return describer, alone(key, lambda: describer.describe(frames, mono, self.most_tokens))
        except (WeightsError, NoDeviceError) as problem:
            raise ItemProblem("missing", str(problem)) from problem
        except torch.OutOfMemoryError as problem:
            raise TransientProblem(
                "memory", f"{self.model} does not fit on its device; lower most_px or take a smaller model"
            ) from problem

    def _load(self) -> Describer:
        from spatialfoley.dataset.captioning.describer import KINDS, load_describer
        from spatialfoley.dataset.captioning.found import find_model
        from spatialfoley.dataset.captioning.held import device_of, dtype_of

        device = device_of(self.device)
        found = find_model(self.model, KINDS)
        return load_describer(found, device, dtype_of(device), self.least_px, self.most_px)


def _heard(record: Record, space: Workspace) -> np.ndarray:
    """The clip's sound (N,) at 16 kHz."""
    from spatialfoley.dataset.captioning.omni_inputs import LEAST_S, LONGEST_S, SOUND_RATE_HZ

    mono, _ = clip_mono(record, space, SOUND_RATE_HZ)
    length_s = len(mono) / SOUND_RATE_HZ
    if not LEAST_S <= length_s <= LONGEST_S:
        raise ItemProblem(
            "format",
            f"clip {record.id} lasts {length_s:.2f} s; {LEAST_S:g} to {LONGEST_S:g} s can be described",
        )
    return mono


STAGE = Describe
