"""The baseline without any place: one channel given to both ears."""

import numpy as np

from spatialfoley.spatial.signal import SpatialAudio, require_layout


def duplicate_to_ears(mono: SpatialAudio) -> SpatialAudio:
    """The same sound in both ears, layout "binaural".

    Raises:
        ValueError: The sound is not of layout "mono".
    """
    require_layout(mono, "mono", "mono")
    return SpatialAudio(np.repeat(mono.samples, 2, axis=0), mono.rate_hz, "binaural")
