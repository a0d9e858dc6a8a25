"""The columns of the ViSAGe-SC slides for trained models on held-out clips of the world.

Clips:
    The slides' data are views cut from panoramas, told where they look. So cameras look all around here, four of
    five stand still, and one source is in view, at the centre or not; in every fourth clip there are several.

Columns:
    Fréchet distance and KL divergence of the field decoded towards the camera ("dec"), Fréchet distance of each
    channel, averaged ("channels"), E-L1 of W, CC and AUC of energy maps over All, 1 fps and 5 fps, as correct maps
    and as the published script makes them: the protocol `visage` of pairs of files. The slides' listeners are
    VGGish and PaSST, which know no sounds of this world; "world" is the world's own classifier. Beside them stand
    two figures of ours that can be read: the angle between sound and source, and the coherence of the channels; and
    the mean of the six spatial scores of a clip ("spatial"), so that a claim about all of them is judged once.

Reference:
    Slides on ViSAGe-SC, table "(a) Ablation from ViSAGe to ViSAGe-SC".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import FOA_CHANNELS
from spatialfoley.evaluation.metrics.direction import weighted_angle_deg, window_directions
from spatialfoley.evaluation.metrics.divergence import kl_divergence
from spatialfoley.evaluation.metrics.energy_points import covariances_over_time
from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS, SCORE_RATE_HZ, VARIANTS
from spatialfoley.evaluation.metrics.statistics import Interval, crossed_interval
from spatialfoley.evaluation.networks.listener import Heard, Listener
from spatialfoley.evaluation.pairs.measures import MEASURES
from spatialfoley.evaluation.pairs.protocols import PROTOCOLS
from spatialfoley.evaluation.pairs.scores import field_scores, sound_of_field, sound_scores
from spatialfoley.evaluation.pairs.views import Hearing, channels_to_hear
from spatialfoley.evaluation.study.ablation import VIEW_RATE_HZ, VIEW_SIZE_PX, HeldOutClip, Make
from spatialfoley.evaluation.study.paired import (
    Change,
    Statistic,
    distance_change,
    distance_interval,
    drawn_distances,
    paired_change,
)
from spatialfoley.evaluation.suite.clips import STEP_S, WINDOW_STEPS, clip_truth, make_world_clip
from spatialfoley.evaluation.suite.scores import at_score_rate, reference_vectors
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world.scenes import CameraKind, SceneKind

FloatArray = NDArray[np.floating]
Figures = dict[str, Interval | None]
Changes = dict[str, Change | None]

KINDS: tuple[SceneKind, ...] = ("centred",)
"""Views of YT-Ambigen are cut where it sounds, and so are the clips that the ablation trains on."""

TURNING_EVERY = 5
"""The last camera of so many turns, and follows what sounds."""

_CHANNELS = ("dec", *FOA_CHANNELS)
_VIEWS: dict[str, slice] = {"dec": slice(0, 1), "w": slice(1, 2), "channels": slice(1, 5)}
_WINDOWS_PER_S = 1 / (WINDOW_STEPS * STEP_S)
_MEDIANS = {"angle_deg"} | {measure.metric.key for measure in MEASURES if measure.pooled == "median"}


@dataclass(frozen=True, eq=False)
class SlideScores:
    """Scores of one run on all clips.

    Attributes:
        values: By figure, one value per clip (clips,), NaN where it is not defined.
        distances: By figure, the distance of all clips and of sets drawn anew (`paired.drawn_distances`).
    """

    values: Mapping[str, FloatArray]
    distances: Mapping[str, FloatArray]

    @property
    def clips(self) -> int:
        """Number of clips."""
        return len(next(iter(self.values.values())))

    def arrays(self) -> dict[str, FloatArray]:
        """All that there is, by names that tell values from distances: what `of_arrays` takes."""
        return {f"values:{name}": array for name, array in self.values.items()} | {
            f"distances:{name}": array for name, array in self.distances.items()
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, FloatArray]) -> SlideScores:
        """What `arrays` gave, from memory or from a file."""
        kinds: dict[str, dict[str, FloatArray]] = {"values": {}, "distances": {}}
        for name in arrays:
            kind, _, figure = name.partition(":")
            kinds[kind][figure] = np.asarray(arrays[name])
        return cls(**kinds)


def slide_clips(count: int, seed: int, duration_s: float = 5.0) -> list[HeldOutClip]:
    """Held-out clips whose cameras look all around, most of them standing still.

    Args:
        count: Number of clips, 2 or more.
        seed: Seed of the suite: which clips.
        duration_s: Length of a clip.
    """
    if count < 2:
        raise ValueError(f"count is {count}; intervals need 2 clips or more")
    found = []
    for index in range(count):
        camera: CameraKind = "turning" if index % TURNING_EVERY == TURNING_EVERY - 1 else "static"
        clip = make_world_clip(index, seed, KINDS, VIEW_SIZE_PX, VIEW_RATE_HZ, duration_s, camera)
        found.append(HeldOutClip(clip, clip_truth(clip.scene)))
    return found


def looking(item: HeldOutClip) -> Direction:
    """Where the camera looks in the middle of a clip."""
    scene = item.clip.scene
    return Direction.from_vector(scene.camera.pose_at(scene.duration_s / 2).matrix()[:, 0])


def sector_counts(clips: Sequence[HeldOutClip], sectors: int = 8) -> list[int]:
    """How many cameras look into each of so many equal sectors of the horizon, the first around the front."""
    azimuths_deg = np.array([looking(item).azimuth_deg for item in clips])
    places = np.round(azimuths_deg / (360 / sectors)).astype(int) % sectors
    return np.bincount(places, minlength=sectors).tolist()


class SlideScorer:
    """Scores runs on the same clips; what is known of the truth is found once.

    Args:
        clips: From `slide_clips`.
        listeners: What hears distances and, where it knows classes, divergences.
    """

    def __init__(self, clips: Sequence[HeldOutClip], listeners: Sequence[Listener]) -> None:
        self.clips, self.listeners = clips, listeners
        self._true = [self._hear(item, item.truth.field) for item in clips]

    def score(self, make: Make, progress: Callable[[float], None] | None = None) -> SlideScores:
        """Make the field of every clip and score it.

        Args:
            make: Field of a clip, any rate.
            progress: Told the fraction done.

        Raises:
            ValueError: What is made is no field.
        """
        rows: list[dict[str, float | None]] = []
        heard: list[list[Heard]] = []
        for number, (item, true) in enumerate(zip(self.clips, self._true, strict=True)):
            audio = make(item.clip)
            heard.append(self._hear(item, audio))
            rows.append(_field_values(item, audio) | self._divergences(true, heard[-1]))
            if progress:
                progress((number + 1) / len(self.clips))
        # A None becomes NaN.
        values: dict[str, FloatArray] = {
            name: np.array([row[name] for row in rows], np.float64) for name in rows[0]
        }
        values |= {f"spatial/{variant}": _spatial(values, variant) for variant in VARIANTS}
        distances = {}
        for place, listener in enumerate(self.listeners):
            truth, made = (np.stack([one[place].embeddings for one in side]) for side in (self._true, heard))
            by_channel = [drawn_distances(truth[:, [k]], made[:, [k]]) for k in range(len(_CHANNELS))]
            for view, channels in _VIEWS.items():
                distances[f"fd/{listener.name}/{view}"] = np.mean(by_channel[channels], axis=0)
        return SlideScores(values, distances)

    def _hear(self, item: HeldOutClip, audio: SpatialAudio) -> list[Heard]:
        camera = looking(item)
        hearing = Hearing(
            layout="foa",
            form="field",
            channels=_CHANNELS,
            camera=(camera.azimuth_deg, camera.elevation_deg),
            duration_s=item.clip.scene.duration_s,
            rate_hz=SCORE_RATE_HZ,
        )
        sounds, rate_hz = channels_to_hear(audio, hearing)
        return [listener.hear(sounds, rate_hz) for listener in self.listeners]

    def _divergences(self, true: Sequence[Heard], found: Sequence[Heard]) -> dict[str, float | None]:
        formula = PROTOCOLS["visage"].kl_formula
        return {
            f"kl/{listener.name}/dec": float(kl_divergence(a.logits[:1], b.logits[:1], formula)[0])
            for listener, a, b in zip(self.listeners, true, found, strict=True)
            if a.logits is not None and b.logits is not None and listener.softmax_posteriors
        }


def statistic_of(figure: str) -> Statistic:
    """How a figure is pooled over clips and runs: mean or median, passing over NaN."""
    return np.nanmedian if figure in _MEDIANS else np.nanmean


def slide_figures(runs: Sequence[SlideScores]) -> Figures:
    """All figures of a row, runs of several training seeds together: intervals over runs and clips.

    Raises:
        ValueError: There is no run.
    """
    if not runs:
        raise ValueError("there is no run; a row is of one or more")
    figures: Figures = {
        name: crossed_interval([run.values[name] for run in runs], statistic_of(name))
        for name in runs[0].values
    }
    return figures | {
        name: distance_interval([run.distances[name] for run in runs], runs[0].clips)
        for name in runs[0].distances
    }


def slide_changes(
    earlier: Sequence[SlideScores], later: Sequence[SlideScores], same_runs: bool = False
) -> Changes:
    """What a step changed in every figure, on the same clips.

    Args:
        earlier: Runs of a row, in order of their seeds.
        later: Runs of the row after it.
        same_runs: Whether both rows are the same trained models, used in two ways.
    """
    changes: Changes = {
        name: paired_change(
            [run.values[name] for run in earlier],
            [run.values[name] for run in later],
            statistic_of(name),
            same_runs,
        )
        for name in earlier[0].values
    }
    return changes | {
        name: distance_change(
            [run.distances[name] for run in earlier],
            [run.distances[name] for run in later],
            earlier[0].clips,
            same_runs,
        )
        for name in earlier[0].distances
    }


def _spatial(values: Mapping[str, FloatArray], variant: str) -> FloatArray:
    """The slides' six spatial scores as one: the mean of CC and AUC over the windows, (clips,)."""
    columns = [values[f"{score}/{window}/{variant}"] for score in ("cc", "auc") for window in OVERLAP_WINDOWS]
    return np.mean(columns, axis=0)


def _field_values(item: HeldOutClip, audio: SpatialAudio) -> dict[str, float | None]:
    truth, field = item.truth, at_score_rate(audio, item.truth)
    directions = window_directions(covariances_over_time(field, SCORE_RATE_HZ, _WINDOWS_PER_S))
    return (
        field_scores(truth.field.samples, field, as_published=True)
        | sound_scores(sound_of_field(truth.field.samples), sound_of_field(field))
        | {"angle_deg": weighted_angle_deg(reference_vectors(truth, field, directions), directions)}
    )
