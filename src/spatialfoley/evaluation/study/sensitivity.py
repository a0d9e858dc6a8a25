"""What the metrics are worth: how each responds when one thing at a time is wrong with a field.

The study runs on fields whose sources are known (`sensitivity_scenes`), makes them wrong
(`sensitivity_distortions`) and lets every metric speak (`sensitivity_responses`). Figures are means over scenes
with 95 % bootstrap intervals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.frechet import frechet_distance, frechet_interval
from spatialfoley.evaluation.metrics.statistics import Interval, bootstrap_interval
from spatialfoley.evaluation.networks.listener import Listener
from spatialfoley.evaluation.study.sensitivity_distortions import CURVES, STATES, Distortion
from spatialfoley.evaluation.study.sensitivity_responses import (
    METRICS,
    SET_METRICS,
    Response,
    View,
    respond,
    view,
)
from spatialfoley.evaluation.study.sensitivity_scenes import (
    KINDS,
    StudyKind,
    StudyScene,
    make_study_scene,
    recorded_scenes,
)

FloatArray = NDArray[np.floating]
Progress = Callable[[str, float], None]

_DRAWS = 1000
_DISTANCE_DRAWS = 40
_DIGITS = 4


@dataclass(frozen=True)
class StudySettings:
    """How large the study is.

    Attributes:
        scenes: Scenes of each kind, 2 or more.
        seed: Of scenes and distortions.
        duration_s: Length of a scene.
        every: Take only every so-many-th level of a curve; 1 takes all.
    """

    scenes: int = 12
    seed: int = 40
    duration_s: float = 5.0
    every: int = 1

    def __post_init__(self) -> None:
        if self.scenes < 2:
            raise ValueError(f"scenes is {self.scenes}; intervals need 2 or more")
        if self.every < 1:
            raise ValueError(f"every is {self.every}; it must be 1 or more")

    def levels(self, distortion: Distortion) -> tuple[float, ...]:
        """Levels of a distortion that this study takes; the last one always is among them."""
        chosen = distortion.levels[:: self.every]
        return chosen if chosen[-1] == distortion.levels[-1] else (*chosen, distortion.levels[-1])


@dataclass(frozen=True)
class Cell:
    """Every metric for one distortion at one level on the scenes of one kind.

    Attributes:
        distortion: What is wrong.
        level: How wrong.
        kind: On which scenes.
        figures: By key of the metric: mean over scenes with its interval; None where no scene has a value.
        first: Values of the first scene alone, so that a part can be recomputed without the rest.
    """

    distortion: str
    level: float
    kind: str
    figures: dict[str, Interval | None]
    first: Response


def run_study(
    settings: StudySettings,
    listener: Listener,
    distortions: Sequence[Distortion] = (*STATES, *CURVES),
    kinds: Sequence[StudyKind] = KINDS,
    responses: Path | None = None,
    recordings: Path | None = None,
    progress: Progress | None = None,
) -> list[Cell]:
    """Make every scene wrong in every way and score it.

    Args:
        settings: How large.
        listener: For what is heard: distances between sets and divergences.
        distortions: What can be wrong.
        kinds: Kinds of scene.
        responses: Folder of measured AmbiX room responses: adds the kind "measured room".
        recordings: Folder of AmbiX recordings: adds the kind "recording", for distortions that know no source.
        progress: Told what is going on and the fraction done.
    """
    chosen: list[StudyKind] = [*kinds]
    chosen += ["measured room"] if responses is not None else []
    chosen += ["recording"] if recordings is not None else []
    cells: list[Cell] = []
    for number, kind in enumerate(chosen):
        if kind == "recording" and recordings is not None:
            scenes = recorded_scenes(recordings, settings.duration_s)
        else:
            scenes = [
                make_study_scene(kind, index, settings.seed, settings.duration_s, responses)
                for index in range(settings.scenes)
            ]
        references = [view(scene.field, listener) for scene in scenes]
        tasks = [
            (distortion, level)
            for distortion in distortions
            if applies(distortion, kind)
            for level in settings.levels(distortion)
        ]
        for done, (distortion, level) in enumerate(tasks):
            cells.append(study_cell(scenes, references, distortion, level, listener, settings.seed))
            if progress:
                progress(f"{kind}: {distortion.name}", (number + (done + 1) / len(tasks)) / len(chosen))
    return cells


def applies(distortion: Distortion, kind: StudyKind) -> bool:
    """Whether a distortion is studied on a kind of scene; recorded ones take what needs no sources."""
    if kind == "recording":
        return not distortion.needs_sources and len(distortion.kinds) > 1 and "two" in distortion.kinds
    if kind == "measured room":
        return "room" in distortion.kinds
    return kind in distortion.kinds


def study_cell(
    scenes: Sequence[StudyScene],
    references: Sequence[View],
    distortion: Distortion,
    level: float,
    listener: Listener,
    seed: int,
) -> Cell:
    """Score one distortion at one level on scenes of one kind."""
    views = [view(distortion.apply(scene, level, seed), listener) for scene in scenes]
    found = [respond(true, wrong) for true, wrong in zip(references, views, strict=True)]
    figures: dict[str, Interval | None] = {}
    for metric in METRICS:
        values = [float(value) for response in found if (value := response[metric.key]) is not None]
        figures[metric.key] = bootstrap_interval(values, np.mean, _DRAWS)
    figures |= _set_figures(references, views)
    return Cell(distortion.name, level, scenes[0].kind, figures, found[0])


def _set_figures(references: Sequence[View], views: Sequence[View]) -> dict[str, Interval | None]:
    """Fréchet distances between the true and the wrong sounds of one kind."""
    true, wrong = (np.stack([one.embeddings for one in many]) for many in (references, views))
    by_w = frechet_interval(true[:, 0], wrong[:, 0], _DISTANCE_DRAWS)
    channels = np.mean([frechet_distance(true[:, c], wrong[:, c]) for c in range(4)])
    return {
        "fd/w": by_w,
        "fd/channels": Interval(float(channels), float(channels), float(channels), len(true)),
    }


def cells_document(cells: Sequence[Cell]) -> dict[str, Any]:
    """Cells as plain values for JSON: names of metrics once, then figures of every cell in their order.

    A figure is [mean, low, high, scenes behind it]; None where it is not defined.
    """
    keys = [metric.key for metric in (*METRICS, *SET_METRICS)]
    rows = [
        {
            "distortion": cell.distortion,
            "level": cell.level,
            "kind": cell.kind,
            "figures": [_rounded(cell.figures[key]) for key in keys],
            # Enough to recompute a part of the study without the rest.
            **(
                {"first": [_digits(cell.first.get(key)) for key in keys[: len(METRICS)]]}
                if cell.kind == "one"
                else {}
            ),
        }
        for cell in cells
    ]
    return {"metrics": keys, "cells": rows}


def _rounded(figure: Interval | None) -> list[float] | None:
    if figure is None:
        return None
    return [float(f"{v:.{_DIGITS}g}") for v in (figure.value, figure.low, figure.high)] + [figure.count]


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")
