import numpy as np
import pytest

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.evaluation.report.document import Exhibit, Histogram, Metric, Report, SystemRow, Table
from spatialfoley.spatial.signal import SpatialAudio

ANGLE = Metric("angle", "angle", ".1f", "°", "lower")


def sound(layout="foa", channels=4, count=10):
    return SpatialAudio(np.zeros((channels, count), np.float32), 16000, layout)


def test_published_rows_are_told_apart_in_order():
    rows = tuple(SystemRow(name, {"angle": None}, published=name.isupper()) for name in ("a", "B", "c", "D"))
    table = Table("t", (ANGLE,), rows)
    assert [row.name for row in table.own_rows] == ["a", "c"]
    assert [row.name for row in table.published_rows] == ["B", "D"]


def test_histogram_counts_all_values_and_puts_what_lies_beyond_into_the_end_bins():
    histogram = Histogram(
        "h", "°", {"a": np.array([-1.0, 0.0, 9.9, 10.0, 180.0, 181.0])}, np.array([0, 10, 180])
    )
    assert histogram.counts("a").tolist() == [3, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Metric("", "x"), "neither may be empty"),
        (lambda: Metric("a", "x", form=".3q"), "form of metric 'a' is '.3q'"),
        (lambda: Metric("a", "x", better="more"), "use 'higher', 'lower' or None"),
        (lambda: SystemRow("", {}), "name the system"),
        (lambda: SystemRow("s", {"a": Interval(np.nan, 0, 1, 3)}), "figure 'a' of 's' is nan .* give None"),
        (lambda: Table("t", (ANGLE,), ()), "table 't' has no rows"),
        (lambda: Table("t", (), ()), "table 't' has no metrics"),
        (lambda: Table("t", (ANGLE,), (SystemRow("s", {"angel": None}),)), "'angle'; check its spelling"),
        (lambda: Table("t", (ANGLE, ANGLE), (SystemRow("s", {"angle": None}),)), "angle more than once"),
        (lambda: Histogram("h", "°", {}, np.array([0, 0])), "rising"),
        (lambda: Histogram("h", "°", {"s": np.array([np.inf])}, np.array([0, 1])), "values of 's'.*finite"),
        (lambda: Exhibit("c", "s", "", {}), "sounds of exhibit 'c' are none"),
        (lambda: Exhibit("c", "s", "", {"guess": sound()}), "they must be truth or estimate"),
        (lambda: Exhibit("c", "s", "", {"truth": sound("5.1", 6)}), "layout '5.1'"),
        (lambda: Exhibit("c", "s", "", {"truth": sound(count=0)}), "0 samples"),
        (lambda: Exhibit("c", "s", "", {"truth": sound()}, thumbnail=np.zeros((4, 4, 3))), "uint8"),
        (lambda: Exhibit("c", "s", "", {"truth": sound()}, fov_deg=180), "less than 180 degrees"),
        (lambda: Report(""), "title of the report is empty"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message):
        make()
