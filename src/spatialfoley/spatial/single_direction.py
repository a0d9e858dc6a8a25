"""One sound, one direction: the "Ambi Enc." baseline and the mono decode of the published evaluation.

The published scripts take the azimuth as 2·index - 179, the mirror image of what the views, the metric grid
and the augmentation use, and the encoder multiplies the directional channels by √2 (a FuMa habit) while the
rest of the code is SN3D. Published rows may carry both, so each has a named `reference` variant:

* ``"correct"``: azimuth as in `spatialfoley.conventions`, SN3D gains.
* ``"reference"``: left and right swapped; the encoder's directional channels times √2.
* ``"reference_bug"`` (decode only): the formula of the semantic evaluation, where a stray division sign made
  ``w + cos(az) sin(az) x y + sin(el) z``, a product of two signals.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import check_field, encode, steer

EncodeVariant = Literal["correct", "reference"]
DecodeVariant = Literal["correct", "reference", "reference_bug"]


def mirrored(direction: Direction) -> Direction:
    """The direction with left and right swapped."""
    return Direction(-direction.azimuth_deg, direction.elevation_deg)


def ambi_encode(
    mono: npt.ArrayLike, direction: Direction, variant: EncodeVariant = "correct"
) -> npt.NDArray[np.float32]:
    """Put a mono sound of shape (N,) at one direction: a field of shape (4, N)."""
    if variant == "correct":
        return encode(mono, direction.vector())
    if variant == "reference":
        field = encode(mono, mirrored(direction).vector())
        field[[Y, Z, X]] *= np.float32(np.sqrt(2.0))
        return field
    raise ValueError(f"variant is {variant!r}; it must be 'correct' or 'reference'")


def mono_decode(
    samples: npt.ArrayLike, direction: Direction, variant: DecodeVariant = "correct"
) -> npt.NDArray[np.float32]:
    """Listen to a field of shape (4, N) in one direction: sound of shape (N,).

    The correct variant is a cardioid of gain 1 towards the direction; the published ones have gain 2.
    """
    if variant == "correct":
        return steer(samples, direction.vector())
    field = check_field(samples)
    x, y, z = mirrored(direction).vector().astype(np.float32)
    if variant == "reference":
        return field[W] + x * field[X] + y * field[Y] + z * field[Z]
    if variant == "reference_bug":
        azimuth = np.radians(-direction.azimuth_deg)
        product = np.float32(np.cos(azimuth) * np.sin(azimuth))
        return field[W] + product * field[X] * field[Y] + z * field[Z]
    raise ValueError(f"variant is {variant!r}; it must be 'correct', 'reference' or 'reference_bug'")
