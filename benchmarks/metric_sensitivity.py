"""What the metrics are worth: responses of all of them to known mistakes, and what published defects shift.

    python benchmarks/metric_sensitivity.py --quick
    python benchmarks/metric_sensitivity.py --scenes 16 --out docs/results/metric_sensitivity.json
    python benchmarks/metric_sensitivity.py --from docs/results/metric_sensitivity.json --images docs/images \\
        --page docs/metrics.md

The first takes a few scenes and levels and only prints; the second is what docs/metrics.md tells; the third makes
pictures and tables again without measuring. With --shared FOLDER (default: ../shared, where it is there), measured
room responses and recorded fields are studied as well and marked as such.
"""

import os

# One thread, or the libraries below would fight for the cores; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from spatialfoley.evaluation.networks.loading import load_listener
from spatialfoley.evaluation.study.defects_encoding import run_defects
from spatialfoley.evaluation.study.self_check import versions
from spatialfoley.evaluation.study.sensitivity import StudySettings, cells_document, run_study
from spatialfoley.evaluation.study.sensitivity_tables import defects_document, fill_page, page_tables
from spatialfoley.media.atomic import atomic_path

ROOT = Path(__file__).resolve().parent.parent
QUICK = StudySettings(scenes=2, every=4, duration_s=2.0)


def measure(settings: StudySettings, shared: Path | None) -> dict[str, Any]:
    """Run study and defects; everything that a page or a picture needs."""
    listener = load_listener("world")
    started = time.process_time()
    folders = {} if shared is None else {"responses": shared / "data/srir", "recordings": shared / "data/foa"}
    found = {name: folder for name, folder in folders.items() if folder.is_dir()}
    cells = run_study(settings, listener, progress=_tell, **found)
    defects = run_defects(settings.scenes, settings.seed, listener, _tell)
    return {
        "command": "python benchmarks/metric_sensitivity.py " + " ".join(sys.argv[1:]),
        "settings": asdict(settings),
        "recorded kinds": sorted({cell.kind for cell in cells} & {"measured room", "recording"}),
        "versions": versions(),
        "listener": {listener.name: listener.weights_sha256},
        "processor seconds": round(time.process_time() - started),
        **cells_document(cells),
        "defects": defects_document(defects),
    }


def write(document: dict[str, Any], path: Path) -> None:
    """One cell or defect per line, so that a new run shows what changed."""
    lines = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in value)
            lines.append(f"{json.dumps(key)}: [\n{rows}\n ]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text("{\n " + ",\n ".join(lines) + "\n}\n", encoding="utf-8")


def _tell(what: str, fraction: float) -> None:
    print(f"\r{fraction:5.0%} {what:60s}", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two short scenes of each kind, few levels")
    parser.add_argument("--scenes", type=int, default=16, help="scenes of each kind")
    parser.add_argument("--seed", type=int, default=40, help="of scenes and mistakes")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--page", type=Path, help="Markdown page whose tables to make anew: docs/metrics.md")
    parser.add_argument("--images", type=Path, help="folder for metrics_*.png")
    parser.add_argument(
        "--from", dest="source", type=Path, help="JSON file of an earlier run: measure nothing"
    )
    parser.add_argument(
        "--shared", type=Path, default=ROOT.parent / "shared", help="folder with data/srir, data/foa"
    )
    chosen = parser.parse_args()
    if chosen.source is not None:
        document = json.loads(chosen.source.read_text(encoding="utf-8"))
    else:
        settings = QUICK if chosen.quick else StudySettings(scenes=chosen.scenes, seed=chosen.seed)
        document = measure(settings, chosen.shared if chosen.shared.is_dir() and not chosen.quick else None)
        print(file=sys.stderr)
    if chosen.out is not None:
        write(document, chosen.out)
    for name, table in page_tables(document).items():
        print(f"\n{name}\n\n{table}")
    if chosen.page is not None:
        chosen.page.write_text(fill_page(chosen.page.read_text(encoding="utf-8"), document), encoding="utf-8")
    if chosen.images is not None:
        from metric_pictures import draw_all

        draw_all(document, chosen.images)


if __name__ == "__main__":
    main()
