"""Does this installation measure right: every figure with a known answer, measured anew.

`golden.json` holds for each figure what has to come out, how far off it may be, and where the answer comes from:
``"analytic"`` answers follow from a formula that is told beside them, ``"published"`` ones from numbers of the
published scripts, ``"required"`` ones are limits of this project, ``"stored"`` ones were measured once by it. The
file itself is under check: a changed number or tolerance fails like a wrong measurement, so that nobody loosens a
check unseen.
"""

import hashlib
import json
import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from spatialfoley.evaluation.study import known_ears, known_field, known_sound

Value = float | list[float]
Relation = Literal["equal", "at most", "at least"]
Origin = Literal["analytic", "published", "required", "stored"]

GOLDEN_FILE = "evaluation/golden.json"
GOLDEN_SHA256 = "08dd560af2ad5b3905db79001af879295aace3bc5ed682eb3302416d4dc90c27"
"""Of the file of golden numbers that belongs to this version; `write_golden` tells the new one."""

PACKAGES = ("spatialfoley", "numpy", "torch", "soxr", "soundfile", "safetensors")


@dataclass(frozen=True)
class Golden:
    """What one figure has to be.

    Attributes:
        expected: The answer, one number or several.
        tolerance: How far each number may be off.
        relation: "equal" within the tolerance, or a limit: "at most", "at least".
        origin: Where the answer comes from.
        answer: The formula or source, in words.
        unit: Of the figure.
    """

    expected: Value
    tolerance: float
    relation: Relation
    origin: Origin
    answer: str
    unit: str = ""

    def __post_init__(self) -> None:
        for name, allowed in (("relation", Relation), ("origin", Origin)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(get_args(allowed))}"
                )
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ValueError(f"tolerance is {self.tolerance}; it must be a finite number from 0 on")


@dataclass(frozen=True)
class CheckRow:
    """One figure as measured here.

    Attributes:
        figure: What was measured.
        measured: What came out; None where it could not be measured.
        golden: What should have; None where golden.json does not know the figure.
        off_by: Largest distance from the answer, beyond the limit for limits; None without a measurement.
        ok: Whether that is within the tolerance.
        reason: Why there is no measurement, in one sentence.
    """

    figure: str
    measured: Value | None
    golden: Golden | None
    off_by: float | None
    ok: bool
    reason: str = ""


