"""Scores of one sound against the truth of a world clip: what and when, where as a field, where at the ears."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W
from spatialfoley.evaluation.metrics.direction import (
    WindowDirections,
    intensity_ratio,
    intensity_window_directions,
    left_right_confusion,
    spatial_coherence,
    weighted_angle_deg,
    window_directions,
)
from spatialfoley.evaluation.metrics.energy_distance import points_distance
from spatialfoley.evaluation.metrics.energy_overlap import points_overlap
from spatialfoley.evaluation.metrics.energy_points import covariances_over_time
from spatialfoley.evaluation.metrics.envelope import envelope_l1
from spatialfoley.evaluation.metrics.onset import detect_onsets, match_onsets
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ, all_points
from spatialfoley.evaluation.networks.world_classifier import WorldClassifier
from spatialfoley.evaluation.suite.clips import STEP_S, WINDOW_STEPS, ClipTruth
from spatialfoley.evaluation.suite.ears import EarScores, ears_of, score_ears
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.spatial.direction import angle_between_deg
from spatialfoley.spatial.signal import SpatialAudio, require_layout
from spatialfoley.world import CLASSES

FloatArray = NDArray[np.floating]

_WINDOWS_PER_S = 1 / (WINDOW_STEPS * STEP_S)


@dataclass(frozen=True)
class SoundScores:
    """Scores of a sound without direction; None where a score is not defined, as its metric states.

    Attributes:
        onset_error_s: Median absolute onset error, misses and false alarms counted as 0.25 s.
        true_onsets: True onsets in the clip.
        missed_onsets: Those without a partner.
        found_onsets: Onsets in the sound.
        false_onsets: Those without a partner.
        class_found: Class that the classifier hears; None for silence.
        class_correct: Whether it is the source's class; None for clips of several sources.
        level_difference_db: Level minus that of the truth, in W of a field, in one channel, or in both ears
            together; None for silence.
        envelope_l1: E-L1 of W, or of the mean of two ears.
        length_difference_s: Length minus that of the clip; the sound was cut or padded to the clip.
    """

    onset_error_s: float | None
    true_onsets: int
    missed_onsets: int
    found_onsets: int
    false_onsets: int
    class_found: str | None
    class_correct: bool | None
    level_difference_db: float | None
    envelope_l1: float
    length_difference_s: float


@dataclass(frozen=True)
class FieldScores:
    """Scores of one field; None where a score is not defined, as its metric states.

    Attributes:
        angle_deg: Angle between energy peak and source in windows of 0.5 s, weighted by the field's energy.
        intensity_angle_deg: The same for the direction of the intensity.
        clip_angle_deg: The same with one window over the whole clip.
        wrong_side: Share of lateral energy that comes from the wrong side.
        cc: Correlation of energy maps by "windows/variant".
        auc: AUC-Judd by "windows/variant".
        energy_l1: L1 distance of energy maps by "windows/variant".
        flat_windows: Of the 5 fps windows in which the truth sounds, those where the field has no contrast.
        coherence: Share of Y, Z, X that W explains.
        psi: Intensity over energy.
    """

    angle_deg: float
    intensity_angle_deg: float
    clip_angle_deg: float
    wrong_side: float | None
    cc: dict[str, float | None]
    auc: dict[str, float | None]
    energy_l1: dict[str, float | None]
    flat_windows: int
    coherence: float | None
    psi: float | None


@dataclass(frozen=True, eq=False)
class ClipEmbeddings:
    """What distances between sets of sounds are measured on.

    Attributes:
        ears: Of left ear, right ear and their mean, (3, dimensions).
        channels: Of W, Y, Z, X of a field, (4, dimensions); None for other sounds.
        logits: Of the classes in the mean of the ears, (classes,).
    """

    ears: FloatArray
    channels: FloatArray | None
    logits: FloatArray


@dataclass(frozen=True, eq=False)
class ClipScores:
    """All scores of one sound.

    Attributes:
        sound: What and when.
        field: Where, for a field; None for mono and binaural sound.
        ears: Where at the ears: of binaural sound itself, of a field heard from the camera, of mono on both.
        heard: Embeddings and logits, for distances between sets.
    """

    sound: SoundScores
    field: FieldScores | None
    ears: EarScores
    heard: ClipEmbeddings

    @property
    def embeddings(self) -> FloatArray:
        """Of left ear, right ear and their mean, (3, dimensions)."""
        return self.heard.ears

    def document(self) -> dict[str, Any]:
        """Scores without embeddings as plain values, those of sound and field in one level."""
        field = {} if self.field is None else asdict(self.field)
        return {**asdict(self.sound), **field, "ears": asdict(self.ears)}


def score_sound(truth: ClipTruth, audio: SpatialAudio, classifier: WorldClassifier) -> ClipScores:
    """Score a generated sound by all that its layout allows.

    Args:
        truth: The clip's truth.
        audio: A world-locked field, two ears at the camera, or one channel; any rate.
        classifier: Knows the classes of the world.

    Raises:
        ValueError: The sound has another layout.
    """
    ears = ears_of(audio, truth)
    field: FloatArray | None = None
    mono, reference = ears.mean(axis=0), truth.field.samples[W]
    level_db = level_difference_db(reference, ears)
    if audio.layout == "foa":
        field = at_score_rate(audio, truth)
        mono = field[W]
        level_db = level_difference_db(reference, mono)
    elif audio.layout == "binaural":
        reference = truth.ears.ears.mean(axis=0)
        level_db = level_difference_db(truth.ears.ears, ears)
    heard, mono_logits = _listened(classifier, ears, field)
    return ClipScores(
        sound=SoundScores(
            **_onset_scores(truth, mono),
            **_class_scores(truth, mono, mono_logits),
            level_difference_db=level_db,
            envelope_l1=envelope_l1(reference[None], mono[None], SCORE_RATE_HZ),
            length_difference_s=audio.duration_s - truth.scene.duration_s,
        ),
        field=None if field is None else score_field(truth, field),
        ears=score_ears(truth.ears, ears),
        heard=heard,
    )


def with_mean(ears: FloatArray) -> FloatArray:
    """Left, right and their mean, (3, N): what distances between sets of sounds are measured on."""
    return np.concatenate([ears, ears.mean(axis=0, keepdims=True)])


def score_field(truth: ClipTruth, field: FloatArray) -> FieldScores:
    """Score a world-locked field (4, N) at the scoring rate, as long as the clip."""
    covariances = covariances_over_time(field, SCORE_RATE_HZ, _WINDOWS_PER_S)
    directions = window_directions(covariances)
    reference = reference_vectors(truth, field, directions)
    to_camera = np.swapaxes(truth.camera_matrices, 1, 2)
    in_camera = WindowDirections(np.einsum("mij,mj->mi", to_camera, directions.peak), directions.energy)
    points = all_points(field)
    overlaps = {"/".join(key): points_overlap(truth.points[key], points[key]) for key in points}
    distances = {"/".join(key): points_distance(truth.points[key], points[key]).l1 for key in points}
    return FieldScores(
        angle_deg=weighted_angle_deg(reference, directions),
        intensity_angle_deg=weighted_angle_deg(reference, intensity_window_directions(covariances)),
        clip_angle_deg=_clip_angle_deg(reference, field, directions),
        wrong_side=left_right_confusion(np.einsum("mij,mj->mi", to_camera, reference), in_camera),
        cc={name: overlap.cc for name, overlap in overlaps.items()},
        auc={name: overlap.auc for name, overlap in overlaps.items()},
        energy_l1=distances,
        flat_windows=overlaps["5fps/correct"].estimate_flat,
        coherence=spatial_coherence(covariances),
        psi=intensity_ratio(covariances),
    )


def _listened(
    classifier: WorldClassifier, ears: FloatArray, field: FloatArray | None
) -> tuple[ClipEmbeddings, FloatArray]:
    """Everything heard in one pass, and the logits of W of a field, else of the mean of the ears."""
    sounds = with_mean(ears) if field is None else np.concatenate([with_mean(ears), field])
    embeddings, logits = classifier.listen(sounds, SCORE_RATE_HZ)
    channels = None if field is None else embeddings[3:]
    return ClipEmbeddings(embeddings[:3], channels, logits[2]), logits[2 if field is None else 3]


def _onset_scores(truth: ClipTruth, mono: FloatArray) -> dict[str, Any]:
    onsets = detect_onsets(mono, SCORE_RATE_HZ)
    matched = match_onsets(truth.onset_times_s, onsets)
    return {
        "onset_error_s": matched.median_abs_error_s,
        "true_onsets": len(truth.onset_times_s),
        "missed_onsets": matched.misses,
        "found_onsets": len(onsets),
        "false_onsets": matched.false_alarms,
    }


def _class_scores(truth: ClipTruth, mono: FloatArray, logits: FloatArray) -> dict[str, Any]:
    found = CLASSES[int(np.argmax(logits))] if np.any(mono) else None
    single = len(truth.class_names) == 1
    return {"class_found": found, "class_correct": (found == truth.class_names[0]) if single else None}


def at_score_rate(audio: SpatialAudio, truth: ClipTruth) -> FloatArray:
    """Samples (4, N) at the scoring rate, cut or padded with silence to the clip's length."""
    require_layout(audio, "foa")
    samples = resample(audio.samples, audio.rate_hz, SCORE_RATE_HZ)
    return fit_length(samples, truth.field.samples.shape[1])


