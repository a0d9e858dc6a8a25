"""How much the defects of the published encoder ("Ambi Enc.") and mono decode move scores: see `defects`."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.evaluation.metrics.divergence import kl_divergence
from spatialfoley.evaluation.metrics.energy_overlap import energy_overlap
from spatialfoley.evaluation.metrics.energy_points import Variant
from spatialfoley.evaluation.metrics.frechet import frechet_distance
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.networks.listener import Heard, Listener
from spatialfoley.evaluation.study.defects import (
    SYSTEMS,
    DefectRow,
    System,
    defect_row,
    map_defects,
    silence_defects,
)
from spatialfoley.evaluation.study.sensitivity_distortions import random_vector
from spatialfoley.evaluation.study.sensitivity_scenes import KINDS, make_study_scene
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.single_direction import mirrored, mono_decode
from spatialfoley.world import held_out_seed, make_scene, render_foa, render_mono
from spatialfoley.world.layout import draw_direction
from spatialfoley.world.scenes import SceneKind

FloatArray = NDArray[np.floating]
Clip = tuple[FloatArray, FloatArray, Direction]
"""True field (4, N), mono sound (N,) and where the camera looks."""

_DISTANCE_DRAWS = 60
_VARIANTS: tuple[tuple[Variant, str], ...] = (("correct", ""), ("reference", ", as published"))
_WORLD: tuple[tuple[SceneKind, str], ...] = (
    ("centred", "world clip, source centred"),
    ("in_view", "world clip, source in view"),
)


def run_defects(
    scenes: int, seed: int, listener: Listener, progress: Callable[[str, float], None] | None = None
) -> list[DefectRow]:
    """All rows.

    Args:
        scenes: Of each kind.
        seed: Of everything drawn.
        listener: For the mono decode.
        progress: Told what is going on and the fraction done.
    """
    parts: Sequence[tuple[str, Callable[[], list[DefectRow]]]] = (
        ("energy maps", lambda: map_defects(scenes, seed)),
        ("silence", lambda: silence_defects(scenes, seed)),
        ("Ambi Enc.", lambda: encoder_defects(scenes, seed)),
        ("mono decode", lambda: decoder_defects(scenes, seed, listener)),
    )
    rows: list[DefectRow] = []
    for index, (name, part) in enumerate(parts):
        rows += part()
        if progress:
            progress(f"defects: {name}", (index + 1) / len(parts))
    return rows


def encoder_defects(scenes: int, seed: int, duration_s: float = 5.0) -> list[DefectRow]:
    """Ambi Enc. with the true mono sound: mirrored, √2 too strong, and both, on five kinds of camera.

    With the first three the source is at the camera's centre, so the encoder is right but for its defects.

    Args:
        scenes: Of each kind of camera; five times as many of those that need no rendering.
        seed: Of cameras and scenes.
        duration_s: Length of a scene.
    """
    rows = []
    for name, pairs in _cameras(scenes, seed, duration_s).items():
        for variant, mark in _VARIANTS:
            scores = np.array([encoder_scores(truth, mono, camera, variant) for truth, mono, camera in pairs])
            for number, defect in enumerate(
                ("Ambi Enc. mirrored", "Ambi Enc. √2 too strong", "Ambi Enc. both")
            ):
                for column, figure in enumerate(("CC", "AUC")):
                    both = scores[:, [0, number + 1], column]
                    rows.append(defect_row(defect, name, f"{figure}, All{mark}", both))
    return rows


def _cameras(scenes: int, seed: int, duration_s: float) -> dict[str, list[Clip]]:
    """True field, mono sound and camera of every clip, by kind of camera."""
    rng = np.random.default_rng((seed, 5))
    tone = rng.standard_normal(SCORE_RATE_HZ // 4).astype(np.float32)
    count = range(5 * scenes)
    ideal: dict[str, list[Direction]] = {
        "camera anywhere on the sphere": [Direction.from_vector(random_vector(rng)) for _ in count],
        "camera near the horizon": [Direction.from_vector(draw_direction(rng)) for _ in count],
        "camera within 15° of the front": [Direction(*rng.uniform(-15, 15, 2)) for _ in count],
    }
    found = {
        name: [(encode(tone, camera.vector()), tone, camera) for camera in cameras]
        for name, cameras in ideal.items()
    }
    for kind, name in _WORLD:
        clips = []
        for index in range(scenes):
            scene = make_scene(held_out_seed(index, seed), kind, "static", duration_s)
            camera = Direction.from_vector(scene.camera.matrices_at(np.zeros(1))[0] @ [1.0, 0.0, 0.0])
            clips.append((render_foa(scene, SCORE_RATE_HZ), render_mono(scene, SCORE_RATE_HZ), camera))
        found[name] = clips
    return found


def encoder_scores(truth: FloatArray, mono: FloatArray, camera: Direction, variant: Variant) -> FloatArray:
    """CC and AUC of Ambi Enc. done right, mirrored, √2 too strong, and both: (4, 2)."""
    scores = []
    for mirror, loud in ((False, False), (True, False), (False, True), (True, True)):
        field = encode(mono, (mirrored(camera) if mirror else camera).vector())
        if loud:
            field[[Y, Z, X]] *= np.float32(np.sqrt(2.0))
        overlap = energy_overlap(truth, field, SCORE_RATE_HZ, None, variant)
        scores.append([overlap.cc or 0.0, overlap.auc or 0.0])
    return np.array(scores)


def decoder_defects(scenes: int, seed: int, listener: Listener, duration_s: float = 5.0) -> list[DefectRow]:
    """The stray division in the mono decode of generated fields: distances of sets as the world's listener hears.

    The true fields are decoded without the defect, as published. The camera looks at the first source.
    """
    truths = [make_study_scene(kind, index, seed, duration_s) for kind in KINDS for index in range(scenes)]
    cameras = [Direction.from_vector(np.atleast_2d(scene.vectors[0])[0]) for scene in truths]
    true = [
        listener.hear(mono_decode(scene.field, camera, "reference")[None], SCORE_RATE_HZ)
        for scene, camera in zip(truths, cameras, strict=True)
    ]
    rows = []
    systems: dict[str, System] = {"the truth itself": lambda scene, rng: scene.field, **SYSTEMS}
    for name in ("the truth itself", "30° off, noise at 5 dB"):
        heard: dict[str, list[Heard]] = {"right": [], "stray division": [], "W": []}
        for number, (scene, camera) in enumerate(zip(truths, cameras, strict=True)):
            field = np.asarray(systems[name](scene, np.random.default_rng((seed, number))), np.float32)
            decoded = (
                mono_decode(field, camera, "reference"),
                mono_decode(field, camera, "reference_bug"),
                field[W],
            )
            for sounds, sound in zip(heard.values(), decoded, strict=True):
                sounds.append(listener.hear(sound[None], SCORE_RATE_HZ))
        for defect, wrong in (
            ("stray division in the mono decode", heard["stray division"]),
            ("(for comparison: W in place of the decode)", heard["W"]),
        ):
            rows.append(
                _distance_row(defect, name, *(_embeddings(many) for many in (true, heard["right"], wrong)))
            )
            logits = [_logits(many) for many in (true, heard["right"], wrong)]
            pairs = np.stack([kl_divergence(logits[0], found, "av-bench") for found in logits[1:]], axis=1)
            rows.append(defect_row(defect, name, "KL, decoded", pairs))
    return rows


def _embeddings(heard: Sequence[Heard]) -> FloatArray:
    return np.stack([one.embeddings[0].mean(axis=0) for one in heard])


def _logits(heard: Sequence[Heard]) -> FloatArray:
    """Logits (clips, classes) of a listener that knows classes."""
    return np.stack([one.logits[0] for one in heard if one.logits is not None])


def _distance_row(
    defect: str, scored: str, true: FloatArray, right: FloatArray, wrong: FloatArray
) -> DefectRow:
    """Difference of two Fréchet distances to one set, clips drawn anew together, without what drawing adds."""
    values = [frechet_distance(true, found) for found in (right, wrong)]
    picks = np.random.default_rng(0).integers(0, len(true), (_DISTANCE_DRAWS, len(true)))
    drawn = np.array(
        [frechet_distance(true[p], wrong[p]) - frechet_distance(true[p], right[p]) for p in picks]
    )
    low, high = np.percentile(drawn, [2.5, 97.5]) - np.mean(drawn) + values[1] - values[0]
    shift = Interval(values[1] - values[0], float(low), float(high), len(true))
    return DefectRow(defect, scored, "FD, decoded", values[0], values[1], shift)
