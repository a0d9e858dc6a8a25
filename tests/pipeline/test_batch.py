import json
from pathlib import Path

import pytest

from spatialfoley.pipeline.batch import (
    Failure,
    collect_videos,
    input_identity,
    is_done,
    name_jobs,
    write_failures,
)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_a_folder_gives_its_videos_but_not_our_own_output(tmp_path: Path) -> None:
    wanted = [touch(tmp_path / "a.mp4"), touch(tmp_path / "sub/b.MOV")]
    for other in ("notes.txt", ".hidden.mp4", "a.energy.mp4", "out/a.mp4", ".a.1.partial/a.mp4"):
        touch(tmp_path / other)
    assert collect_videos([tmp_path], tmp_path / "out") == wanted
    assert collect_videos([tmp_path / "a.mp4", tmp_path], tmp_path / "out") == wanted


def test_a_path_that_is_not_there_and_a_folder_without_video_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.mp4 does not exist; give the path"):
        collect_videos([tmp_path / "gone.mp4"], tmp_path)
    with pytest.raises(ValueError, match="is a folder without videos"):
        collect_videos([tmp_path], tmp_path / "out")


def test_equal_stems_get_names_of_their_own(tmp_path: Path) -> None:
    videos = [touch(tmp_path / p) for p in ("east/x.mp4", "west/x.mp4", "west/x.mov", "west/X.webm")]
    assert [job.name for job in name_jobs(videos, tmp_path)] == ["x", "west_x", "west_x-2", "west_X-3"]


def test_a_name_of_an_earlier_run_is_kept_for_its_own_video(tmp_path: Path) -> None:
    east, west = touch(tmp_path / "east/x.mp4"), touch(tmp_path / "west/x.mp4")
    (tmp_path / "x.json").write_text(json.dumps({"request": input_identity(east)}))
    assert [job.name for job in name_jobs([west], tmp_path)] == ["west_x"]
    assert [job.name for job in name_jobs([west, east], tmp_path)] == ["west_x", "x"]


def test_done_means_same_request_and_all_files_there(tmp_path: Path) -> None:
    request = {"seed": 1, "outputs": ("foa",)}
    assert not is_done(tmp_path, "x", request)
    (tmp_path / "x.json").write_text(json.dumps({"request": request, "files": {"foa": "x.foa.wav"}}))
    assert not is_done(tmp_path, "x", request)
    touch(tmp_path / "x.foa.wav")
    assert is_done(tmp_path, "x", request)
    assert not is_done(tmp_path, "x", {**request, "seed": 2})
    (tmp_path / "x.json").write_text("{ half a")
    assert not is_done(tmp_path, "x", request)


def test_failures_are_written_and_cleared(tmp_path: Path) -> None:
    target = write_failures(tmp_path, [Failure(Path("x.mp4"), "MediaError", "x.mp4 is empty")])
    assert target is not None
    assert json.loads(target.read_text()) == {
        "input": "x.mp4",
        "kind": "MediaError",
        "reason": "x.mp4 is empty",
    }
    assert write_failures(tmp_path, []) is None
    assert not target.exists()
