"""Columns of the world suite's tables, by family: where as a field, where at the ears, when and what, how alike."""

from dataclasses import replace

from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS, Variant
from spatialfoley.evaluation.report.document import Metric

ANGLE = Metric(
    "angle_median_deg",
    "direction error",
    ".1f",
    "°",
    "lower",
    "median over clips; angle between the peak of the energy map and the true source; 90° is chance",
)
LEFT_RIGHT = Metric(
    "left_right_confusion",
    "left for right",
    ".1%",
    "",
    "lower",
    "share of clips whose sound comes mostly from the wrong side; only clips whose source has a side",
)
LOUDER_EAR = Metric("louder_ear_right", "louder ear right", ".1%", "", "higher", "share of clips")
DELAY_ERROR = Metric(
    "ear_delay_error_median_us",
    "ear time error",
    ".0f",
    "µs",
    "lower",
    "median; of the delay between the ears",
)
ONSET = Metric(
    "onset_error_median_s",
    "onset error",
    ".3f",
    "s",
    "lower",
    "median; missed and false onsets count as 0.25 s",
)
CLASS = Metric(
    "class_accuracy", "class right", ".0%", "", "higher", "as heard by the world's classifier; one source"
)
FRECHET_EARS = Metric("frechet_ears", "Fréchet, ears", ".1f", "", "lower", "mean of the two ears; all clips")
SECONDS = Metric("seconds", "per clip", ".2f", "s", "lower", "median; all stages")
PROCESSOR_SECONDS = Metric(
    "processor_s",
    "processor time",
    ".2f",
    "s",
    "lower",
    "median; all threads together, which other work on the machine does not change",
)

FIELD = (
    ANGLE,
    Metric("angle_p90_deg", "90th percentile", ".1f", "°", "lower"),
    Metric(
        "intensity_angle_median_deg",
        "by intensity",
        ".1f",
        "°",
        "lower",
        "median; by the mean active intensity instead of the peak",
    ),
    Metric("intensity_angle_p90_deg", "90th percentile by intensity", ".1f", "°", "lower"),
    Metric("clip_angle_median_deg", "whole clip", ".1f", "°", "lower", "one peak for the whole clip"),
    LEFT_RIGHT,
    Metric(
        "coherence_median",
        "coherence",
        ".2f",
        note="share of Y, Z, X that a gain on W explains; 1 for one source: compare with the truth",
    ),
    Metric(
        "psi_median", "psi", ".2f", note="intensity over energy; 1 for a plane wave, 0 for a diffuse field"
    ),
)


def overlap_columns(variant: Variant) -> tuple[Metric, ...]:
    """CC, AUC and L1 of energy maps for every window length."""
    names = {"cc": "CC", "auc": "AUC", "energy_l1": "L1"}
    windows = {"all": "All", "1fps": "1 fps", "5fps": "5 fps"}
    return tuple(
        Metric(
            f"{metric}/{window}/{variant}",
            f"{names[metric]} {windows[window]}",
            ".3f",
            "",
            "lower" if metric == "energy_l1" else "higher",
        )
        for metric in names
        for window in OVERLAP_WINDOWS
    )


EAR_SIDES = (
    LOUDER_EAR,
    Metric("ear_level_error_median_db", "level difference error", ".1f", "dB", "lower", "median"),
    Metric("delay_side_right", "earlier ear right", ".1%", "", "higher", "share of clips"),
    DELAY_ERROR,
    Metric("ear_delay_error_mean_us", "mean", ".0f", "µs", "lower", "of the ear time error"),
    Metric("silent", "silent", ".0%", "", "lower"),
)

EAR_LIKENESS = (
    Metric(
        "ear_level_correlation", "level difference follows", ".2f", "", "higher", "correlation with the truth"
    ),
    Metric(
        "ear_level_following",
        "within clips",
        ".2f",
        "",
        "higher",
        "the same for what changes while source or camera moves",
    ),
    Metric("ear_coherence_median", "coherence of the ears", ".2f"),
    Metric("ear_coherence_difference_median", "minus the truth's", "+.2f"),
    Metric("mono_collapse", "one channel twice", ".0%", "", "lower", "although the true ears differ"),
    Metric("left_right_distance_median", "D", ".3f", note="left-right distance of ViSAudio, eq. 40"),
)

SOUND = (
    ONSET,
    Metric("onsets_missed", "missed", ".0%", "", "lower"),
    Metric("onsets_false", "false", ".0%", "", "lower"),
    CLASS,
    Metric("level_difference_median_db", "level", "+.1f", "dB", note="minus that of the truth"),
)

LIKENESS = (
    Metric(
        "kl/av-bench",
        "KL",
        ".2f",
        "nats",
        "lower",
        "of the world classifier's posteriors, mean signal of the ears; as av-bench",
    ),
    Metric("kl/audioldm", "KL, audioldm", ".2f", "nats", "lower", "with the offset of that formula"),
    Metric("envelope_l1", "E-L1", ".3f", "", "lower", "RMS envelopes of W, or of the mean of two ears"),
    Metric("ear_envelope_l1", "E-L1, ears", ".3f", "", "lower"),
)

_UNBIASED = "extrapolated to infinitely many clips"

DISTANCES = (
    FRECHET_EARS,
    Metric("frechet_ears_unbiased", "unbiased", ".1f", "", "lower", _UNBIASED),
    Metric("frechet_mix", "Fréchet, mean signal", ".1f", "", "lower"),
    Metric("frechet_w", "Fréchet, W", ".1f", "", "lower", "fields only"),
    Metric("frechet_channels", "Fréchet, channels", ".1f", "", "lower", "mean of W, Y, Z and X"),
    Metric("frechet_channels_unbiased", "unbiased", ".1f", "", "lower", _UNBIASED),
)

HEADLINE = tuple(
    replace(metric, headline=True)
    for metric in (
        ANGLE,
        LEFT_RIGHT,
        Metric(
            "cc/all/correct", "CC All", ".3f", "", "higher", "correlation of energy maps, correct variant"
        ),
        LOUDER_EAR,
        DELAY_ERROR,
        ONSET,
        CLASS,
        FRECHET_EARS,
    )
)

TURN = (
    Metric(
        "median_deg", "the field turns by", ".1f", "°", note="camera said to be turned by 90°; 90° is right"
    ),
    Metric("within_15_deg", "within 15° of that", ".0%", "", "higher", "share of clips"),
)
