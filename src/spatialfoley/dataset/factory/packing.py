"""From the finished recordings of a group to its shards, and what is cleared away after that.

Groups follow from the places of recordings alone: timing, failures and withdrawals move no clip to another shard.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from spatialfoley.dataset.factory.config import SPLITS, BuildConfig
from spatialfoley.dataset.factory.groups import Group, Job
from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.shards import content_hash, shard_name
from spatialfoley.dataset.factory.state import BuildState


class Packing:
    """The groups of a build and their shards.

    Args:
        config: Of the build.
        root: The build folder.
        state: Of the build.
        chain: Hash of all stages, on which groups are closed.
    """

    def __init__(self, config: BuildConfig, root: Path, state: BuildState, chain: str) -> None:
        self._config, self._root, self._state, self._chain = config, root, state, chain
        self._size = config.shards.recordings

    def pending(self) -> deque[Group]:
        """Groups with something to do, in order."""
        closed = self._state.closed_groups(self._chain)
        pending: deque[Group] = deque()
        for number in range(-(-self._state.recordings() // self._size)):
            if closed.get(number) != self._places(number):
                recordings = self._recordings(number)
                pending.append(Group(number, deque(recordings), len(recordings)))
        return pending

    def open_again(self, recording: str) -> None:
        """Let the group of a recording be looked at again."""
        self._state.open_group((self._state.place_of(recording) or 0) // self._size)

    def begin(self, group: Group) -> Iterator[Job]:
        """Jobs for the shards of a group that are not written as they should be; the others are its own already."""
        splits: dict[str, list[Record]] = {}
        for record in sorted(group.kept, key=lambda kept: (self._state.place_of(kept.recording), kept.id)):
            splits.setdefault(self._config.splits.of(record), []).append(record)
        for split, records in splits.items():
            written = self._state.shard(group.number, split)
            there = (self._root / shard_name(split, group.number)).exists()
            if written is not None and there and written.content == content_hash(records):
                group.shards.append(written)
                continue
            lines = tuple(record.to_json() for record in records)
            yield Job(-1, None, group.number, split=split, lines=lines)

    def close(self, group: Group) -> None:
        """Note the shards of a group, delete those that it no longer has, clear away what they were made of."""
        names = {row.file for row in group.shards}
        for split in SPLITS:
            name = shard_name(split, group.number)
            if name not in names:
                for ending in (".tar", ".json"):
                    (self._root / name).with_suffix(ending).unlink(missing_ok=True)
        # A group with a failure that may go away stays open for the next run, with its shards written.
        size = self._places(group.number) if group.clean else -1
        self._state.close_group(group.number, self._chain, size, group.shards)
        if group.clean and not self._config.shards.keep_work:
            self._clear_work(group)

    def clear_partial_files(self) -> None:
        """Delete what killed workers left half made."""
        for folder in (self._root / "work", self._root / "shards"):
            for path in list(folder.rglob(".*.partial*")) if folder.is_dir() else ():
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        work = self._root / "work"
        if work.is_dir() and not any(work.iterdir()):
            shutil.rmtree(work)

    def _clear_work(self, group: Group) -> None:
        for recording in self._recordings(group.number):
            for result in self._state.results_of(recording.id):
                for made in result.records:
                    for ref in files_inside(made):
                        (self._root / ref.path).unlink(missing_ok=True)

    def _recordings(self, number: int) -> list[Record]:
        return self._state.recordings_at(number * self._size, self._size)

    def _places(self, number: int) -> int:
        """Places of a group; those of withdrawn recordings are empty."""
        return min(self._size, self._state.recordings() - number * self._size)


def files_inside(record: Record) -> list[FileRef]:
    """Files of a record that the build made."""
    return [ref for ref in record.files.values() if not Path(ref.path).is_absolute()]
