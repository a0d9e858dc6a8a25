"""Labels every clip with a classifier that the user has installed, for the share of labels that a set covers.

Give the stage once for every list of labels: one tagger of sound for AudioSet, one of pictures for ImageNet. What a
tagger is, says `spatialfoley.dataset.tagging.taggers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Workspace
from spatialfoley.dataset.tagging.taggers import FloatArray, FoundTagger, find_tagger
from spatialfoley.dataset.watching import clip_frames, clip_mono


@dataclass(frozen=True)
class Tag:
    """Adds the clip's first label of a list to `labels`, and whose it is to `labels_by`.

    Attributes:
        tagger: Name of an installed plug-in.
        device: Passed on to it.
        frame_rate_hz: Frames per second that a tagger of pictures is shown.
        view: Role of the clip's picture.
    """

    version: ClassVar[int] = 1
    tagger: str
    device: str = "cpu"
    frame_rate_hz: float = 1.0
    view: str = "view"

    def __post_init__(self) -> None:
        if not self.frame_rate_hz > 0:
            raise ValueError(f"frame_rate_hz is {self.frame_rate_hz:g}; give a number above 0")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Listen or look."""
        try:
            found = find_tagger(self.tagger, self.device)
        except ValueError as problem:
            raise ItemProblem("missing", str(problem)) from problem
        label, score = found.best(self._scores(found, record, space))
        vocabulary, facts = found.tagger.label_set, record.facts
        by = {
            "tagger": found.name,
            "licence": found.licence,
            "weights_sha256": found.tagger.weights_sha256,
            "of": len(found.tagger.labels),
            "score": score,
        }
        more = {
            "labels": {**facts.get("labels", {}), vocabulary: [label]},
            "labels_by": {**facts.get("labels_by", {}), vocabulary: by},
        }
        return Passed((record.with_(facts=more),))

    def _scores(self, found: FoundTagger, record: Record, space: Workspace) -> FloatArray:
        scores: FloatArray
        if found.sense == "sound":
            scores = found.tagger.tag_sound(*clip_mono(record, space))
        else:
            frames = clip_frames(record, space, self.view, self.frame_rate_hz)
            scores = found.tagger.tag_frames(frames, self.frame_rate_hz)
        return scores


STAGE = Tag
