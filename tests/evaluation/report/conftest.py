"""A small report whose names try to break every kind of file."""

import numpy as np
import pytest

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import (
    Exhibit,
    Histogram,
    Metric,
    Report,
    SystemRow,
    Table,
)
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import CameraPose, unit_vectors
from spatialfoley.spatial.foa import encode
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

HOSTILE = "<script>alert('1')</script> a|b_c & 50% #1 {x} ~ ^ $ \\end *z* [l](m) `q`"


def between(value, half):
    return Interval(value, value - half, value + half, 20)


@pytest.fixture
def table():
    return Table(
        "Where the sound comes from",
        (
            Metric(
                "angle", "angle, median", ".1f", "°", "lower", note="of the loudest source", headline=True
            ),
            Metric("overlap", "CC", ".3f", better="higher"),
            Metric("share", "left for right", ".1%", better="lower"),
            Metric("level", "level", "+.1f", "dB"),
        ),
        (
            SystemRow("truth", {"angle": between(0.0, 0.0), "overlap": between(1.0, 0.0)}, 20, ranked=False),
            SystemRow(
                "ours",
                {"angle": between(12.3, 1), "overlap": between(0.8, 0.1), "share": between(0.1, 0.05)},
                20,
                caveat="random weights",
            ),
            SystemRow(
                HOSTILE,
                {
                    "angle": between(12.25, 1),
                    "overlap": between(0.7, 0.1),
                    "share": None,
                    "level": between(-0.04, 3),
                },
                20,
                caveat="random weights",
            ),
            SystemRow("theirs", {"angle": between(40.0, 9), "overlap": between(0.9, 0.1)}, 20),
            SystemRow(
                "paper",
                {"overlap": Interval(0.95, 0.95, 0.95, 0)},
                published=True,
                caveat="measured with mirrored left & right",
            ),
        ),
        caption="Held-out clips.",
        notes=("Brackets: 95 % intervals by clip.",),
    )


@pytest.fixture
def text_report(table):
    return Report(
        title="Sounds of <b>rooms</b>",
        introduction=("What was scored & why.",),
        tables=(table,),
        provenance={"models": {"ours_1": "sha256 00|11"}, "clips": [1, 2], "speed": np.float32(0.5)},
        failures={HOSTILE: "no sound < 1 s"},
    )


RATE_HZ = 16000


def clicks_from(azimuth_deg, duration_s=2.0, elevation_deg=10.0, seed=0):
    """A field of noise bursts, two a second, from one direction or from one direction per sample."""
    count = round(duration_s * RATE_HZ)
    mono = np.random.default_rng(seed).normal(0, 0.1, count)
    mono *= np.exp(-30 * (np.arange(count) / RATE_HZ % 0.5))
    return SpatialAudio(encode(mono, unit_vectors(azimuth_deg, elevation_deg)), RATE_HZ, "foa")


@pytest.fixture(scope="session")
def exhibits():
    """Truth that moves from the left to the right, one estimate on the wrong side, and one of two ears only."""
    truth = clicks_from(np.linspace(60, -60, 2 * RATE_HZ))
    wrong = clicks_from(np.linspace(-60, 60, 2 * RATE_HZ))
    turning = CameraTrajectory(np.array([0.0, 2.0]), np.array([0.0, 170.0]), np.zeros(2), np.zeros(2))
    picture = np.random.default_rng(1).integers(0, 256, (90, 160, 3)).astype(np.uint8)
    ears = {"truth": render_binaural(truth), "estimate": render_binaural(wrong)}
    still = CameraTrajectory.static(CameraPose())
    return (
        Exhibit(
            HOSTILE,
            "ours",
            "worst: 87.1°",
            {"truth": truth, "estimate": wrong},
            turning,
            {"angle °": 87.1, "onset s": None},
            picture,
        ),
        Exhibit("clip 2", "two <ears>", "best: 1.0°", ears, still, {"angle °": 1.0}),
    )


@pytest.fixture
def full_report(text_report, exhibits):
    """The small report with everything that a page can show."""
    spread = np.random.default_rng(2).uniform(0, 180, 50)
    histogram = Histogram(
        "Direction error",
        "°",
        {"ours": spread, HOSTILE: spread / 4, "none": np.zeros(0)},
        np.arange(0, 181, 15.0),
    )
    return Report(
        title=text_report.title,
        introduction=text_report.introduction,
        tables=text_report.tables,
        histograms=(histogram,),
        exhibits=exhibits,
        provenance=text_report.provenance,
        failures=text_report.failures,
    )
