"""Axes, angles, channels and ranges: the one place that states them.

World axes are right-handed: +x front, +y left, +z up. Azimuth is counter-clockwise from the front seen from
above (left positive), elevation is up positive, both in degrees.

First-order ambisonics (FOA) is AmbiX: channel order ACN (W, Y, Z, X), normalisation SN3D. A plane wave from
(azimuth, elevation) has the gains W = 1, Y = sin(az) cos(el), Z = sin(el), X = cos(az) cos(el).

A camera pose is yaw (left positive), pitch (up positive), roll (positive: the right side of the view goes
down), with R_cam = Rz(yaw) Ry(-pitch) Rx(roll) and v_world = R_cam v_cam.

Audio arrays are float32 of shape (channel, time), nominal range [-1, 1]. Frames are uint8 RGB of shape
(time, height, width, 3).

Shape letters, everywhere: B batch, T video frames, S codec frames, R decoder rows, K codebooks, V vocabulary,
C audio channels, N audio samples, D network width, H height, W width.
"""

from typing import Final

W: Final = 0
Y: Final = 1
Z: Final = 2
X: Final = 3

FOA_CHANNELS: Final = ("W", "Y", "Z", "X")
FUMA_CHANNELS: Final = ("W", "X", "Y", "Z")

FULL_SCALE: Final = 1.0
"""Largest sample magnitude of a finished file."""
