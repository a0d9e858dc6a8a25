"""Decoding a first-order field to loudspeakers, energy-preserving with max-rE weights.

The decoder is D = U Vᵀ of the singular value decomposition of the layout's spherical harmonics (Zotter,
Pomberger and Noisternig, "Energy-preserving ambisonic decoding", Acta Acustica 2012), so a plane wave has the
same total energy from every direction although the loudspeakers are uneven. First order is broad: expect
a soft image rather than a point.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from spatialfoley.conventions import W, X, Y, Z
from spatialfoley.spatial.direction import unit_vectors
from spatialfoley.spatial.signal import SpatialAudio, require_layout

SpeakerLayout = Literal["5.1", "7.1.4"]

SPEAKERS: dict[str, tuple[tuple[str, float | None, float], ...]] = {
    "5.1": (("L", 30, 0), ("R", -30, 0), ("C", 0, 0), ("LFE", None, 0), ("Ls", 110, 0), ("Rs", -110, 0)),
    "7.1.4": (
        *(("L", 30, 0), ("R", -30, 0), ("C", 0, 0), ("LFE", None, 0)),
        *(("Lss", 90, 0), ("Rss", -90, 0), ("Lrs", 135, 0), ("Rrs", -135, 0)),
        *(("Ltf", 45, 30), ("Rtf", -45, 30), ("Ltb", 135, 30), ("Rtb", -135, 30)),
    ),
}
"""Name, azimuth and elevation of each channel in the order of ITU-R BS.2051; the LFE has no direction."""


def decoder_matrix(layout: SpeakerLayout) -> np.ndarray:
    """Gains from W, Y, Z, X (SN3D) to each channel of a layout: shape (channels, 4); the LFE row is zero.

    A plane wave (in the horizontal plane for 5.1, which has no height) has total energy 1.
    """
    if layout not in get_args(SpeakerLayout):
        raise ValueError(f"layout is {layout!r}; it must be one of {', '.join(get_args(SpeakerLayout))}")
    speakers = SPEAKERS[layout]
    fed = [k for k, (_, azimuth, _) in enumerate(speakers) if azimuth is not None]
    azimuth_deg = np.array([speakers[k][1] for k in fed], dtype=float)
    vectors = unit_vectors(azimuth_deg, np.array([speakers[k][2] for k in fed], dtype=float))
    axes = {Y: 1, Z: 2, X: 0} if np.ptp(vectors[:, 2]) > 0 else {Y: 1, X: 0}
    dimensions = len(axes)
    orthonormal = np.sqrt(float(dimensions))  # makes each directional channel as strong as W on average
    harmonics = np.stack([np.ones(len(fed)), *(orthonormal * vectors[:, a] for a in axes.values())], axis=1)
    left, _, right = np.linalg.svd(harmonics, full_matrices=False)
    max_re = 1.0 / np.sqrt(dimensions)  # first order: cos(atan(√2)) on the sphere, cos(45°) on the circle
    matrix = np.zeros((len(speakers), 4))
    decoder = left @ right
    matrix[fed, W] = decoder[:, 0]
    for column, channel in enumerate(axes, start=1):
        matrix[fed, channel] = decoder[:, column] * orthonormal * max_re
    return matrix / np.sqrt(2.0)  # |W|² + |max-rE weighted directional part|² = 1 + 1


def render_loudspeakers(foa: SpatialAudio, layout: SpeakerLayout) -> SpatialAudio:
    """Loudspeaker feeds of a field in the order of ITU-R BS.2051, LFE silent.

    Args:
        foa: Sound of layout "foa".
        layout: "5.1" (L R C LFE Ls Rs) or "7.1.4" (L R C LFE Lss Rss Lrs Rrs Ltf Rtf Ltb Rtb).
    """
    require_layout(foa, "foa", "foa")
    feeds = decoder_matrix(layout).astype(np.float32) @ foa.samples
    return SpatialAudio(feeds, foa.rate_hz, layout)
