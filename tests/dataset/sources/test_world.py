"""Recordings of the world: the same in every build, never a held-out scene."""

from pathlib import Path

import numpy as np
import pytest

from spatialfoley.dataset.factory.stage import Passed, Workspace, load_source
from spatialfoley.dataset.sources.world import WorldSource
from spatialfoley.media.audio import read_audio
from spatialfoley.media.video import read_video
from spatialfoley.world import make_scene, render_foa

SMALL = WorldSource(recordings=2, first_seed=7, duration_s=1, height_px=32, rate_hz=16000)


def test_the_field_of_a_recording_is_that_of_its_scene(tmp_path: Path) -> None:
    records = list(SMALL.records())
    assert [record.id for record in records] == ["world-0000007", "world-0000008"]
    outcome = SMALL.fetch(records[0], Workspace(tmp_path, "fetch"))
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    space = Workspace(tmp_path, "fetch")
    sound = read_audio(space.path(record.file("sound")))
    scene = make_scene(7, camera="static", duration_s=1)
    np.testing.assert_allclose(sound.samples, render_foa(scene, 16000), atol=2e-7)
    assert record.facts["classes"] == [source.class_name for source in scene.sources]
    picture = read_video(space.path(record.file("panorama")))
    assert (picture.width, picture.height) == (64, 32)
    (tmp_path / "again").mkdir()
    assert SMALL.fetch(records[0], Workspace(tmp_path / "again", "fetch")) == outcome


def test_more_recordings_do_not_change_those_that_are_there() -> None:
    more = WorldSource(recordings=5, first_seed=7, duration_s=1, height_px=32, rate_hz=16000)
    assert more.fetch_depends_on() == SMALL.fetch_depends_on()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"recordings": 0}, "recordings is 0; it must be at least 1"),
        ({"recordings": 1, "first_seed": 10_000_000}, "training has the seeds 0 to 9999999"),
        ({"recordings": 1, "scene": "underwater"}, "scene is 'underwater'; it must be one of"),
        ({"recordings": 1, "height_px": 33}, "size_px is 33; it must be even"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_source("world", settings)