def reference_vectors(truth: ClipTruth, field: FloatArray, directions: WindowDirections) -> FloatArray:
    """Where the sound of each window should come from: the source that is loudest there, or the nearest.

    A moving source is taken where it is while the field sounds. Where no source sounds, the one nearest to
    the field's peak counts: sound at a wrong moment is a matter of onsets, not of direction.

    Args:
        truth: The clip's truth.
        field: Field to score, (4, N) at the scoring rate.
        directions: Its peaks in windows of 0.5 s.

    Returns:
        Unit vectors of shape (M, 3), world axes.
    """
    count = truth.level.shape[1]
    step = round(STEP_S * SCORE_RATE_HZ)
    energy = np.sum(field[W, : count * WINDOW_STEPS * step].reshape(count, WINDOW_STEPS, step) ** 2, axis=2)
    weights = energy + 1e-6 * energy.mean(axis=1, keepdims=True) + 1e-20
    paths = truth.vectors.reshape(len(truth.vectors), count, WINDOW_STEPS, 3)
    vectors = np.einsum("mt,smtj->smj", weights, paths)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    angles = angle_between_deg(vectors, np.nan_to_num(directions.peak, nan=1.0)[None])
    sounding = truth.level > 1e-6 * truth.level.sum(axis=0).mean()
    chosen = np.where(sounding.any(axis=0), np.argmax(truth.level, axis=0), np.argmin(angles, axis=0))
    return vectors[chosen, np.arange(count)]


