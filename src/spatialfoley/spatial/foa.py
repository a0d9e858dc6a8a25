"""First-order ambisonics: encode, steer, rotate and convert (AmbiX: W, Y, Z, X in SN3D)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spatialfoley.conventions import FOA_CHANNELS, W, X, Y, Z
from spatialfoley.spatial.direction import CameraPose, Direction
from spatialfoley.spatial.signal import Sound, SpatialAudio, require_layout
from spatialfoley.spatial.trajectory import CameraTrajectory, as_trajectory

VECTOR_CHANNELS = (X, Y, Z)
"""The channels that hold the x, y and z component of the field, in that order."""

_N3D_OVER_SN3D = np.array([1.0, np.sqrt(3.0), np.sqrt(3.0), np.sqrt(3.0)])[:, None]
_FUMA_FROM_ACN = [W, X, Y, Z]
_ROTATION_BLOCK_SAMPLES = 16384


def encode(mono: npt.ArrayLike, vectors: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Encode a plane wave: W = s, (X, Y, Z) = s v.

    Args:
        mono: The sound, shape (N,).
        vectors: Unit vector of the source (x front, y left, z up), shape (3,), or one per sample (N, 3).

    Returns:
        The field, shape (4, N), float32.

    Raises:
        ValueError: If the shapes do not fit or a vector is not of unit length (within 0.001).
    """
    signal = np.asarray(mono, dtype=np.float32)
    if signal.ndim != 1:
        raise ValueError(f"mono has shape {signal.shape}; it must be one channel of shape (samples,)")
    directions = np.asarray(vectors, dtype=np.float64)
    if directions.shape not in ((3,), (signal.size, 3)):
        raise ValueError(f"vectors has shape {directions.shape}; it must be (3,) or ({signal.size}, 3)")
    lengths = np.sqrt(np.sum(directions * directions, axis=-1))
    if not np.all(np.abs(lengths - 1.0) < 1e-3):
        worst = float(np.ravel(lengths)[np.argmax(np.abs(np.ravel(lengths) - 1.0))])
        raise ValueError(f"vectors holds a vector of length {worst:.4g}; every vector must have length 1")
    field = np.empty((len(FOA_CHANNELS), signal.size), np.float32)
    field[W] = signal
    for axis, channel in enumerate(VECTOR_CHANNELS):
        field[channel] = signal * directions[..., axis].astype(np.float32)
    return field


def steer(samples: npt.ArrayLike, vector: npt.ArrayLike, pattern: float = 0.5) -> npt.NDArray[np.float32]:
    """Listen in one direction with a first-order beam: ``(1 - pattern) W + pattern v·(X, Y, Z)``.

    Args:
        samples: The field, shape (4, N).
        vector: Unit vector of the beam, shape (3,).
        pattern: 0 omnidirectional, 0.5 cardioid (null at the back), 0.75 hypercardioid, 1 figure of eight.

    Returns:
        The sound of the beam, shape (N,): a plane wave from the beam's direction has gain 1.
    """
    field = check_field(samples)
    if not 0.0 <= pattern <= 1.0:
        raise ValueError(
            f"pattern is {pattern}; it must be between 0 (omnidirectional) and 1 (figure of eight)"
        )
    direction = np.asarray(vector, dtype=np.float64)
    if direction.shape != (3,) or abs(float(np.linalg.norm(direction)) - 1.0) > 1e-3:
        raise ValueError(f"vector is {direction.tolist()}; it must be a unit vector of shape (3,)")
    weights = np.zeros(4, np.float32)
    weights[W] = 1.0 - pattern
    weights[list(VECTOR_CHANNELS)] = pattern * direction
    return weights @ field


