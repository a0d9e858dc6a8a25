"""A small report whose names try to break every kind of file."""

import numpy as np
import pytest

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Metric, Report, SystemRow, Table

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
