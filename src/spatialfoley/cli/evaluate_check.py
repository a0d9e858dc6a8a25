"""``spatialfoley evaluate check``: does this installation measure right."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from spatialfoley.cli.reporting import console, progress_bar, warn

if TYPE_CHECKING:
    from rich.table import Table

    from spatialfoley.evaluation.study.self_check import CheckRow, SelfCheck

RESULT_FILE = "check.json"


def evaluate_check(out: Path | None = None) -> int:
    """Measure golden numbers anew, print them with versions and a verdict.

    Args:
        out: Folder for `check.json` with all numbers; None writes nothing.

    Returns:
        Exit code: 0 if this installation measures right, else 1.
    """
    from spatialfoley.evaluation.study.self_check import run_self_check

    with progress_bar("measuring") as report:
        check = run_self_check(progress=lambda fraction: report("measuring", fraction))
    screen = console()
    screen.print(_figures(check))
    screen.print(
        "measured with " + ", ".join(f"{name} {version}" for name, version in check.versions.items())
    )
    if out is not None:
        _write(check, out / RESULT_FILE)
    screen.print(check.sentence)
    for row in check.rows:
        if row.reason:
            warn(f"{row.figure}: {row.reason}")
    return 0 if check.ok else 1


def _figures(check: "SelfCheck") -> "Table":
    from rich.table import Table

    table = Table(title="golden numbers", title_justify="left", box=None, pad_edge=False)
    for heading in ("figure", "measured", "should be", "answer", ""):
        table.add_column(heading)
    for row in check.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: "CheckRow") -> tuple[str, ...]:
    from spatialfoley.evaluation.study.self_check import shown

    verdict = "ok" if row.ok else "not measured" if row.off_by is None else f"OFF BY {row.off_by:.3g}"
    if row.golden is None:
        return row.figure, shown(row.measured), "–", "–", verdict
    golden = row.golden
    relation = "" if golden.relation == "equal" else f"{golden.relation} "
    slack = f" ± {golden.tolerance:g}" if golden.tolerance > 0 else ""
    unit = f" {golden.unit}" if golden.unit else ""
    wanted = f"{relation}{shown(golden.expected)}{slack}{unit}"
    return row.figure, f"{shown(row.measured)}{unit}", wanted, f"{golden.origin}: {golden.answer}", verdict


def _write(check: "SelfCheck", path: Path) -> None:
    from spatialfoley.media.atomic import atomic_path

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(check.document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
