"""Every figure of a pair: what it is called, in which table it stands, how clips are pooled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS
from spatialfoley.evaluation.report.document import Better, Metric

Family = Literal["spatial", "maps", "binaural", "semantic", "synchrony"]
Pooling = Literal["mean", "median"]

FAMILY_TITLES: dict[Family, str] = {
    "spatial": "Where: the sound field",
    "maps": "Where: CC and AUC of energy maps",
    "binaural": "Where: two ears",
    "semantic": "What it sounds like",
    "synchrony": "When and how loud",
}


@dataclass(frozen=True)
class Measure:
    """A score of pairs and how it is told.

    Attributes:
        metric: Its column; the key is that of the scores.
        family: Its table.
        pooled: Mean or median over clips.
    """

    metric: Metric
    family: Family
    pooled: Pooling = "mean"


def _measure(
    family: Family,
    key: str,
    title: str,
    form: str,
    unit: str = "",
    better: Better | None = None,
    pooled: Pooling = "mean",
    note: str = "",
    headline: bool = False,
) -> Measure:
    return Measure(Metric(key, title, form, unit, better, note, headline), family, pooled)


def _overlaps(variant: str, mark: str, note: str) -> Iterable[Measure]:
    for score in ("cc", "auc"):
        for window in OVERLAP_WINDOWS:
            title = f"{score.upper()} {window.capitalize() if window == 'all' else window}{mark}"
            yield _measure("maps", f"{score}/{window}/{variant}", title, ".3f", better="higher", note=note)


MEASURES: tuple[Measure, ...] = (
    _measure(
        "spatial",
        "peak_angle_deg",
        "angle of the peaks",
        ".1f",
        "°",
        "lower",
        "median",
        headline=True,
        note="Between the peaks of the energy maps of the whole clip, median; 90° is chance.",
    ),
    _measure(
        "spatial",
        "intensity_angle_deg",
        "angle of the intensities",
        ".1f",
        "°",
        "lower",
        "median",
        note="Between the mean intensity vectors of the whole clip, median.",
    ),
    *_overlaps("correct", "", "SN3D maps, cells weighed by solid angle."),
    *_overlaps(
        "reference",
        " as published",
        "Maps as the published script makes them: X and Y weighted √2, rows thinned towards the poles.",
    ),
    *(
        _measure(
            "spatial",
            f"energy_l1/{window}",
            f"map L1 {window}",
            ".3f",
            better="lower",
            note="Share of the energy map that would have to move; 0 to 1.",
        )
        for window in OVERLAP_WINDOWS
    ),
    _measure(
        "spatial",
        "field_coherence",
        "coherence",
        ".2f",
        pooled="median",
        note="Share of the energy of Y, Z, X that a gain on W explains; 1 for one plane wave.",
    ),
    _measure("spatial", "true_field_coherence", "coherence of the truth", ".2f", pooled="median"),
    _measure(
        "spatial", "psi", "psi", ".2f", pooled="median", note="Intensity over energy: 1 for one plane wave."
    ),
    _measure("spatial", "true_psi", "psi of the truth", ".2f", pooled="median"),
    _measure(
        "binaural", "level_error_db", "level difference error", ".1f", "dB", "lower", "median", headline=True
    ),
    _measure("binaural", "delay_error_us", "time difference error", ".0f", "µs", "lower", "median"),
    _measure(
        "binaural",
        "louder_ear_right",
        "louder ear right",
        ".1%",
        better="higher",
        note="Share of the energy during which the ear that is louder in the truth is louder; 50 % is chance.",
    ),
    _measure("binaural", "earlier_ear_right", "earlier ear right", ".1%", better="higher"),
    _measure("binaural", "ear_coherence", "coherence of the ears", ".2f", pooled="median"),
    _measure("binaural", "true_ear_coherence", "coherence of the true ears", ".2f", pooled="median"),
    _measure(
        "binaural",
        "one_channel_twice",
        "one channel given twice",
        ".1%",
        better="lower",
        note="Share of clips whose ears are one channel although the true ears differ.",
    ),
    _measure(
        "binaural",
        "left_right_distance",
        "D",
        ".3f",
        pooled="median",
        note="Left-right distance of ViSAudio, eq. 40; up to 0.01 is mono.",
    ),
    _measure("binaural", "true_left_right_distance", "D of the truth", ".3f", pooled="median"),
    _measure(
        "synchrony",
        "onset_error_s",
        "onset error",
        ".3f",
        "s",
        "lower",
        "median",
        headline=True,
        note="Onsets of the sound against those of the truth; 0.25 s where one has no partner.",
    ),
    _measure(
        "synchrony",
        "desync_s",
        "DeSync",
        ".3f",
        "s",
        "lower",
        note="Offset between picture and sound that Synchformer hears, mean of its size.",
    ),
    _measure(
        "semantic",
        "agreement",
        "agreement",
        ".3f",
        better="higher",
        note="Cosine of picture and sound by a plug-in; the provenance names it.",
    ),
    _measure(
        "semantic",
        "envelope_l1",
        "E-L1",
        ".3f",
        better="lower",
        note="Difference of RMS envelopes, of W or of the mean of the ears; the assumptions are ours.",
    ),
    _measure(
        "synchrony", "level_db", "level", "+.1f", "dB", pooled="median", note="RMS against that of the truth."
    ),
)
"""In the order of their tables."""


def measures_of(family: Family) -> tuple[Measure, ...]:
    """Measures of one table."""
    return tuple(measure for measure in MEASURES if measure.family == family)
