"""What was not used for longest goes first, and nothing goes while a run is under way."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs.embeddings import EmbeddingStore
from spatialfoley.evaluation.pairs.store_size import Pruned, in_use, prune

fcntl = pytest.importorskip("fcntl", reason="nothing is deleted where there are no such locks")

CHANNELS = ("W",)
HOLD = """
import sys
from pathlib import Path
from spatialfoley.evaluation.pairs.store_size import in_use
with in_use(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def key_of(number: int) -> str:
    return f"{number:02x}" * 32


def filled(folder: Path, entries: int = 4) -> tuple[EmbeddingStore, int]:
    """A store whose entry 0 is the one used longest ago, and the size of an entry."""
    store = EmbeddingStore(folder)
    for number in range(entries):
        store.write(key_of(number), CHANNELS, Heard(np.full((1, 2, 3), float(number), np.float32), None))
        os.utime(path_of(folder, number), (1000.0 + number, 1000.0 + number))
    return store, path_of(folder, 0).stat().st_size


def path_of(folder: Path, number: int) -> Path:
    return folder / key_of(number)[:2] / f"{key_of(number)}.npz"


def kept(store: EmbeddingStore, entries: int = 4) -> list[int]:
    return [number for number in range(entries) if path_of(store.folder, number).exists()]


def test_the_longest_unused_go_until_the_rest_fits(tmp_path: Path) -> None:
    store, size = filled(tmp_path)
    assert prune(tmp_path, 4 * size) == Pruned()
    assert prune(tmp_path, 2.5 * size) == Pruned(2, 2 * size, 1001.0)
    assert kept(store) == [2, 3]
    assert prune(tmp_path, 0) == Pruned(2, 2 * size, 1003.0)
    assert kept(store) == []


def test_reading_an_entry_is_using_it(tmp_path: Path) -> None:
    store, size = filled(tmp_path)
    assert store.read(key_of(0), CHANNELS) is not None
    assert store.read(key_of(1), ("another",)) is None
    prune(tmp_path, 2 * size)
    assert kept(store) == [0, 3]


def test_what_a_run_uses_is_younger_than_its_begin(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    with in_use(tmp_path) as began_s:
        assert store.read(key_of(2), CHANNELS) is not None
    assert path_of(tmp_path, 2).stat().st_mtime >= began_s > path_of(tmp_path, 3).stat().st_mtime


def test_leftovers_of_killed_runs_go_and_other_files_stay(tmp_path: Path) -> None:
    store, size = filled(tmp_path)
    half = path_of(tmp_path, 1).with_name(".abc.0123.partial.npz")
    half.write_bytes(b"x" * 10 * size)
    (tmp_path / "notes.txt").write_text("mine")
    assert prune(tmp_path, 4 * size) == Pruned()
    assert not half.exists()
    assert (tmp_path / "notes.txt").exists()
    assert kept(store) == [0, 1, 2, 3]


def test_nothing_goes_while_another_process_runs(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with in_use(tmp_path):
            assert prune(tmp_path, 0) is None
        assert prune(tmp_path, 0) is None
        assert kept(store) == [0, 1, 2, 3]
    finally:
        process.kill()
        process.communicate()
    assert prune(tmp_path, 0) is not None, "the lock of a killed process must go with it"
    assert kept(store) == []


def test_a_run_waits_while_something_is_deleted(tmp_path: Path) -> None:
    filled(tmp_path)
    begun = threading.Event()

    def run() -> None:
        with in_use(tmp_path):
            begun.set()

    with (tmp_path / ".lock").open("ab") as pruning:
        fcntl.flock(pruning, fcntl.LOCK_EX)
        thread = threading.Thread(target=run)
        thread.start()
        assert not begun.wait(0.2)
    thread.join(30)
    assert begun.is_set()


def test_a_store_that_cannot_be_locked_is_used_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with in_use(tmp_path / "file"):
        assert prune(tmp_path / "file", 0) is None
