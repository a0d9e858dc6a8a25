import numpy as np
import pytest

from spatialfoley.generators.spatializer.duplicate import duplicate_to_ears
from spatialfoley.spatial.signal import SpatialAudio


def test_both_ears_hear_the_same() -> None:
    mono = SpatialAudio(np.linspace(-0.5, 0.5, 40)[None], 8000, "mono")
    ears = duplicate_to_ears(mono)
    assert (ears.layout, ears.rate_hz) == ("binaural", 8000)
    np.testing.assert_array_equal(ears.samples, np.stack([mono.samples[0]] * 2))
    with pytest.raises(ValueError, match="mono has layout 'binaural'"):
        duplicate_to_ears(ears)
