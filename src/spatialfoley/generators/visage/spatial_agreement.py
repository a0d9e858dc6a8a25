"""How well a field sounds from where something is seen: a score for `candidates`, in numpy.

Our reading of "reranking"; nothing is published of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spatialfoley.conventions import W, X, Y, Z

GRID = 7
"""Patches along a side of the picture of an energy map."""

FloatArray = npt.NDArray[np.float64]


def seen_vectors(energy_map: npt.ArrayLike, camera: npt.ArrayLike, fov_deg: float = 90.0) -> FloatArray:
    """Where the visual encoder sees something happen: the middle of the patches' energy in each video frame.

    Args:
        energy_map: Energy of the 49 patches of each frame (T, 49), line by line from the upper left. A frame
            without energy looks straight ahead.
        camera: Axes of the camera (3, 3) or (T, 3, 3): `CameraPose.matrix()`, v_world = camera @ v_camera.
        fov_deg: Field of view of the picture, more than 0 and less than 180.

    Returns:
        Unit vectors (T, 3) in world axes.

    Raises:
        ValueError: If a shape or the field of view is impossible.
    """
    patches = np.asarray(energy_map, np.float64)
    if patches.ndim != 2 or patches.shape[1] != GRID**2:
        raise ValueError(f"energy_map has the shape {patches.shape}, not (T, {GRID**2})")
    if not 0 < fov_deg < 180:
        raise ValueError(f"fov_deg is {fov_deg}, but must be more than 0 and less than 180")
    edge = np.tan(np.radians(fov_deg) / 2)
    middles = edge * (1 - (2 * np.arange(GRID) + 1) / GRID)
    energy = patches.sum(axis=1, keepdims=True)
    shares = patches / np.where(energy > 0, energy, 1.0)
    up, left = (shares @ axis.ravel() for axis in np.meshgrid(middles, middles, indexing="ij"))
    rays = np.stack([np.ones_like(left), left, up], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    turned: FloatArray = np.einsum("...ij,...j->...i", np.asarray(camera, np.float64), rays)
    return turned


def spatial_agreement(field: npt.ArrayLike, vectors: npt.ArrayLike) -> float:
    """Whether sound comes from a direction that may move: 1 from just there, 0 from all around, -1 from opposite.

    In each of T equal parts of the clip it is the intensity along the part's vector over the energy density; loud
    parts count more.

    Args:
        field: First-order field (4, N), N at least T.
        vectors: Unit vectors (T, 3): camera directions, or `seen_vectors`.

    Returns:
        -1 to 1; 0 for silence.

    Raises:
        ValueError: If a shape is impossible.
    """
    samples, towards = np.asarray(field, np.float64), np.asarray(vectors, np.float64)
    if towards.ndim != 2 or towards.shape[1] != 3 or len(towards) == 0:
        raise ValueError(f"vectors has the shape {towards.shape}, not (T, 3)")
    if samples.ndim != 2 or samples.shape[0] != 4 or samples.shape[1] < len(towards):
        raise ValueError(f"field has the shape {samples.shape}, not (4, at least {len(towards)})")
    starts = np.arange(len(towards)) * samples.shape[1] // len(towards)
    flow = np.add.reduceat(samples[W] * samples[[X, Y, Z]], starts, axis=1)
    energy = np.add.reduceat((samples**2).sum(axis=0) / 2, starts)
    return float((flow.T * towards).sum() / energy.sum()) if energy.sum() > 0 else 0.0
