"""One's own recordings: found by name, looked at where they lie."""

import json
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.dataset.factory.stage import ItemProblem, Passed, Workspace, load_source
from spatialfoley.dataset.sources.folder import FolderSource
from spatialfoley.media.audio import write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.spatial.signal import SpatialAudio


def recordings(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    for name in ("street.mp4", "deep/Köln ring.mkv"):
        write_frames(folder / name, iter(np.zeros((4, 32, 64, 3), np.uint8)), 4)
    write_audio(folder / "street.foa.wav", SpatialAudio(np.zeros((4, 800), np.float32), 800, "foa"))
    (folder / "street.json").write_text(
        json.dumps({"title": "A street", "licence": "CC0-1.0", "colour": "red"})
    )
    return folder


def test_every_video_is_a_recording_with_the_sound_and_the_facts_beside_it(tmp_path: Path) -> None:
    source = FolderSource(str(recordings(tmp_path / "in")), licence="ask me")
    ring, street = source.records()
    assert street.facts["title"] == "A street"
    assert (street.facts["licence"], ring.facts["licence"]) == ("CC0-1.0", "ask me")
    assert "colour" not in street.facts
    outcome = source.fetch(street, Workspace(tmp_path, "fetch"))
    assert isinstance(outcome, Passed)
    (record,) = outcome.records
    assert {role: Path(ref.path).name for role, ref in record.files.items()} == {
        "panorama": "street.mp4",
        "sound": "street.foa.wav",
    }
    assert record.facts["duration_s"] == 1.0
    (silent,) = source.fetch(ring, Workspace(tmp_path, "fetch")).records  # type: ignore[union-attr]
    assert set(silent.files) == {"panorama"}


def test_a_recording_that_went_away_is_missing(tmp_path: Path) -> None:
    source = FolderSource(str(recordings(tmp_path / "in")))
    ring, _ = source.records()
    (tmp_path / "in" / "deep" / "Köln ring.mkv").unlink()
    with pytest.raises(ItemProblem, match=r"deep/Köln ring\.mkv is not there any more"):
        source.fetch(ring, Workspace(tmp_path, "fetch"))


def test_impossible_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="which is no folder; give the folder of the recordings"):
        load_source("folder", {"path": str(tmp_path / "nowhere")})
    with pytest.raises(ValueError, match="convention is 'n3d'; it must be one of ambix, fuma, unknown"):
        load_source("folder", {"path": str(tmp_path), "convention": "n3d"})
    with pytest.raises(ValueError, match="holds no video; known endings are"):
        list(FolderSource(str(tmp_path)).records())
