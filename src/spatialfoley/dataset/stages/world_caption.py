"""Captions of clips of the synthetic world as they truly are: for models trained with text and for tests.

After the stage that cuts clips. "Visible sound: bell ringing, Invisible sound: bird chirping".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spatialfoley.dataset.captioning.world_truth import caption_of, heard_in_clip
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Workspace


@dataclass(frozen=True)
class WorldCaption:
    """Adds `caption`, or `caption_missing` to clips in which nothing sounds.

    Attributes:
        least_db: Moments at which a source is quieter than this, re full scale, do not count as sounding.
        least_in_view: Share of its sounding time that a source must be in the picture to be visible.
    """

    version: ClassVar[int] = 1
    least_db: float = -60.0
    least_in_view: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.least_in_view <= 1:
            raise ValueError(f"least_in_view is {self.least_in_view:g}; give a share above 0, at most 1")
        if not self.least_db < 0:
            raise ValueError(f"least_db is {self.least_db:g}; give decibels below 0, such as -60")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Say what is heard, and whether it is seen."""
        absent = [name for name in ("seed", "scene", "duration_s") if name not in record.facts]
        if absent or record.facts.get("source") != "world":
            raise ItemProblem(
                "missing",
                f"record {record.id} is no clip of the synthetic world, whose truth is known; "
                "use the stages describe and distil for its caption",
            )
        caption = caption_of(heard_in_clip(record.facts, self.least_db), self.least_in_view)
        if caption is None:
            missing = {"caption_missing": "no_sound", "caption_missing_because": "nothing sounds in the clip"}
            return Passed((record.with_(facts=missing),))
        by = {"model": "the truth of the world", "licence": "MIT"}
        return Passed((record.with_(facts={"caption": caption.labelled, "caption_by": by}),))


STAGE = WorldCaption
