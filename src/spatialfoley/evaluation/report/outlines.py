"""The edge of what a camera sees, drawn into a panorama."""

import math

import numpy as np
from numpy.typing import NDArray

from spatialfoley.spatial.direction import angles_deg

_POINTS_PER_SIDE = 14


def view_outline(camera: NDArray[np.floating], fov_deg: float, height_by_width: float = 1.0) -> str:
    """Path data (SVG) of the edge of a view in a panorama of 360 by 180 units, front in the middle, up on top.

    Args:
        camera: Rotation R_cam (3, 3), v_world = R_cam v_cam, x front, y left, z up.
        fov_deg: What is seen from left to right, in (0, 180).
        height_by_width: Shape of the picture.

    Returns:
        Lines that break where the edge leaves the panorama on one side and comes back on the other.
    """
    half_width = math.tan(math.radians(fov_deg) / 2)
    half_height = half_width * height_by_width
    along = np.linspace(1, -1, _POINTS_PER_SIDE)[:-1]
    one = np.ones_like(along)
    left = np.concatenate([along, -one, -along, one]) * half_width
    up = np.concatenate([one, along, -one, -along]) * half_height
    seen = np.stack([np.ones_like(left), left, up], axis=1)
    azimuth_deg, elevation_deg = angles_deg(np.concatenate([seen, seen[:1]]) @ np.asarray(camera).T)
    x, y = 180 - azimuth_deg, 90 - elevation_deg
    jumps = np.abs(np.diff(x, prepend=x[0])) > 180
    jumps[0] = True
    return "".join(f"{'M' if jump else 'L'}{h:.0f} {v:.0f}" for jump, h, v in zip(jumps, x, y, strict=True))
