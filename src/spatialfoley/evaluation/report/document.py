"""What a report says, apart from how it looks: tables, histograms, clips to see and hear, where it all came from.

Whoever scores fills these in; `write_report` turns them into JSON, Markdown, LaTeX and one HTML page.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.statistics import Interval
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

Better = Literal["higher", "lower"]
Figures = Mapping[str, Interval | None]

PICTURED_LAYOUTS = ("foa", "binaural", "stereo", "mono")
SOUND_ROLES = ("truth", "estimate")


@dataclass(frozen=True)
class Metric:
    """One column of a table.

    Attributes:
        key: Name in the figures of a row.
        title: Head of the column, short, without unit and arrow.
        form: Format of a value, as of `format`: ".3f", "+.1f", ".1%".
        unit: Shown in the head: "°", "dB"; empty for shares and pure numbers.
        better: Which values are better; None where a figure is neither good nor bad.
        note: A footnote to the column: what is measured, what to mind.
        headline: Draw the systems along an axis too. Where no metric of a report is marked, the first one with a
            better side of each table is drawn.
    """

    key: str
    title: str
    form: str = ".3f"
    unit: str = ""
    better: Better | None = None
    note: str = ""
    headline: bool = False

    def __post_init__(self) -> None:
        if not self.key or not self.title:
            raise ValueError(f"a metric has key {self.key!r} and title {self.title!r}; neither may be empty")
        if self.better is not None and self.better not in get_args(Better):
            raise ValueError(
                f"better of metric {self.key!r} is {self.better!r}; use 'higher', 'lower' or None"
            )
        try:
            format(0.5, self.form)
        except ValueError as error:
            raise ValueError(
                f"form of metric {self.key!r} is {self.form!r}; it must format numbers, as '.3f' does"
            ) from error


@dataclass(frozen=True)
class SystemRow:
    """Figures of one system.

    Attributes:
        name: Of the system.
        figures: By key of the metric; None, or a key left out, where a metric is not defined for the system.
        clips: Clips behind the figures; None where that is not known.
        published: Copied from a publication, not measured here: its values are `Interval(value, value, value, 0)`,
            and they take no part in which system is the best.
        caveat: A footnote to the row.
        ranked: Whether the row competes for the best value of a column. False for what marks the ends of the
            scale: the truth itself, a codec's round trip of it, noise. Published rows never compete.
    """

    name: str
    figures: Figures
    clips: int | None = None
    published: bool = False
    caveat: str = ""
    ranked: bool = True

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name of a row is empty; name the system")
        for key, figure in self.figures.items():
            if figure is None:
                continue
            if not all(math.isfinite(bound) for bound in (figure.value, figure.low, figure.high)):
                raise ValueError(
                    f"figure {key!r} of {self.name!r} is {figure.value} [{figure.low}, {figure.high}]; "
                    "figures are finite: give None where a metric is not defined"
                )


@dataclass(frozen=True)
class Table:
    """Systems by metrics.

    Attributes:
        title: Heading.
        metrics: Columns, in this order.
        rows: Systems, in this order; published ones are shown below the others.
        caption: What is scored on what, one or two sentences.
        notes: Footnotes to the whole table.
    """

    title: str
    metrics: tuple[Metric, ...]
    rows: tuple[SystemRow, ...]
    caption: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.metrics or not self.rows:
            raise ValueError(f"table {self.title!r} has no {'rows' if self.metrics else 'metrics'}")
        _check_unique([metric.key for metric in self.metrics], f"metrics of table {self.title!r}")
        _check_unique([row.name for row in self.own_rows], f"rows of table {self.title!r}")
        for metric in self.metrics:
            if all(metric.key not in row.figures for row in self.rows):
                raise ValueError(
                    f"no row of table {self.title!r} says anything of metric {metric.key!r}; check its spelling"
                )

    @property
    def own_rows(self) -> tuple[SystemRow, ...]:
        """Rows that were measured here."""
        return tuple(row for row in self.rows if not row.published)

    @property
    def published_rows(self) -> tuple[SystemRow, ...]:
        """Rows that were copied from publications."""
        return tuple(row for row in self.rows if row.published)


@dataclass(frozen=True, eq=False)
class Histogram:
    """How a score is spread over clips or windows, for each system.

    Attributes:
        title: Heading.
        unit: Of the values.
        values: By system, shape (n,) each, finite; none are allowed.
        edges: Of the bins, rising, shape (bins + 1,). What lies beyond is counted in the first or last bin.
    """

    title: str
    unit: str
    values: Mapping[str, NDArray[np.floating]]
    edges: NDArray[np.floating]

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges, dtype=np.float64)
        if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
            raise ValueError(f"edges of histogram {self.title!r} must be two or more rising numbers")
        values = {name: np.asarray(array, dtype=np.float64) for name, array in self.values.items()}
        for name, array in values.items():
            if array.ndim != 1 or not np.isfinite(array).all():
                raise ValueError(
                    f"values of {name!r} in histogram {self.title!r} have shape {array.shape}; they must be one "
                    "row of finite numbers: leave undefined ones out"
                )
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "values", values)

    def counts(self, system: str) -> NDArray[np.int64]:
        """Values of a system in each bin, shape (bins,)."""
        inside = np.clip(self.values[system], self.edges[0], self.edges[-1])
        return np.histogram(inside, self.edges)[0].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One clip to look at and to listen to.

    Attributes:
        clip: Name of the clip.
        system: Whose sound it is.
        caption: Why it is shown: "worst: 87.1°".
        sounds: "truth" and "estimate", or one of them; a field (world-locked, W Y Z X), two ears or one channel.
        camera: Where the camera looks, over time; None for the front.
        figures: Scores of this clip by name with unit; None where one is not defined.
        thumbnail: A frame of the video, uint8 (H, W, 3).
        fov_deg: What the camera sees from left to right, in degrees, for the outline in the maps.
    """

    clip: str
    system: str
    caption: str
    sounds: Mapping[str, SpatialAudio]
    camera: CameraTrajectory | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    thumbnail: NDArray[np.uint8] | None = None
    fov_deg: float = 90.0

    def __post_init__(self) -> None:
        if not self.sounds or any(role not in SOUND_ROLES for role in self.sounds):
            raise ValueError(
                f"sounds of exhibit {self.clip!r} are {', '.join(self.sounds) or 'none'}; "
                f"they must be {' or '.join(SOUND_ROLES)}"
            )
        for role, sound in self.sounds.items():
            if sound.layout not in PICTURED_LAYOUTS or sound.frames == 0:
                raise ValueError(
                    f"{role} of exhibit {self.clip!r} has layout {sound.layout!r} and {sound.frames} samples; "
                    f"a report shows {', '.join(PICTURED_LAYOUTS)} of at least one sample"
                )
        picture = self.thumbnail
        if picture is not None and (
            picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape
        ):
            raise ValueError(
                f"thumbnail of exhibit {self.clip!r} is {picture.dtype} {picture.shape}; "
                "it must be uint8 (H, W, 3)"
            )
        if not 0 < self.fov_deg < 180:
            raise ValueError(
                f"fov_deg of exhibit {self.clip!r} is {self.fov_deg}; a camera sees more than 0 and less than "
                "180 degrees"
            )


@dataclass(frozen=True)
class Report:
    """Everything that one evaluation says.

    Attributes:
        title: Heading.
        introduction: Paragraphs: what was scored on what, and what to take away.
        tables: Shown in this order.
        histograms: Shown in this order.
        exhibits: Shown in this order: normally the worst clips and then the best.
        provenance: Models, hashes of weights, settings, versions, command; what JSON can say, nested at will.
        failures: Reason by clip, of clips that are in no figure.
    """

    title: str
    introduction: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.title:
            raise ValueError("title of the report is empty")


def _check_unique(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} hold {', '.join(twice)} more than once")
