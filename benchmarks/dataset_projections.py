"""Views of a panorama by a camera that turns: ours, the published scripts' arithmetic, pyequilib, py360convert.

All take the same panorama and the same poses in turn, round by round, on one thread. The two packages are no
dependencies of this project: they are measured where they can be imported.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from benchmarks.dataset_tables import Rate

from spatialfoley.kernels.panorama_view import PanoramaView
from spatialfoley.spatial.direction import CameraPose

Views = Callable[[list[CameraPose]], Any]
_TABLE = 1 << 18  # leaves 5e-4 pixels of a panorama 896 wide, as the published one does


def poses(count: int) -> list[CameraPose]:
    """A camera that turns on all three axes."""
    return [
        CameraPose(-170.0 + 3.1 * number, 20.0 * np.sin(number / 7.0), 0.4 * number % 20.0)
        for number in range(count)
    ]


def measure(panorama: np.ndarray, size_px: int, count: int, rounds: int) -> list[Rate]:
    """Rates of all ways, one after the other in every round."""
    turning = poses(count)
    ways = {name: make(panorama, size_px) for name, make in WAYS.items()}
    ours = np.stack(ways["ours, C"](turning)).astype(float)  # type: ignore[misc]
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    off: dict[str, float | None] = dict.fromkeys(ways)
    for number in range(rounds + 1):
        for name, views in ways.items():
            if views is None:
                continue
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            given = views(turning)
            spent = (time.process_time() - cpu_s, time.perf_counter() - wall_s)
            if number:  # the first round warms up
                times[name].append(spent)
            elif given is not None:
                off[name] = float(np.abs(np.stack(given).astype(float) - ours).mean())
    return [_rate(name, times[name], count, off[name]) for name in ways]


def _rate(name: str, spent: list[tuple[float, float]], count: int, off_levels: float | None) -> Rate:
    if not spent:
        return Rate(name, None, None, None)
    cpu_s, wall_s = (statistics.median(column) / count for column in zip(*spent, strict=True))
    return Rate(name, cpu_s, wall_s, off_levels)


def _ours(native: bool, panorama: np.ndarray, size_px: int) -> Views | None:
    view = PanoramaView(size_px, native=native)
    if native and not view.native:
        return None
    return lambda turning: [view.of(panorama, pose) for pose in turning]


def _published(panorama: np.ndarray, size_px: int) -> Views:
    """The arithmetic of the published preparation script, from its description: the map only.

    For every frame the direction of every pixel in float64, turned, its longitude and latitude by arc cosines from
    a table, and the place in the panorama counted from 1. The sampling (OpenCV's) is left out, in its favour.
    """
    height, width = panorama.shape[:2]
    table = np.arccos(np.linspace(-1.0, 1.0, _TABLE))

    def arc_cosine(values: np.ndarray) -> np.ndarray:
        return table[np.rint((np.clip(values, -1.0, 1.0) + 1.0) * ((_TABLE - 1) / 2)).astype(np.int64)]

    def place(pose: CameraPose) -> tuple[np.ndarray, np.ndarray]:
        columns, rows = np.meshgrid(
            np.arange(size_px, dtype=np.float64), np.arange(size_px, dtype=np.float64)
        )
        right, down = 2.0 * columns / size_px - 1.0, 2.0 * rows / size_px - 1.0
        rays = np.stack([np.ones_like(right), -right, -down], -1).reshape(-1, 3)
        rays = rays / np.sqrt((rays**2).sum(-1, keepdims=True))
        turned = rays @ pose.matrix().T
        level = np.sqrt(turned[:, 0] ** 2 + turned[:, 1] ** 2)
        longitude = arc_cosine(turned[:, 0] / np.maximum(level, 1e-12)) * np.sign(turned[:, 1])
        latitude = np.pi / 2 - arc_cosine(turned[:, 2])
        column = np.clip((0.5 - longitude / (2 * np.pi)) * width + 1.0, 1.0, width - 1.0)
        row = np.clip((0.5 - latitude / np.pi) * height + 1.0, 1.0, height - 1.0)
        return column.astype(np.float32), row.astype(np.float32)

    def views(turning: list[CameraPose]) -> None:
        for pose in turning:
            place(pose)

    return views


def _pyequilib(library: str, panorama: np.ndarray, size_px: int) -> Views | None:
    """Its class, which keeps what does not turn; from planes of float32, which it prefers."""
    try:
        from equilib import Equi2Pers
    except ImportError:
        return None
    view = Equi2Pers(height=size_px, width=size_px, fov_x=90.0, mode="bilinear")
    planes: Any = np.ascontiguousarray(panorama.transpose(2, 0, 1)).astype(np.float32)
    if library == "torch":
        planes = torch.from_numpy(planes)

    def one(pose: CameraPose) -> np.ndarray:
        turn = {
            "yaw": float(np.radians(pose.yaw_deg)),
            "pitch": float(np.radians(-pose.pitch_deg)),
            "roll": float(np.radians(pose.roll_deg)),
        }
        return np.asarray(view(planes, turn)).transpose(1, 2, 0)

    return lambda turning: [one(pose) for pose in turning]


def _py360convert(panorama: np.ndarray, size_px: int) -> Views | None:
    try:
        from py360convert import e2p
    except ImportError:
        return None
    return lambda turning: [
        e2p(
            panorama,
            90.0,
            -pose.yaw_deg,
            pose.pitch_deg,
            (size_px, size_px),
            in_rot_deg=pose.roll_deg,
            mode="bilinear",
        )
        for pose in turning
    ]


WAYS: dict[str, Callable[[np.ndarray, int], Views | None]] = {
    "ours, C": partial(_ours, True),
    "ours, numpy": partial(_ours, False),
    "published arithmetic, map only": _published,
    "pyequilib, numpy": partial(_pyequilib, "numpy"),
    "pyequilib, torch": partial(_pyequilib, "torch"),
    "py360convert": _py360convert,
}
