"""Versions of what a result was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version

SOUND_MAKERS = ("spatialfoley", "torch", "numpy", "av", "soundfile", "soxr", "transformers")
"""Packages that can change what a result sounds like."""


def installed_version(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def installed_versions() -> dict[str, str | None]:
    """Version of Python and of each package in SOUND_MAKERS."""
    return {"python": platform.python_version()} | {name: installed_version(name) for name in SOUND_MAKERS}
