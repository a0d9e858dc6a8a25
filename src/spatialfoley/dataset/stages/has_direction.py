"""Leaves out clips whose sound comes from everywhere alike: a camera that faces the loudest direction has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace


@dataclass(frozen=True)
class HasDirection:
    """Looks at what a builder of clips measured.

    Attributes:
        least_contrast: (most - least) / (most + least) of the energy over all directions, from 0 to 1. One plane
            wave has 1; silence, and sound in W alone, have 0.
    """

    version: ClassVar[int] = 1
    least_contrast: float = 0.02

    def __post_init__(self) -> None:
        if not 0.0 <= self.least_contrast <= 1.0:
            raise ValueError(f"least_contrast is {self.least_contrast}; it must be from 0 to 1")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Compare."""
        contrast = record.facts.get("peak_contrast")
        if contrast is None:
            raise ItemProblem(
                "missing", f"record {record.id} has no peak_contrast; a builder of clips measures it"
            )
        if contrast >= self.least_contrast:
            return Passed((record,))
        return Rejected(
            "undirected",
            f"its energy differs by {contrast:.3f} over all directions; at least {self.least_contrast:g} is wanted",
            {"peak_contrast": contrast},
        )


STAGE = HasDirection
