"""Leaves out what is mostly speech, or mostly music, where a tagger that can tell is installed.

None is built in: a detector of loud stretches is no detector of speech. ``tagger`` names an object of a module, as
``package.module:NAME``, see `spatialfoley.dataset.screening.content.ContentTagger`; without one the stage says in
the facts that nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.screening.content import load_tagger, shares_of, why_unwanted
from spatialfoley.media.sound_file import SoundFile


@dataclass(frozen=True)
class ContentShare:
    """Asks a tagger for the share of time of each kind of sound.

    Attributes:
        tagger: ``package.module:NAME``; empty: nothing is measured.
        most: Largest share of time by label, such as {speech: 0.5, music: 0.5}.
        role: The sound; of a field W is heard.
    """

    version: ClassVar[int] = 1
    tagger: str = ""
    most: Mapping[str, float] = field(default_factory=dict)
    role: str = "foa"

    def __post_init__(self) -> None:
        for label, share in self.most.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                raise ValueError(f"most: {label} is {share!r}; it is a share of time from 0 to 1")
        if self.tagger:
            load_tagger(self.tagger)
        elif self.most:
            raise ValueError("most is given but tagger is not; name the tagger that measures the shares")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Measure the shares."""
        if not self.tagger:
            return Passed((record.with_(facts={"content": "not measured: no tagger is named"}),))
        tagger = load_tagger(self.tagger)
        sound = SoundFile.open(space.path(record.file(self.role)))
        shares = shares_of(tagger, (block[0] for block in sound.blocks()), sound.rate_hz)
        reason = why_unwanted(shares, self.most)
        if reason is not None:
            return Rejected(
                reason[0], reason[1], {f"{label}_share": share for label, share in shares.items()}
            )
        return Passed((record.with_(facts={"content": shares, "content_tagger": tagger.name}),))


STAGE = ContentShare
