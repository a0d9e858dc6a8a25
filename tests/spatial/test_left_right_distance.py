"""Equation 40 of ViSAudio on ears whose distance is known."""

import numpy as np
import pytest

from spatialfoley.spatial.interaural import left_right_distance


def test_distance_of_known_ears() -> None:
    square = np.sign(np.sin(2 * np.pi * 100 * (np.arange(48000) + 0.5) / 48000))
    assert left_right_distance(np.stack([square, -square])) == pytest.approx(2.0)
    # Neither offset nor level of an ear counts.
    assert left_right_distance(np.stack([square, 0.1 * square + 0.3])) == pytest.approx(0.0, abs=1e-6)
    assert left_right_distance(np.zeros((2, 100))) == 0
    with pytest.raises(ValueError, match=r"ears has shape \(3, 9\); it must be \(2, samples\)"):
        left_right_distance(np.zeros((3, 9)))
