"""The "Ambi Enc." baseline: all sound comes from where the camera looks.

References:
    Kim, Yun and Kim, "ViSAGe: Video-to-Spatial Audio Generation", ICLR 2025, two-stage baseline of a
    video-to-audio model and ambisonics encoding. The released script mirrors left and right and makes the
    directional channels √2 too strong (a habit of FuMa): the ``"reference"`` variant here.
"""

from typing import Literal, get_args

import numpy as np

from spatialfoley.conventions import X, Y, Z
from spatialfoley.spatial import single_direction
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.foa import as_trajectory, encode
from spatialfoley.spatial.signal import SpatialAudio, require_layout
from spatialfoley.spatial.trajectory import CameraTrajectory

AmbiEncodeVariant = Literal["correct", "reference"]

_FRONT = np.array([1.0, 0.0, 0.0])
_MIRROR = np.array([1.0, -1.0, 1.0])


def ambi_encode(
    mono: SpatialAudio,
    camera: Direction | CameraPose | CameraTrajectory,
    variant: AmbiEncodeVariant = "correct",
) -> SpatialAudio:
    """Place a mono sound in the centre of the camera's view, following the camera when it moves.

    Args:
        mono: Sound of layout "mono".
        camera: Where the camera looks.
        variant: ``"correct"``, or ``"reference"`` for the released script's mirrored azimuth and √2. The script
            knows no moving camera: its formula at every moment is our extension.

    Returns:
        World-locked sound of layout "foa", same rate and length.

    Raises:
        ValueError: The layout is not mono, or the variant is unknown.
    """
    require_layout(mono, "mono", "mono")
    if variant not in get_args(AmbiEncodeVariant):
        raise ValueError(f"variant is {variant!r}; it must be 'correct' or 'reference'")
    trajectory = as_trajectory(camera)
    if trajectory.is_static:
        centre = trajectory.pose_at(float(trajectory.times_s[0])).matrix() @ _FRONT
        field = single_direction.ambi_encode(mono.samples[0], Direction.from_vector(centre), variant)
    else:
        times_s = np.arange(mono.samples.shape[1]) / mono.rate_hz
        centres = trajectory.matrices_at(times_s) @ _FRONT
        field = encode(mono.samples[0], centres if variant == "correct" else centres * _MIRROR)
        if variant == "reference":
            field[[Y, Z, X]] *= np.float32(np.sqrt(2.0))
    return SpatialAudio(field, mono.rate_hz, "foa")