def turn_deg(
    truth: ClipTruth, straight: SpatialAudio, turned: SpatialAudio, yaw_deg: float = 90.0
) -> float | None:
    """How far a field turned about the up axis when its camera was said to be turned.

    Both fields are taken relative to where the source then is, so that neither moving sources nor different
    moments of sound disturb the figure.

    Args:
        truth: Truth of the clip before the turn, one source.
        straight: Field for the clip as it is.
        turned: Field for the clip with its camera turned.
        yaw_deg: By how much the camera was turned.

    Returns:
        Degrees in (yaw_deg - 180, yaw_deg + 180]; None if one of the fields has no direction.
    """
    before = _azimuth_phasor(truth, straight, 0.0)
    after = _azimuth_phasor(truth, turned, yaw_deg)
    if abs(before) == 0 or abs(after) == 0:
        return None
    return float(yaw_deg + np.degrees(np.angle(after / before)))


def _azimuth_phasor(truth: ClipTruth, audio: SpatialAudio, yaw_deg: float) -> complex:
    """Energy-weighted mean of exp(i (azimuth of the peak - azimuth of the source turned by yaw_deg))."""
    field = at_score_rate(audio, truth)
    directions = window_directions(covariances_over_time(field, SCORE_RATE_HZ, _WINDOWS_PER_S))
    source = reference_vectors(truth, field, directions)
    expected = (source[:, 0] + 1j * source[:, 1]) * np.exp(1j * np.radians(yaw_deg))
    peak = np.nan_to_num(directions.peak[:, 0] + 1j * directions.peak[:, 1])
    return complex(np.sum(directions.energy * peak * np.conj(expected)))


def _clip_angle_deg(reference: FloatArray, field: FloatArray, directions: WindowDirections) -> float:
    whole = window_directions(covariances_over_time(field, SCORE_RATE_HZ, None))
    mean = directions.energy @ reference
    length = np.linalg.norm(mean)
    middle = mean / length if length > 0 else reference[0]
    return weighted_angle_deg(middle[None], whole)


def level_difference_db(reference: FloatArray, estimate: FloatArray) -> float | None:
    """Mean power of the estimate over that of the reference in dB, over all channels; None for silence."""
    powers = [float(np.mean(signal.astype(np.float64) ** 2)) for signal in (reference, estimate)]
    return None if min(powers) <= 0 else 10 * float(np.log10(powers[1] / powers[0]))
