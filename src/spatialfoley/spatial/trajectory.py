"""Camera poses over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spatialfoley.spatial.direction import CameraPose, Direction, pose_matrices


@dataclass(frozen=True, eq=False)
class CameraTrajectory:
    """Key poses of a moving camera; between them the angles run linearly, outside them the end pose holds.

    Angles are interpolated as they are written: yaw 0 to 360 is a full turn to the left, and 350 to 10 turns
    back by 340 degrees. For angles of a tracker, which jump at ±180, use `from_wrapped`.

    Attributes:
        times_s: Strictly increasing times of the key poses in seconds, shape (P,), P ≥ 1.
        yaw_deg: Left positive, shape (P,).
        pitch_deg: Up positive, shape (P,).
        roll_deg: Positive when the right side of the view goes down, shape (P,).
    """

    times_s: npt.NDArray[np.float64]
    yaw_deg: npt.NDArray[np.float64]
    pitch_deg: npt.NDArray[np.float64]
    roll_deg: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("times_s", "yaw_deg", "pitch_deg", "roll_deg"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != 1 or array.size == 0:
                raise ValueError(f"{name} has shape {array.shape}; it must be one row of at least one number")
            if array.shape != np.shape(self.times_s):
                raise ValueError(f"{name} has {array.size} values for {np.size(self.times_s)} times")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds a value that is not finite at index {_first_bad(array)}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if np.any(np.diff(self.times_s) <= 0):
            raise ValueError("times_s must grow from each key pose to the next")

    @classmethod
    def static(cls, pose: CameraPose) -> CameraTrajectory:
        """A camera that does not move."""
        angles = (np.array([angle]) for angle in (pose.yaw_deg, pose.pitch_deg, pose.roll_deg))
        return cls(np.zeros(1), *angles)

    @classmethod
    def from_wrapped(
        cls, times_s: npt.ArrayLike, yaw_deg: npt.ArrayLike, pitch_deg: npt.ArrayLike, roll_deg: npt.ArrayLike
    ) -> CameraTrajectory:
        """A trajectory from angles that jump by 360: every step goes the short way round."""
        times, *angles = (np.asarray(a, np.float64) for a in (times_s, yaw_deg, pitch_deg, roll_deg))
        return cls(times, *(np.unwrap(angle, period=360.0) for angle in angles))

    @property
    def is_static(self) -> bool:
        """True if the pose never changes."""
        return all(np.ptp(angle) == 0 for angle in (self.yaw_deg, self.pitch_deg, self.roll_deg))

    def angles_at(self, times_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Yaw, pitch and roll in degrees at times in seconds: shape (3, N) for times of shape (N,)."""
        times = np.asarray(times_s, dtype=np.float64)
        return np.stack(
            [np.interp(times, self.times_s, a) for a in (self.yaw_deg, self.pitch_deg, self.roll_deg)]
        )

    def pose_at(self, time_s: float) -> CameraPose:
        """The pose at one time in seconds."""
        yaw, pitch, roll = (float(angle) for angle in self.angles_at(time_s))
        return CameraPose(yaw, pitch, roll)

    def seen_from(self, start_s: float) -> CameraTrajectory:
        """The same movement with times counted from a later start."""
        return CameraTrajectory(self.times_s - start_s, self.yaw_deg, self.pitch_deg, self.roll_deg)

    def matrices_at(
        self, times_s: npt.ArrayLike, dtype: npt.DTypeLike = np.float64
    ) -> npt.NDArray[np.float64]:
        """Rotations R_cam (v_world = R_cam v_cam) at times in seconds: (N, 3, 3) for times of shape (N,)."""
        yaw_deg, pitch_deg, roll_deg = self.angles_at(times_s)
        return pose_matrices(yaw_deg, pitch_deg, roll_deg, dtype)


def as_trajectory(camera: Direction | CameraPose | CameraTrajectory) -> CameraTrajectory:
    """A trajectory from anything that says where a camera looks."""
    if isinstance(camera, CameraTrajectory):
        return camera
    if isinstance(camera, Direction):
        camera = CameraPose.facing(camera)
    return CameraTrajectory.static(camera)


def _first_bad(array: npt.NDArray[np.float64]) -> int:
    return int(np.flatnonzero(~np.isfinite(array))[0])
