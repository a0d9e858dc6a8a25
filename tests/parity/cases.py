"""Where the numeric cases of the published code are found.

Cases are looked for, in this order, in `tests/parity/cases`, in `<shared>/reference` (the folder beside the
repository, or SPATIALFOLEY_SHARED_DIR) and in every folder named by SPATIALFOLEY_PARITY_DIR (separated like
PATH). Each of these holds the same sub-folders: `visage/`, `codecs/`, ...
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def shared_folder() -> Path:
    """The optional folder of reference cases and recordings beside the repository."""
    return Path(os.environ.get("SPATIALFOLEY_SHARED_DIR", REPOSITORY.parent / "shared"))


def case_roots() -> list[Path]:
    """Every existing folder that may hold cases, each once."""
    named = os.environ.get("SPATIALFOLEY_PARITY_DIR", "").split(os.pathsep)
    candidates = [REPOSITORY / "tests" / "parity" / "cases", shared_folder() / "reference"]
    candidates += [Path(name) for name in named if name]
    return list(dict.fromkeys(path.resolve() for path in candidates if path.is_dir()))


def find_cases(sub_folder: str, pattern: str) -> list[Path]:
    """All case files `<root>/<sub_folder>/<pattern>`, e.g. find_cases("visage", "aux_*.npz")."""
    return [path for root in case_roots() for path in sorted((root / sub_folder).glob(pattern))]


def case_id(path: Path) -> str:
    """Name of a case in a test's id: root folder, sub-folder and stem."""
    return f"{path.parent.parent.name}-{path.parent.name}-{path.stem}"


def case_params(sub_folder: str, pattern: str) -> list:  # type: ignore[type-arg]
    """The cases as pytest parameters with ids; one skipped parameter with the reason if there are none."""
    found = [pytest.param(path, id=case_id(path)) for path in find_cases(sub_folder, pattern)]
    reason = f"no case {sub_folder}/{pattern} in any case folder (set SPATIALFOLEY_PARITY_DIR)"
    return found or [pytest.param(None, id="no-case", marks=pytest.mark.skip(reason=reason))]
