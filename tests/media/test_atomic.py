from pathlib import Path

import pytest

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.errors import MediaError


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.wav"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"abc")
        assert temporary.suffix == ".wav"
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert [file.name for file in target.parent.iterdir()] == ["a.wav"]


def test_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")

    def interrupted() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(MediaError, match=r"cannot write .*a\.wav: .*choose a folder that can be written"),
        atomic_path(tmp_path / "file" / "a.wav"),
    ):
        pass
    with pytest.raises(MediaError, match="it is a folder; give the name of a file"), atomic_path(tmp_path):
        pass
