"""``build.json``: how a data set was made, for its card and for those who make it again."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.stage import FetchStage
from spatialfoley.media.atomic import atomic_path

ACCOUNT_FILE = "build.json"
_PACKAGES = ("spatialfoley", "torch", "numpy", "av", "soundfile", "soxr", "transformers", "pyarrow", "yt-dlp")
_SECRETS = ("cookies", "arguments")
"""Settings of sources that are nobody's business: where cookies lie, and what may hold a password."""


def write_account(config: BuildConfig, root: Path) -> None:
    """Write source, stages and their settings, splits, and the versions of what made it.

    Args:
        config: Of the build.
        root: The build folder; a contact that was stated there stays.
    """
    stages = []
    for spec in config.specs():
        stage = spec.load()
        # The source is told by itself.
        settings = {} if isinstance(stage, FetchStage) else _told(stage)
        stages.append({"stage": spec.name, "version": stage.version, "settings": settings})
    document = {
        "title": config.title,
        "description": config.description,
        "contact": read_account(root).get("contact", "") if (root / ACCOUNT_FILE).is_file() else "",
        "source": {"kind": config.source["kind"], **_told(config.load_source())},
        "stages": stages,
        "splits": vars(config.splits),
        "shards": {"recordings": config.shards.recordings},
        "versions": versions(),
    }
    with atomic_path(root / ACCOUNT_FILE) as path:
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _told(part: object) -> dict[str, Any]:
    """All settings of a source or stage, those that were left at their defaults included, without secrets."""
    return _open(dataclasses.asdict(part))  # type: ignore[call-overload]


def state_contact(root: Path, contact: str) -> None:
    """Note whom people write to who want something taken down."""
    document = {**read_account(root), "contact": contact}
    with atomic_path(root / ACCOUNT_FILE) as path:
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_account(root: Path) -> dict[str, Any]:
    """What `write_account` wrote.

    Raises:
        ValueError: The folder holds no finished build.
    """
    path = root / ACCOUNT_FILE
    if not path.is_file():
        raise ValueError(f"{root} holds no {ACCOUNT_FILE}; build it with 'spatialfoley dataset build CONFIG'")
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _open(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without what is secret."""
    return {
        key: _open(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if key not in _SECRETS
    }


def versions() -> dict[str, str]:
    """Versions of this program and of what it stands on, without importing any of it."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
