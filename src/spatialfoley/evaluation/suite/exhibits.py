"""The worst and the best clips of systems, to look at and to listen to.

Their sounds are made once more: the same clip and seed make the same sound, so nothing but scores has to be kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.report.document import Exhibit
from spatialfoley.evaluation.suite.clip_scores import ClipSounds, open_clip
from spatialfoley.evaluation.suite.records import Record
from spatialfoley.evaluation.suite.settings import TURN_KINDS, WorldSuiteSettings
from spatialfoley.evaluation.suite.systems import System
from spatialfoley.spatial.signal import SpatialAudio

Choice = tuple[str, Record]
"""A caption and the record of a clip."""


def make_exhibits(
    systems: Sequence[System],
    records: Mapping[str, Sequence[Record]],
    settings: WorldSuiteSettings,
    worst: int = 2,
    best: int = 1,
) -> list[Exhibit]:
    """Exhibits of all systems that are to be shown, the worst clips of each first.

    Args:
        systems: All systems of the run.
        records: Of all clips by system.
        settings: Of the suite.
        worst: Clips with the largest error of each system.
        best: Clips with the smallest.
    """
    found = []
    opened: dict[int, ClipSounds] = {}
    for system in systems:
        if not system.shown:
            continue
        for caption, record in choose_clips(records[system.name], worst, best):
            index = record["index"]
            if index not in opened:
                opened[index] = open_clip(index, settings, systems)
            found.append(_exhibit(system.name, caption, record, opened[index]))
    return found


def choose_clips(records: Sequence[Record], worst: int, best: int) -> Iterator[Choice]:
    """Clips of one source in view with the largest and the smallest error, no clip twice.

    The error is the direction error of a field, else the error of the level difference of the ears.
    """
    single = [record for record in records if record["error"] is None and record["kind"] in TURN_KINDS]
    errors = [(error, record) for record in single if (error := _error(record)) is not None]
    ranked = sorted(errors, key=lambda pair: -pair[0][0])
    last = ranked[max(worst, len(ranked) - best) :]
    for word, chosen in (("worst", ranked[:worst]), ("best", last[::-1])):
        for (value, unit), record in chosen:
            yield f"{word}: {value:.1f}{unit}", record


def _error(record: Record) -> tuple[float, str] | None:
    scores = record["scores"]
    if "angle_deg" in scores:
        return scores["angle_deg"], "°"
    level_db = scores["ears"]["level_error_db"]
    return None if level_db is None else (level_db, " dB between the ears")


def _exhibit(name: str, caption: str, record: Record, sounds: ClipSounds) -> Exhibit:
    clip, truth = sounds.clip, sounds.truth
    estimate = sounds.of(name)
    true = truth.field
    if estimate.layout != "foa":
        true = SpatialAudio(truth.ears.ears, SCORE_RATE_HZ, "binaural")
    middle_s = np.array([clip.scene.duration_s / 2])
    heard = ", ".join(truth.class_names)
    return Exhibit(
        clip=f"clip {clip.index}, {clip.scene.kind.replace('_', ' ')}, {clip.scene.camera_kind} camera: {heard}",
        system=name,
        caption=caption,
        sounds={"truth": true, "estimate": estimate},
        camera=clip.camera,
        figures=_figures(record["scores"]),
        thumbnail=clip.video.frames_at(middle_s)[0],
    )


def _figures(scores: Mapping[str, Any]) -> dict[str, float | None]:
    ears = scores["ears"]
    figures: dict[str, float | None] = {}
    if "angle_deg" in scores:
        figures = {
            "direction error, peak (°)": scores["angle_deg"],
            "direction error, intensity (°)": scores["intensity_angle_deg"],
            "CC All": scores["cc"]["all/correct"],
            "coherence": scores["coherence"],
        }
    return figures | {
        "level difference error (dB)": ears["level_error_db"],
        "time difference error (µs)": ears["delay_error_us"],
        "onset error (s)": scores["onset_error_s"],
        "level (dB)": scores["level_difference_db"],
    }
