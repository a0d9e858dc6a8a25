"""Several trained runs of several kinds on the same held-out clips: pooled figures with intervals.

What differs between the rows of such a table must not be luck: a row pools runs from several training seeds, and
its interval comes from drawing runs and clips anew, independently of each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatialfoley.evaluation.metrics.frechet import mean_distance, shifted_interval
from spatialfoley.evaluation.metrics.statistics import (
    Interval,
    crossed_correlation_interval,
    crossed_interval,
    wilson_interval,
)
from spatialfoley.evaluation.networks.world_classifier import WorldClassifier
from spatialfoley.evaluation.suite.clips import ClipTruth, WorldClip, clip_truth, make_world_clip
from spatialfoley.evaluation.suite.figures import HALF, Row
from spatialfoley.evaluation.suite.scores import score_sound
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world.scenes import CameraKind, SceneKind

FloatArray = NDArray[np.floating]
Document = dict[str, Any]
Make = Callable[[WorldClip], SpatialAudio]

VIEW_SIZE_PX = 128
VIEW_RATE_HZ = 20.0
_DISTANCE_DRAWS = 100


@dataclass(frozen=True, eq=False)
class HeldOutClip:
    """A clip and its truth, rendered once for all runs."""

    clip: WorldClip
    truth: ClipTruth


@dataclass(frozen=True, eq=False)
class RunScores:
    """Scores of one run on all clips.

    Attributes:
        documents: Of every clip, as `ClipScores.document` makes them.
        embeddings: Left ear, right ear and their mean of every clip, (clips, 3, dimensions).
        turning: Whether the camera of each clip turns, (clips,).
        seconds: Processor seconds that each clip took, (clips,): other work on the machine does not disturb it.
    """

    documents: tuple[Document, ...]
    embeddings: FloatArray
    turning: NDArray[np.bool_]
    seconds: FloatArray


def held_out_clips(
    count: int, seed: int, duration_s: float = 5.0, kinds: Sequence[SceneKind] = ("in_view",)
) -> list[HeldOutClip]:
    """Held-out clips of which every second one has a turning camera.

    Args:
        count: Number of clips.
        seed: Seed of the suite: which clips.
        duration_s: Length of a clip.
        kinds: Kinds of scene, taking turns.
    """
    if count < 2:
        raise ValueError(f"count is {count}; intervals need 2 clips or more")
    clips = []
    for index in range(count):
        camera: CameraKind = "turning" if index % 2 else "static"
        kind = kinds[index // 2 % len(kinds)]
        clip = make_world_clip(index, seed, (kind,), VIEW_SIZE_PX, VIEW_RATE_HZ, duration_s, camera)
        clips.append(HeldOutClip(clip, clip_truth(clip.scene)))
    return clips


def score_run(
    make: Make,
    clips: Sequence[HeldOutClip],
    classifier: WorldClassifier,
    progress: Callable[[float], None] | None = None,
) -> RunScores:
    """Make the sound of every clip and score it.

    Args:
        make: Field, ears or one channel of a clip; only this is timed.
        clips: From `held_out_clips`.
        classifier: Knows the classes of the world.
        progress: Told the fraction done.
    """
    documents, embeddings, seconds = [], [], []
    for index, item in enumerate(clips):
        started = process_time()
        audio = make(item.clip)
        seconds.append(process_time() - started)
        scores = score_sound(item.truth, audio, classifier)
        documents.append(scores.document())
        embeddings.append(scores.embeddings)
        if progress:
            progress((index + 1) / len(clips))
    turning = np.array([item.clip.scene.camera_kind == "turning" for item in clips])
    return RunScores(tuple(documents), np.stack(embeddings), turning, np.array(seconds))


def pooled_figures(runs: Sequence[RunScores], truth: RunScores) -> Row:
    """Figures of a row of the table: all runs of one kind together.

    Args:
        runs: One per training seed, on the same clips.
        truth: Scores of the true fields of these clips, for the distance between sets.

    Returns:
        Figures by the names of the world suite, "ear_level_turning" and "ear_level_following" of clips whose
        camera turns; None where no clip of any run defines one.

    Raises:
        ValueError: There is no run, or runs are of different clips.
    """
    if not runs or any(len(run.documents) != len(truth.documents) for run in runs):
        counts = ", ".join(str(len(run.documents)) for run in runs)
        raise ValueError(
            f"runs are of {counts or 'no'} clips, the truth of {len(truth.documents)}; give the same"
        )
    row: Row = {
        name: crossed_interval([[value(document) for document in run.documents] for run in runs], statistic)
        for name, (value, statistic) in _FIGURES.items()
    }
    row |= {
        name: share_interval([[value(document) for document in run.documents] for run in runs])
        for name, value in _SHARES.items()
    }
    moments = np.array([[document["ears"]["level_moments"] for document in run.documents] for run in runs])
    row["ear_level_correlation"] = crossed_correlation_interval(moments)
    turning = moments[:, truth.turning]
    row["ear_level_turning"] = crossed_correlation_interval(turning) if turning.size else None
    row["ear_level_following"] = crossed_correlation_interval(turning, within=True) if turning.size else None
    row["frechet_ears"] = _distance(runs, truth, slice(0, 2))
    row["frechet_mix"] = _distance(runs, truth, slice(2, 3))
    row["seconds_median"] = crossed_interval([run.seconds for run in runs])
    return row


def share_interval(values: ArrayLike) -> Interval | None:
    """Mean over runs and clips of values in [0, 1]: as `crossed_interval`, but at least as wide as Wilson's.

    Drawing anew what is right everywhere gives no width at all; Wilson's interval of as many trials as there are
    clips, however many runs, says what so many clips can show.

    Args:
        values: (runs, clips); NaN where a score is not defined.
    """
    crossed = crossed_interval(values, np.nanmean)
    if crossed is None:
        return None
    clips = int(np.isfinite(np.asarray(values, dtype=np.float64)).any(axis=0).sum())
    wilson = wilson_interval(crossed.value * clips, clips) or crossed
    return replace(crossed, low=min(crossed.low, wilson.low), high=max(crossed.high, wilson.high))


def _distance(runs: Sequence[RunScores], truth: RunScores, ears: slice) -> Interval:
    """Mean Fréchet distance of the runs; its interval by drawing runs and clips, without the bias of drawing."""
    true = truth.embeddings[:, ears].astype(np.float64)
    found = [run.embeddings[:, ears].astype(np.float64) for run in runs]
    rng = np.random.default_rng(0)
    drawn = np.empty(_DISTANCE_DRAWS)
    for index in range(_DISTANCE_DRAWS):
        picked = rng.integers(0, len(true), len(true))
        some = rng.integers(0, len(runs), len(runs))
        drawn[index] = np.mean([mean_distance(true[picked], found[run][picked]) for run in some])
    value = float(np.mean([mean_distance(true, one) for one in found]))
    return shifted_interval(value, drawn, len(true) * len(runs))


def _of(*keys: str) -> Callable[[Document], float]:
    """Reads a nested score; NaN where it is not defined."""

    def read(document: Document) -> float:
        value: Any = document
        for key in keys:
            value = value.get(key) if value is not None else None
        return float("nan") if value is None else float(value)

    return read


def _mostly(*keys: str) -> Callable[[Document], float]:
    """1 where a share is above a half, 0.5 at a half, else 0: clips that are right for most of their energy."""
    read = _of(*keys)

    def decide(document: Document) -> float:
        share = read(document)
        return share if np.isnan(share) else float(share > HALF) + HALF * (share == HALF)

    return decide


_FIGURES: dict[str, tuple[Callable[[Document], float], Callable[..., np.ndarray]]] = {
    "ear_level_error_median_db": (_of("ears", "level_error_db"), np.nanmedian),
    "ear_delay_error_median_us": (_of("ears", "delay_error_us"), np.nanmedian),
    "ear_coherence_median": (_of("ears", "coherence"), np.nanmedian),
    "ear_coherence_difference_median": (_of("ears", "coherence_difference"), np.nanmedian),
    "left_right_distance_median": (_of("ears", "distance"), np.nanmedian),
    "angle_median_deg": (_of("angle_deg"), np.nanmedian),
    "cc/all/correct": (_of("cc", "all/correct"), np.nanmean),
    "cc/5fps/correct": (_of("cc", "5fps/correct"), np.nanmean),
    "coherence_median": (_of("coherence"), np.nanmedian),
    "psi_median": (_of("psi"), np.nanmedian),
    "onset_error_median_s": (_of("onset_error_s"), np.nanmedian),
    "level_difference_median_db": (_of("level_difference_db"), np.nanmedian),
}

_SHARES: dict[str, Callable[[Document], float]] = {
    "louder_ear_right": _mostly("ears", "louder_ear_right"),
    "delay_side_right": _mostly("ears", "delay_side_right"),
    "mono_collapse": _of("ears", "mono_collapse"),
    "silent": _of("ears", "silent"),
    "left_right_confusion": _mostly("wrong_side"),
    "class_accuracy": _of("class_correct"),
}