@dataclass(frozen=True)
class SelfCheck:
    """All figures, and on what they were measured."""

    rows: tuple[CheckRow, ...]
    versions: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether every figure is right."""
        return all(row.ok for row in self.rows)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        wrong = [row for row in self.rows if not row.ok]
        if not wrong:
            known = sum(row.golden is not None and row.golden.origin == "analytic" for row in self.rows)
            return (
                f"This installation measures right: all {len(self.rows)} figures are within their tolerances, "
                f"{known} of them against an analytic answer."
            )
        names = "; ".join(row.figure for row in wrong[:3]) + ("; ..." if len(wrong) > 3 else "")
        return (
            f"This installation does NOT measure right: {len(wrong)} of {len(self.rows)} figures are off "
            f"({names}); do not report numbers from it."
        )

    def document(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        rows = [asdict(row) for row in self.rows]
        return {"ok": self.ok, "sentence": self.sentence, "versions": dict(self.versions), "figures": rows}


def measures() -> dict[str, Callable[[], Value]]:
    """How every figure is measured."""
    return {**known_field.MEASURES, **known_ears.MEASURES, **known_sound.MEASURES}


def load_golden(path: Path | None = None) -> dict[str, Golden]:
    """Golden numbers by figure, those of the package unless another file is given.

    Raises:
        ValueError: An entry has an unknown relation or origin, or no tolerance.
    """
    entries = json.loads(_golden_bytes(path))
    return {figure: Golden(**entry) for figure, entry in entries.items()}


def run_self_check(path: Path | None = None, progress: Callable[[float], None] | None = None) -> SelfCheck:
    """Measure every figure and compare it with its golden number.

    Args:
        path: Another file of golden numbers; its content is not held against the known hash.
        progress: Told the fraction done.
    """
    rows = check_figures(measures(), load_golden(path), progress)
    return SelfCheck((_file_row(), *rows) if path is None else rows, versions())


def check_figures(
    found: Mapping[str, Callable[[], Value]],
    golden: Mapping[str, Golden],
    progress: Callable[[float], None] | None = None,
) -> tuple[CheckRow, ...]:
    """Measure figures and compare each with its golden number; a figure that one side lacks fails.

    Args:
        found: How every figure is measured.
        golden: What it has to be.
        progress: Told the fraction done.
    """
    rows = []
    for index, (figure, measure) in enumerate(found.items()):
        rows.append(_measured_row(figure, measure, golden.get(figure)))
        if progress:
            progress((index + 1) / len(found))
    for figure in golden.keys() - found.keys():
        rows.append(CheckRow(figure, None, golden[figure], None, False, "nothing measures this figure"))
    return tuple(rows)


def versions() -> dict[str, str]:
    """Python and the packages that numbers depend on."""
    found = {"python": f"{platform.python_version()} on {platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def distance(golden: Golden, measured: Value) -> float:
    """How far a measurement is from its answer, beyond it for limits; infinite for NaN or a wrong count."""
    wanted, got = np.atleast_1d(golden.expected), np.atleast_1d(np.asarray(measured, np.float64))
    if wanted.shape != got.shape or not np.all(np.isfinite(got)):
        return math.inf
    gaps = got - wanted
    if golden.relation == "at most":
        return float(np.max(np.maximum(gaps, 0.0)))
    if golden.relation == "at least":
        return float(np.max(np.maximum(-gaps, 0.0)))
    return float(np.max(np.abs(gaps)))


def write_golden(path: Path, answers: Mapping[str, Golden]) -> str:
    """Write golden numbers, those of stored figures measured now.

    Args:
        path: File to write.
        answers: By figure; the expected numbers of "stored" ones are replaced.

    Returns:
        Hash of the file, to be put into `GOLDEN_SHA256`.
    """
    found = measures()
    entries = {}
    for figure, golden in answers.items():
        entry = asdict(golden)
        if golden.origin == "stored":
            measured = np.asarray(found[figure](), np.float64)
            entry["expected"] = np.vectorize(lambda value: float(f"{value:.10g}"))(measured).tolist()
        entries[figure] = entry
    lines = [
        f"  {json.dumps(figure, ensure_ascii=False)}: {json.dumps(entry, ensure_ascii=False)}"
        for figure, entry in entries.items()
    ]
    content = ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _measured_row(figure: str, measure: Callable[[], Value], golden: Golden | None) -> CheckRow:
    try:
        measured = measure()
    except Exception as error:  # whatever breaks is what this check is there to find and to name
        return CheckRow(figure, None, golden, None, False, f"{type(error).__name__}: {error}")
    if golden is None:
        return CheckRow(figure, measured, None, None, False, "golden.json has no number for it")
    off_by = distance(golden, measured)
    return CheckRow(figure, measured, golden, off_by, off_by <= golden.tolerance)


def _file_row() -> CheckRow:
    same = hashlib.sha256(_golden_bytes(None)).hexdigest() == GOLDEN_SHA256
    golden = Golden(1.0, 0.0, "equal", "stored", "its hash is known to the code")
    reason = "" if same else "golden.json was changed: install the package anew"
    return CheckRow("golden numbers unchanged", float(same), golden, float(not same), same, reason)


def _golden_bytes(path: Path | None) -> bytes:
    return (files("spatialfoley") / GOLDEN_FILE).read_bytes() if path is None else path.read_bytes()


def shown(value: Value | None) -> str:
    """A figure in few characters: up to three numbers, then how many there are."""
    if value is None:
        return "–"
    numbers: Sequence[float] = value if isinstance(value, list) else [value]
    text = ", ".join(
        f"{number:.0f}" if number == round(number, 0) else f"{number:.5g}" for number in numbers[:3]
    )
    return text if len(numbers) <= 3 else f"{text}, ... ({len(numbers)})"
