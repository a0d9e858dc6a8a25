"""Which clips a report shows: the worst and the best of each system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.pairs.clip_scoring import Record
from spatialfoley.evaluation.pairs.layouts import FileLayout, in_form, read_sound
from spatialfoley.evaluation.pairs.matching import Matching, SoundSource, sound_files
from spatialfoley.evaluation.pairs.protocols import fit_duration, restore_length
from spatialfoley.evaluation.report.document import Exhibit
from spatialfoley.media.audio import resample
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import as_trajectory

if TYPE_CHECKING:
    from pathlib import Path

    from spatialfoley.evaluation.pairs.run import PairSettings

RANKINGS: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "field": (("peak_angle_deg", "angle {:.1f}°", False), ("cc/all/correct", "CC {:.3f}", True)),
    "ears": (
        ("level_error_db", "level difference off by {:.1f} dB", False),
        ("envelope_l1", "E-L1 {:.3f}", False),
    ),
    "mono": (("envelope_l1", "E-L1 {:.3f}", False),),
}
"""By what clips are ranked, by form: key, how it is said, whether more is better."""

SHOWN_S = 10.0
SHOWN_RATE_HZ = 24000
_SHOWN_FIGURES = {
    "peak_angle_deg": "angle, °",
    "cc/all/correct": "CC, All",
    "auc/all/correct": "AUC, All",
    "level_error_db": "level difference error, dB",
    "delay_error_us": "time difference error, µs",
    "onset_error_s": "onset error, s",
    "envelope_l1": "E-L1",
    "desync_s": "DeSync, s",
}


def choose_exhibits(
    scored: Mapping[str, Sequence[Record]],
    systems: Sequence[SoundSource],
    truth: SoundSource,
    matchings: Mapping[str, Matching],
    settings: PairSettings,
) -> tuple[Exhibit, ...]:
    """The worst clips of every system, then the best ones, each clip once per system."""
    truths = sound_files(truth)
    worst: list[Exhibit] = []
    best: list[Exhibit] = []
    for system in systems:
        rows = scored[system.name]
        taken: set[str] = set()
        for name, found, shown in (("worst", False, worst), ("best", True, best)):
            for row, said in ranked(rows, found, settings.exhibits, taken):
                taken.add(row["clip"])
                paths = truths[row["clip"]], matchings[system.name].files[row["clip"]]
                shown.append(_exhibit(row, f"{name}: {said}", paths, (truth.layout, system.layout), settings))
    return (*worst, *best)


def ranked(rows: Sequence[Record], best: bool, count: int, taken: set[str]) -> list[tuple[Record, str]]:
    """The worst or best pairs with what is said of them: the first of each ranking, then the second.

    Args:
        rows: Scored pairs of one system.
        best: The best ones rather than the worst.
        count: How many.
        taken: Clips that are shown already.
    """
    orders = []
    for key, said, more_is_better in RANKINGS[rows[0]["form"]] if rows else ():
        having = [row for row in rows if row["scores"].get(key) is not None]
        having.sort(key=partial(_score_of, key), reverse=best == more_is_better)
        orders.append([(row, said.format(row["scores"][key])) for row in having])
    chosen: list[tuple[Record, str]] = []
    seen = set(taken)
    for entry in chain.from_iterable(zip_longest(*orders)):
        if entry is not None and entry[0]["clip"] not in seen and len(chosen) < count:
            seen.add(entry[0]["clip"])
            chosen.append(entry)
    return chosen


def _score_of(key: str, row: Record) -> float:
    return float(row["scores"][key])


def _exhibit(
    row: Record,
    caption: str,
    paths: tuple[Path, Path],
    layouts: tuple[FileLayout, FileLayout],
    settings: PairSettings,
) -> Exhibit:
    camera = settings.cameras.of(row["clip"])
    sounds = {}
    for role, path, layout in zip(("truth", "estimate"), paths, layouts, strict=True):
        stretched = role == "estimate" and row["system"] in settings.restored
        sound = (restore_length if stretched else fit_duration)(read_sound(path, layout), row["duration_s"])
        sounds[role] = _shown(in_form(sound, row["form"], camera))
    return Exhibit(
        clip=row["clip"],
        system=row["system"],
        caption=caption,
        sounds=sounds,
        camera=None if camera == Direction(0.0) else as_trajectory(camera),
        figures={title: row["scores"][key] for key, title in _SHOWN_FIGURES.items() if key in row["scores"]},
        thumbnail=_thumbnail(row, settings),
    )


def _shown(sound: SpatialAudio) -> SpatialAudio:
    """At most ten seconds at 24 kHz, which keeps the page small."""
    samples, rate_hz = sound.samples[:, : round(SHOWN_S * sound.rate_hz)], min(sound.rate_hz, SHOWN_RATE_HZ)
    return SpatialAudio(resample(samples, sound.rate_hz, rate_hz), rate_hz, sound.layout)


def _thumbnail(row: Record, settings: PairSettings) -> NDArray[np.uint8] | None:
    """The picture in the middle of the clip, where its video is known."""
    if settings.videos is None:
        return None
    from spatialfoley.evaluation.pairs.picture_scores import video_of
    from spatialfoley.media.video import read_video

    path = video_of(settings.videos, row["clip"])
    if path is None:
        return None
    video = read_video(path)
    scale = 180 / video.height
    size_px = (180, max(2, round(video.width * scale)))
    return video.frames_at([min(row["duration_s"], video.duration_s) / 2], size_px, None)[0]
