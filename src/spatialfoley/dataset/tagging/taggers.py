"""Classifiers of sound or pictures that the user installs, under the entry-point group `spatialfoley.tagger`.

    [project.entry-points."spatialfoley.tagger"]
    passt = "my_package:load"

`load` has the attribute `licence`, one line on the weights, and `load(device)` returns a tagger of sound (with
`tag_sound`) or of pictures (with `tag_frames`). ViSAGe's authors count labels that a clip gets first, of 527 of
AudioSet for its sound and of 1000 of ImageNet for its picture: call these lists "audioset" and "imagenet", and the
statistics of a set tell the share that it covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from spatialfoley.weights.plugins import PluginGroup

FloatArray = NDArray[np.floating]
Sense = Literal["sound", "picture"]

TAGGERS = PluginGroup(
    name="spatialfoley.tagger",
    what="tagger",
    example="",
    otherwise="or leave the stage out",
    parts=("label_set", "labels", "weights_sha256"),
)
_METHODS: dict[Sense, str] = {"sound": "tag_sound", "picture": "tag_frames"}


class Tagger(Protocol):
    """What every plug-in has, besides `tag_sound` or `tag_frames`.

    Attributes:
        label_set: Name of the list of labels, such as "audioset".
        labels: The labels, one a score.
        weights_sha256: Hash of the weights.
    """

    label_set: str
    labels: Sequence[str]
    weights_sha256: str


class SoundTagger(Tagger, Protocol):
    """A classifier of sound."""

    def tag_sound(self, mono: FloatArray, rate_hz: int) -> FloatArray:
        """Scores (labels,) of a waveform (N,) in -1 to 1; larger is more likely."""
        ...


class FrameTagger(Tagger, Protocol):
    """A classifier of pictures."""

    def tag_frames(self, frames: NDArray[np.uint8], frame_rate_hz: float) -> FloatArray:
        """Scores (labels,) of a silent video: uint8 RGB (T, H, W, 3); larger is more likely."""
        ...


@dataclass(frozen=True)
class FoundTagger:
    """A tagger at work.

    Attributes:
        name: Of the plug-in.
        licence: Of its weights, in its words.
        sense: What it classifies.
        tagger: Itself: a SoundTagger or a FrameTagger, as `sense` says.
    """

    name: str
    licence: str
    sense: Sense
    tagger: Any

    def best(self, scores: FloatArray) -> tuple[str, float]:
        """The label with the largest score, the first of equal ones, and the score.

        Raises:
            ValueError: There is not one finite score for every label.
        """
        found = np.asarray(scores, dtype=np.float64)
        if found.shape != (len(self.tagger.labels),) or not np.all(np.isfinite(found)):
            raise ValueError(
                f"tagger {self.name!r} gave scores of shape {found.shape} for {len(self.tagger.labels)} labels; "
                "it must give one finite number for each"
            )
        number = int(np.argmax(found))
        return str(self.tagger.labels[number]), round(float(found[number]), 6)


@cache
def find_tagger(name: str, device: str) -> FoundTagger:
    """The installed tagger of a name, loaded once per process.

    Raises:
        ValueError: There is none, or it breaks the agreement above.
    """
    shown: list[str] = []
    plugin = TAGGERS.load(name, shown.append, device)
    senses = [sense for sense, method in _METHODS.items() if hasattr(plugin.network, method)]
    if len(senses) != 1:
        raise ValueError(
            f"tagger {name!r} has {len(senses)} of tag_sound and tag_frames; it must have one of them"
        )
    if not plugin.network.labels or len(set(plugin.network.labels)) < len(plugin.network.labels):
        raise ValueError(f"tagger {name!r} has no labels, or one of them twice; ask its authors")
    return FoundTagger(name, plugin.licence, senses[0], plugin.network)
