"""Brings descriptions into the form of BiAudio's captions, with Qwen3: the second of the two stages of a caption.

"Visible sound: ..., Invisible sound: ...". A clip for which the model finds no caption is kept, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from spatialfoley.dataset.captioning.found import check_device
from spatialfoley.dataset.captioning.prompts import CAPTION_VERSION
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, TransientProblem, Workspace
from spatialfoley.weights import WeightsError

if TYPE_CHECKING:
    from spatialfoley.dataset.captioning.answers import Unusable
    from spatialfoley.dataset.captioning.distiller import Distiller
    from spatialfoley.dataset.captions import BiaudioCaption


@dataclass(frozen=True)
class Distil:
    """Adds `caption` and `caption_by`, or `caption_missing`.

    Attributes:
        model: A known name, or the folder of a language model.
        device: "auto", "cpu", "cuda" (workers take the GPUs in turn) or "cuda:1".
        attempts: How often the model is asked; from the second time on it is told what was wrong.
        most_tokens: Of an answer.
    """

    version: ClassVar[int] = CAPTION_VERSION
    model: str = "qwen3-30b-a3b-instruct-2507"
    device: str = "auto"
    attempts: int = 2
    most_tokens: int = 160

    def __post_init__(self) -> None:
        check_device(self.device)
        for name in ("attempts", "most_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Ask for the caption."""
        from spatialfoley.dataset.captioning.answers import Unusable

        if "caption" in record.facts or "caption_missing" in record.facts:
            return Passed((record,))
        if "description" not in record.facts:
            raise ItemProblem(
                "missing", f"record {record.id} has no description; the stage describe makes it"
            )
        distiller, found = self._asked(record.facts["description"])
        by = {"caption_by": distiller.model.facts()}
        if isinstance(found, Unusable):
            missing = {"caption_missing": found.reason, "caption_missing_because": found.sentence}
            return Passed((record.with_(facts={**by, **missing}),))
        return Passed((record.with_(facts={**by, "caption": found.labelled}),))

    def _asked(self, description: str) -> tuple[Distiller, BiaudioCaption | Unusable]:
        import torch

        from spatialfoley.dataset.captioning.held import NoDeviceError, alone, held

        key = ("distil", self.model, self.device)
        try:
            distiller = held(key, self._load)
            return distiller, alone(
                key, lambda: distiller.distil(description, self.attempts, self.most_tokens)
            )
        except (WeightsError, NoDeviceError) as problem:
            raise ItemProblem("missing", str(problem)) from problem
        except torch.OutOfMemoryError as problem:
            raise TransientProblem(
                "memory", f"{self.model} does not fit on its device; take a smaller model"
            ) from problem

    def _load(self) -> Distiller:
        from spatialfoley.dataset.captioning.distiller import load_distiller
        from spatialfoley.dataset.captioning.found import find_model
        from spatialfoley.dataset.captioning.held import device_of, dtype_of

        device = device_of(self.device)
        return load_distiller(find_model(self.model, ()), device, dtype_of(device))


STAGE = Distil
