"""How far what a system makes is from the truth in the ears of a classifier: sets by Fréchet, clips by KL."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.divergence import KlFormula, kl_divergence
from spatialfoley.evaluation.metrics.frechet import FrechetEstimate, frechet_estimate, small_sample_note
from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.suite.records import Record
from spatialfoley.evaluation.suite.scores import ClipEmbeddings
from spatialfoley.evaluation.suite.systems import SystemInfo

KL_FORMULAS: tuple[KlFormula, ...] = get_args(KlFormula)
SIGNALS = ("ears", "mix", "w", "channels")

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

    Ears: mean of both; mix: of their mean signal; W and channels (mean of W, Y, Z, X) of fields only. Each has a
    counterpart "..._unbiased", for infinitely many clips.
    """
    rows: dict[str, dict[str, Interval | None]] = {}
    warnings: list[str] = []
    for system in systems:
        clips = [index for index in system.heard if index in truth.heard]
        if system is truth or len(clips) < 2:
            continue
        true, found = _stacked(truth, clips), _stacked(system, clips)
        row = rows[system.name] = {}
        for name in SIGNALS:
            estimate = None
            if name in found:
                estimate = frechet_estimate(true[name], found[name])
                warnings += [estimate.warning] if estimate.warning and system.info.competes else []
            row[f"frechet_{name}"] = estimate.interval if estimate else None
            row[f"frechet_{name}_unbiased"] = _unbiased(estimate) if estimate else None
    note = None
    if rows:
        clips_behind = min(figure.count for row in rows.values() for figure in row.values() if figure)
        note = small_sample_note(clips_behind, _dimensions(truth)) or next(iter(warnings), None)
    return rows, note


def _unbiased(estimate: FrechetEstimate) -> Interval:
    """The estimate for infinitely many clips, with an interval as wide as that of the distance itself."""
    move = estimate.unbiased - estimate.value
    around = estimate.interval
    return Interval(estimate.unbiased, around.low + move, around.high + move, around.count)


def _dimensions(system: SystemScores) -> int:
    return next(iter(system.heard.values())).ears.shape[1]


def _stacked(system: SystemScores, clips: Sequence[int]) -> dict[str, FloatArray]:
    """Embeddings (clips, signals, dimensions) by name of the signals; of channels where all clips are fields."""
    heard = [system.heard[index] for index in clips]
    ears = np.stack([one.ears for one in heard])
    found = {"ears": ears[:, :2], "mix": ears[:, 2]}
    channels = [one.channels for one in heard if one.channels is not None]
    if len(channels) == len(heard):
        found["channels"] = np.stack(channels)
        found["w"] = found["channels"][:, 0]
    return found
