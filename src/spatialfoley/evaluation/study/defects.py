"""How much each defect of the published evaluation moves the figure it touches, all else being right.

Every row has the figure as it should be, the figure with this one defect, and the mean difference over clips with
its 95 % interval. What is scored stands for generated fields: the true field made wrong in a known way, or the true
sound at one direction. This module has the defects of the scores; `defects_encoding` those of encoder and decoder.

References:
    The defects are those of the scripts released with ViSAGe (ICLR 2025), found by running and reading them: see
    docs/metrics.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.energy_overlap import auc_judd, correlation, energy_overlap
from spatialfoley.evaluation.metrics.energy_points import Variant, covariances_over_time, sphere_samples
from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS, SCORE_RATE_HZ
from spatialfoley.evaluation.metrics.statistics import Interval, bootstrap_interval
from spatialfoley.evaluation.study.sensitivity_distortions import noisy, random_vector, turned_any_way
from spatialfoley.evaluation.study.sensitivity_scenes import KINDS, StudyScene, make_study_scene
from spatialfoley.spatial.energy_map import MapVariant, energy_map
from spatialfoley.spatial.foa import encode

FloatArray = NDArray[np.floating]
System = Callable[[StudyScene, np.random.Generator], FloatArray]

_DRAWS = 1000
_WINDOWS = ("all", "5fps")
_MAPS: tuple[MapVariant, ...] = ("sn3d", "reference")


@dataclass(frozen=True)
class DefectRow:
    """One defect on one system.

    Attributes:
        defect: What the published script does.
        scored: What is scored.
        figure: Which figure.
        right: Its mean without the defect.
        defective: With it.
        shift: Mean of defective minus right over clips, with its interval.
    """

    defect: str
    scored: str
    figure: str
    right: float
    defective: float
    shift: Interval


SYSTEMS: dict[str, System] = {
    "20° off": lambda scene, rng: turned_any_way(scene.field, 20.0, rng),
    "60° off": lambda scene, rng: turned_any_way(scene.field, 60.0, rng),
    "30° off, noise at 5 dB": lambda scene, rng: noisy(turned_any_way(scene.field, 30.0, rng), 5.0, rng),
    "random direction": lambda scene, rng: encode(scene.mono, random_vector(rng)),
}
"""What stands for generated fields: near, far, plausible, and chance."""


def map_defects(scenes: int, seed: int, duration_s: float = 5.0) -> list[DefectRow]:
    """Gains of the maps, thinning of the rows, lagging AUC, the wrong period, and all together.

    Args:
        scenes: Of each kind of scene.
        seed: Of scenes and systems.
        duration_s: Length of a scene.
    """
    truths = [make_study_scene(kind, index, seed, duration_s) for kind in KINDS for index in range(scenes)]
    rows: list[DefectRow] = []
    for name, system in SYSTEMS.items():
        wrong = [
            np.asarray(system(scene, np.random.default_rng((seed, number))), np.float32)
            for number, scene in enumerate(truths)
        ]
        for window in _WINDOWS:
            found = [
                _map_figures(scene.field, field, window) for scene, field in zip(truths, wrong, strict=True)
            ]
            for defect, figure in found[0]:
                pairs = np.array([clip[defect, figure] for clip in found])
                rows.append(defect_row(defect, name, f"{figure}, {_TITLES[window]}", pairs))
    return rows


_TITLES = {"all": "All", "1fps": "1 fps", "5fps": "5 fps"}


def _map_figures(
    truth: FloatArray, field: FloatArray, window: str
) -> dict[tuple[str, str], tuple[float, float]]:
    """Figures (right, defective) of two fields by defect and figure; silent windows are left out."""
    covariances = [
        covariances_over_time(one, SCORE_RATE_HZ, OVERLAP_WINDOWS[window]) for one in (truth, field)
    ]
    energy = [np.trace(cov, axis1=1, axis2=2) for cov in covariances]
    sounding = (energy[0] > 1e-6 * energy[0].mean()) & (energy[1] > 0)
    right, gains = (_Pair(*(energy_map(cov[sounding], variant) for cov in covariances)) for variant in _MAPS)
    cc, auc = right.cells().cc("correct"), right.cells().auc("correct")
    thin, exact = right.thinned(), right.thinned().exact_auc()
    gained = gains.cells()
    figures = {
        ("X and Y of the maps √2 too strong", "CC"): (cc, gained.cc("correct")),
        ("X and Y of the maps √2 too strong", "AUC"): (auc, gained.auc("correct")),
        ("rows thinned unevenly, no solid angle", "CC"): (cc, thin.cc("reference")),
        ("rows thinned unevenly, no solid angle", "AUC"): (auc, exact),
        ("true-positive rate lags", "AUC"): (exact, thin.auc("reference")),
        ("all of these", "CC"): (cc, gains.thinned().cc("reference")),
        ("all of these", "AUC"): (auc, gains.thinned().auc("reference")),
    }
    if window == "all":
        periods = [
            _Pair(*(thinned(maps, period) for maps in (right.true, right.found))) for period in (180.0, 360.0)
        ]
        figures["period 360 for 180 columns", "CC"] = (periods[0].cc("reference"), periods[1].cc("reference"))
    return figures


@dataclass(frozen=True, eq=False)
class _Pair:
    """Maps or points of the true and the scored field, windows first."""

    true: FloatArray
    found: FloatArray

    def cells(self) -> "_Pair":
        """Every second row and column: the cells that the correct scores weigh by solid angle."""
        return _Pair(*(maps[:, ::2, ::2].reshape(len(maps), -1) for maps in (self.true, self.found)))

    def thinned(self) -> "_Pair":
        return _Pair(sphere_samples(self.true), sphere_samples(self.found))

    def cc(self, variant: Variant) -> float:
        return float(np.mean(correlation(self.true, self.found, variant)))

    def auc(self, variant: Variant) -> float:
        return float(np.mean(auc_judd(self.true, self.found, variant)))

    def exact_auc(self) -> float:
        return float(
            np.mean([rank_auc(true, found) for true, found in zip(self.true, self.found, strict=True)])
        )


def rank_auc(reference: FloatArray, estimate: FloatArray) -> float:
    """AUC-Judd of one map (P,) with exact ranks, ties counting half, on points that weigh alike."""
    fixated = reference > reference.max() - reference.std()
    others = np.sort(estimate[~fixated])
    sides = [np.searchsorted(others, estimate[fixated], side=side) for side in ("left", "right")]
    return float(np.mean(sides) / len(others))


def thinned(maps: FloatArray, period: float) -> FloatArray:
    """The published thinning by `np.interp` with a period, as its script does it: maps (M, 90, 180)."""
    height, width = maps.shape[-2:]
    points = []
    for row in range(height):
        count = round(width * float(np.sin((row + 0.5) * np.pi / height)))
        columns = np.arange(count) * ((width - 0.5 * width / count) / count)
        points.append(
            [np.interp(columns, np.arange(width), one[row], period=period) for one in maps.astype(np.float64)]
        )
    return np.concatenate(points, axis=1)


def silence_defects(scenes: int, seed: int, duration_s: float = 5.0) -> list[DefectRow]:
    """Windows in which the generated sound is silent or flat, left out instead of counted as chance.

    The system is right for half of the clip and silent, or W alone, for the other half.
    """
    truths = [make_study_scene("one", index, seed, duration_s) for index in range(scenes)]
    rows = []
    for name, channels in (("right, then silent", slice(0, 4)), ("right, then W alone", slice(1, 4))):
        for figure in ("CC", "AUC"):
            pairs = []
            for scene in truths:
                field = scene.field.copy()
                field[channels, field.shape[1] // 2 :] = 0.0
                scores = [
                    energy_overlap(scene.field, field, SCORE_RATE_HZ, 5.0, "correct", as_published)
                    for as_published in (False, True)
                ]
                values = [score.cc if figure == "CC" else score.auc for score in scores]
                pairs.append([0.0 if value is None else value for value in values])
            rows.append(
                defect_row("windows of a silent estimate left out", name, f"{figure}, 5 fps", np.array(pairs))
            )
    return rows


def defect_row(defect: str, scored: str, figure: str, pairs: FloatArray) -> DefectRow:
    """A row of figures (clips, 2): right, defective."""
    shift = bootstrap_interval(pairs[:, 1] - pairs[:, 0], np.mean, _DRAWS)
    assert shift is not None
    return DefectRow(defect, scored, figure, float(pairs[:, 0].mean()), float(pairs[:, 1].mean()), shift)
