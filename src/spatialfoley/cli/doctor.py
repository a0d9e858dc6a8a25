"""``spatialfoley doctor``: what is installed, what computes, which weights are here, and what is missing."""

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from spatialfoley.cli.reporting import console

if TYPE_CHECKING:
    from rich.table import Table

CORE = ("torch", "numpy", "av", "soundfile", "soxr", "safetensors", "transformers", "pyyaml", "typer", "rich")
EXTRAS = {"sofa": ("h5py",), "train": ("accelerate",), "dev": ("pytest", "ruff", "mypy", "matplotlib")}
CODECS = {"h264": "r", "hevc": "r", "vp9": "r", "av1": "r", "libx264": "w", "aac": "w", "libopus": "w"}
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def doctor() -> None:
    """Say what is installed, which devices compute, which weights are here, and what is missing."""
    screen = console()
    for title, rows in (
        ("installed", _installed()),
        ("devices", _devices()),
        ("media", _media()),
        ("weights", _weights()),
    ):
        screen.print(_table(title, rows))


def _table(title: str, rows: list[tuple[str, str]]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(min_width=16)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def _installed() -> list[tuple[str, str]]:
    from spatialfoley.pipeline.versions import installed_version

    rows = [("spatialfoley", installed_version("spatialfoley") or "not installed, run from a folder")]
    rows.append(("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"))
    rows += [(name, installed_version(name) or f"missing: pip install {name}") for name in CORE]
    for extra, packages in EXTRAS.items():
        absent = [package for package in packages if not installed_version(package)]
        advice = f"missing {', '.join(absent)}: pip install 'spatialfoley[{extra}]'"
        rows.append((f"extra {extra}", advice if absent else "present"))
    return rows


def _devices() -> list[tuple[str, str]]:
    import torch

    from spatialfoley.generators.visage.kernels import Kernel, choose_kernel, unavailable_reason
    from spatialfoley.kernels.devices import choose_device

    published_width = 1024
    cpu = torch.device("cpu")
    reasons = {name: unavailable_reason(name) for name in get_args(Kernel) if name != "plain"}
    rows = [
        ("auto takes", str(choose_device("auto"))),
        ("cpu", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads"),
        ("cpu features", ", ".join(_cpu_features()) or "none of " + ", ".join(CPU_FEATURES)),
        ("fast kernels", ", ".join(name for name, reason in reasons.items() if not reason) or "none"),
        *((f"no {name}", reason) for name, reason in reasons.items() if reason),
        ("--dtype auto", choose_kernel("auto", cpu, published_width)),
        ("--dtype fast", choose_kernel("fast", cpu, published_width)),
    ]
    for index in range(torch.cuda.device_count()):
        memory_gb = torch.cuda.get_device_properties(index).total_memory / 1e9
        rows.append((f"cuda:{index}", f"{torch.cuda.get_device_name(index)}, {memory_gb:.0f} GB"))
    if not torch.cuda.is_available():
        rows.append(("cuda", "none"))
    rows.append(("mps", "present" if torch.backends.mps.is_available() else "none"))
    return rows


def _cpu_features() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    flags = next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())
    return [feature for feature in CPU_FEATURES if feature in flags]


def _media() -> list[tuple[str, str]]:
    import av

    libraries = ", ".join(
        f"{name} {'.'.join(map(str, v))}" for name, v in sorted(av.library_versions.items())
    )
    absent = []
    for name, mode in CODECS.items():
        try:
            av.Codec(name, mode)
        except (ValueError, av.FFmpegError):
            absent.append(f"{name} ({'decode' if mode == 'r' else 'encode'})")
    return [("ffmpeg", libraries), ("codecs", "missing: " + ", ".join(absent) if absent else "all present")]


def _weights() -> list[tuple[str, str]]:
    from spatialfoley import weights
    from spatialfoley.cli.models import how_to_get

    rows = []
    for model in weights.list_models():
        rows.append((model.name, str(weights.locate(model.name) or f"missing: {how_to_get(model)}")))
    rows.append(("folder", f"{weights.home()} (SPATIALFOLEY_HOME changes it)"))
    return rows