def rotate_field(samples: npt.ArrayLike, rotation: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Turn a field: a source at v comes to R v.

    Args:
        samples: The field, shape (4, N).
        rotation: R of shape (3, 3), or one per sample (N, 3, 3).

    Returns:
        The turned field, shape (4, N), float32; W is unchanged.
    """
    field = check_field(samples)
    R = np.asarray(rotation, dtype=np.float32)
    count = field.shape[1]
    if R.shape not in ((3, 3), (count, 3, 3)):
        raise ValueError(f"rotation has shape {R.shape}; it must be (3, 3) or ({count}, 3, 3)")
    x, y, z = field[X], field[Y], field[Z]
    turned = np.empty_like(field)
    turned[W] = field[W]
    for row, channel in enumerate(VECTOR_CHANNELS):
        turned[channel] = R[..., row, 0] * x + R[..., row, 1] * y + R[..., row, 2] * z
    return turned


def rotate(
    audio: SpatialAudio,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
    trajectory: CameraTrajectory | None = None,
) -> SpatialAudio:
    """Turn the whole scene around the listener, by fixed angles or along a trajectory.

    Positive yaw turns the scene counter-clockwise (a source in front goes to the left), positive pitch lifts
    the front, positive roll lowers the right side. A trajectory is evaluated at every sample, so a moving
    rotation has no steps. To hear a scene from a turned head use `listen_from`, which is the inverse.

    Args:
        audio: Sound of layout "foa".
        yaw_deg: Turn about the up axis in degrees.
        pitch_deg: Turn of the front upwards in degrees.
        roll_deg: Turn of the right side downwards in degrees.
        trajectory: Rotation over time instead of the three angles.

    Raises:
        ValueError: If the layout is not "foa", or angles and a trajectory are both given.
    """
    require_layout(audio, "foa")
    if trajectory is None:
        trajectory = CameraTrajectory.static(CameraPose(yaw_deg, pitch_deg, roll_deg))
    elif (yaw_deg, pitch_deg, roll_deg) != (0.0, 0.0, 0.0):
        raise ValueError(
            "trajectory cannot be combined with yaw_deg, pitch_deg or roll_deg: give one of them"
        )
    return _rotate_along(audio, trajectory, inverse=False)


def listen_from(audio: SpatialAudio, camera: Direction | CameraPose | CameraTrajectory) -> SpatialAudio:
    """The scene as heard by a turned head or camera: the field rotated by the inverse of the pose.

    A source that the camera faces comes to azimuth 0, elevation 0. The inverse is `as_world`.
    """
    require_layout(audio, "foa")
    return _rotate_along(audio, as_trajectory(camera), inverse=True)


def listening_blocks(
    foa: Sound, camera: Direction | CameraPose | CameraTrajectory
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield what `listen_from` makes of a sound that need not fit into memory, in blocks (4, n)."""
    require_layout(foa, "foa", "foa")
    return _rotated_blocks(foa, as_trajectory(camera), inverse=True)


def as_world(audio: SpatialAudio, camera: Direction | CameraPose | CameraTrajectory) -> SpatialAudio:
    """A field given relative to a turned camera, put back into the world: the inverse of `listen_from`."""
    require_layout(audio, "foa")
    return _rotate_along(audio, as_trajectory(camera), inverse=False)


def to_n3d(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """SN3D to N3D in ACN order: first order times √3."""
    return (check_field(samples) * _N3D_OVER_SN3D).astype(np.float32)


def from_n3d(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """N3D in ACN order to SN3D."""
    return (check_field(samples) / _N3D_OVER_SN3D).astype(np.float32)


def to_fuma(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """AmbiX to FuMa: order W, X, Y, Z and W times 1/√2."""
    fuma = check_field(samples)[_FUMA_FROM_ACN]
    fuma[0] *= np.float32(np.sqrt(0.5))
    return fuma


def from_fuma(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """FuMa (W, X, Y, Z with W times 1/√2) to AmbiX."""
    fuma = check_field(samples)
    field = np.empty_like(fuma)
    field[_FUMA_FROM_ACN] = fuma
    field[W] *= np.float32(np.sqrt(2.0))
    return field


def check_field(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """A field as float32 of shape (4, N).

    Raises:
        ValueError: If the shape is another.
    """
    field = np.asarray(samples, dtype=np.float32)
    if field.ndim != 2 or field.shape[0] != len(FOA_CHANNELS):
        raise ValueError(f"samples has shape {field.shape}; a first-order field has shape (4, samples)")
    return field


def _rotate_along(audio: SpatialAudio, trajectory: CameraTrajectory, inverse: bool) -> SpatialAudio:
    turned = np.empty_like(audio.samples)
    start = 0
    for block in _rotated_blocks(audio, trajectory, inverse):
        turned[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return SpatialAudio(turned, audio.rate_hz, "foa")


def _rotated_blocks(
    foa: Sound, trajectory: CameraTrajectory, inverse: bool
) -> Iterator[npt.NDArray[np.float32]]:
    if trajectory.is_static:
        R = trajectory.pose_at(float(trajectory.times_s[0])).matrix()
        yield from (rotate_field(block, R.T if inverse else R) for block in foa.blocks())
        return
    start = 0
    # Short blocks keep the nine rotation planes in the cache; the rotation itself is still one per sample.
    for block in foa.blocks(_ROTATION_BLOCK_SAMPLES):
        stop = start + block.shape[1]
        R = trajectory.matrices_at(np.arange(start, stop) / foa.rate_hz, dtype=np.float32)
        yield rotate_field(block, np.swapaxes(R, 1, 2) if inverse else R)
        start = stop
