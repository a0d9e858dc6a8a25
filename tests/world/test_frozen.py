"""What a seed renders must not change: trained weights and published figures depend on it.

The numbers were written by the world itself when the scenes were frozen (version 0.1.0). A deliberate change needs
new numbers here, new weights and new figures.
"""

import numpy as np
import pytest

from spatialfoley.spatial.direction import angles_deg
from spatialfoley.world import make_scene, render_foa_camera, render_view

# seed: kind, camera, classes, onsets of the first source, its azimuth at 2.5 s, RMS of W, mean of the frames
FROZEN = {
    0: (
        "several",
        "static",
        ("ball", "metronome"),
        [0.1713, 1.2617, 2.5842, 4.4956],
        54.216,
        0.043865,
        111.979,
    ),
    1: ("in_view", "static", ("lamp",), [0.7231, 1.3253, 2.4214, 3.1457, 4.3818], 169.236, 0.020661, 45.013),
    2: ("several", "static", ("ball", "fountain"), [1.3268, 2.8014, 4.8164], -157.761, 0.071006, 78.411),
    3: (
        "in_view",
        "static",
        ("metronome",),
        [0.0883, 0.4992, 0.91, 1.3208, 1.7316, 3.4643, 3.7062, 3.9482, 4.1901, 4.4321, 4.674],
        73.343,
        0.02998,
        58.134,
    ),
    1_000_000_000: ("in_view", "static", ("fountain",), [0.5495, 2.5803], -170.759, 0.068608, 104.758),
}


@pytest.mark.parametrize("seed", FROZEN)
def test_a_seed_renders_what_it_always_did(seed: int) -> None:
    kind, camera, classes, onsets_s, azimuth_deg, level, brightness = FROZEN[seed]
    scene = make_scene(seed)
    assert (scene.kind, scene.camera_kind) == (kind, camera)
    assert tuple(source.class_name for source in scene.sources) == classes
    assert [event.time_s for event in scene.sources[0].events] == pytest.approx(onsets_s, abs=1e-3)
    assert angles_deg(scene.sources[0].path.vectors[50])[0] == pytest.approx(azimuth_deg, abs=0.01)
    assert np.sqrt(np.mean(render_foa_camera(scene)[0] ** 2)) == pytest.approx(level, rel=1e-3)
    assert render_view(scene, np.arange(20) / 4).mean() == pytest.approx(brightness, abs=0.02)
