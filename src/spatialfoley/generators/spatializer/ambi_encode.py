"""The "Ambi Enc." baseline: all sound comes from where the camera looks.

References:
    Kim, Yun and Kim, "ViSAGe: Video-to-Spatial Audio Generation", ICLR 2025, two-stage baseline of a
    video-to-audio model and ambisonics encoding. The released script mirrors left and right and makes the
    directional channels √2 too strong (a habit of FuMa): the ``"reference"`` variant here.
"""

from typing import Literal

import numpy as np

from spatialfoley.spatial import single_direction
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import as_trajectory, encode
from spatialfoley.spatial.signal import SpatialAudio, require_layout
from spatialfoley.spatial.trajectory import CameraTrajectory

_FRONT = np.array([1.0, 0.0, 0.0])


def ambi_encode(
    mono: SpatialAudio,
    camera: Direction | CameraPose | CameraTrajectory,
    variant: Literal["correct", "reference"] = "correct",
) -> SpatialAudio:
    """Place a mono sound in the centre of the camera's view, following the camera when it moves.

    Args:
        mono: Sound of layout "mono".
        camera: Where the camera looks.
        variant: ``"correct"``, or ``"reference"`` for the released script's mirrored azimuth and √2.

    Returns:
        World-locked sound of layout "foa", same rate and length.

    Raises:
        ValueError: The layout is not mono, the variant is unknown, or the camera of "reference" moves.
    """
    require_layout(mono, "mono", "mono")
    trajectory = as_trajectory(camera)
    if trajectory.is_static:
        centre = trajectory.pose_at(float(trajectory.times_s[0])).matrix() @ _FRONT
        field = single_direction.ambi_encode(mono.samples[0], Direction.from_vector(centre), variant)
    elif variant == "correct":
        times_s = np.arange(mono.samples.shape[1]) / mono.rate_hz
        field = encode(mono.samples[0], trajectory.matrices_at(times_s) @ _FRONT)
    else:
        raise ValueError(
            f"variant is {variant!r}, but the released script knows no moving camera; use 'correct'"
        )
    return SpatialAudio(field, mono.rate_hz, "foa")
