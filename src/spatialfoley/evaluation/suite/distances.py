"""How far what a system makes is from the truth in the ears of a classifier: sets by Fréchet, clips by KL."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.divergence import KlFormula, kl_divergence
from spatialfoley.evaluation.metrics.frechet import frechet_interval, small_sample_note
from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.suite.records import Record
from spatialfoley.evaluation.suite.scores import ClipEmbeddings
from spatialfoley.evaluation.suite.systems import SystemInfo

KL_FORMULAS: tuple[KlFormula, ...] = get_args(KlFormula)

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class SystemScores:
    """What is known of one system.

    Attributes:
        name: Of the system.
        info: What reports say of it.
        records: One for every clip of the suite, in their order.
        heard: Embeddings and logits by the number of the clip, without failed ones.
    """

    name: str
    info: SystemInfo
    records: Sequence[Record]
    heard: dict[int, ClipEmbeddings]

    @cached_property
    def good(self) -> list[Record]:
        """Records of clips that did not fail."""
        return [record for record in self.records if record["error"] is None]


def divergences(truth: SystemScores, system: SystemScores) -> dict[str, dict[int, float]]:
    """KL of the classifier's posteriors of each good clip, by formula and number; mean signal of the ears."""
    clips = [index for index in system.heard if index in truth.heard]
    if not clips:
        return {formula: {} for formula in KL_FORMULAS}
    true, found = (np.stack([one.heard[index].logits for index in clips]) for one in (truth, system))
    return {
        formula: dict(zip(clips, map(float, kl_divergence(true, found, formula)), strict=True))
        for formula in KL_FORMULAS
    }


def frechet_rows(
    truth: SystemScores, systems: Sequence[SystemScores]
) -> tuple[dict[str, dict[str, Interval | None]], str | None]:
    """Fréchet distances of all systems but the truth, and what to mind where clips are few.

    Ears: mean of both; mix: of their mean signal; W and channels (mean of W, Y, Z, X) of fields only.
    """
    rows: dict[str, dict[str, Interval | None]] = {}
    counts: set[int] = set()
    dimensions = 0
    for system in systems:
        clips = [index for index in system.heard if index in truth.heard]
        if system is truth or len(clips) < 2:
            continue
        counts.add(len(clips))
        true, found = _stacked(truth, clips), _stacked(system, clips)
        dimensions = true["ears"].shape[2]
        rows[system.name] = {
            "frechet_ears": frechet_interval(true["ears"][:, :2], found["ears"][:, :2]),
            "frechet_mix": frechet_interval(true["ears"][:, 2], found["ears"][:, 2]),
            "frechet_w": None,
            "frechet_channels": None,
        }
        if "channels" in found:
            rows[system.name]["frechet_w"] = frechet_interval(true["channels"][:, 0], found["channels"][:, 0])
            rows[system.name]["frechet_channels"] = frechet_interval(true["channels"], found["channels"])
    return rows, small_sample_note(min(counts), dimensions) if counts else None


def _stacked(system: SystemScores, clips: Sequence[int]) -> dict[str, FloatArray]:
    """Embeddings (clips, signals, dimensions) of ears and, where all clips are fields, of channels."""
    heard = [system.heard[index] for index in clips]
    found = {"ears": np.stack([one.ears for one in heard])}
    channels = [one.channels for one in heard if one.channels is not None]
    if len(channels) == len(heard):
        found["channels"] = np.stack(channels)
    return found
