"""What has been done: one SQLite file that only the coordinator writes.

Files come first, rows after: a stage's files have their final names before the row that speaks of them is
committed. So a build that is killed between the two does the stage once more, with the same result, and nothing is
lost or doubled.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from spatialfoley.dataset.factory.records import Record

_COLUMNS = "stage, id, recording, basis, status, reason, sentence, numbers, records, attempts, seconds"

PASSING = frozenset(("network", "rate", "memory", "disk"))
"""Kinds of failure that may go away by themselves."""

Status = Literal["passed", "rejected", "failed"]

STATE_FILE = "state.sqlite"
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS recordings (
    position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, record TEXT NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS results (
    stage INTEGER NOT NULL, id TEXT NOT NULL, recording TEXT NOT NULL, basis TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, sentence TEXT NOT NULL, numbers TEXT NOT NULL, records TEXT NOT NULL,
    attempts INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (stage, id));
CREATE INDEX IF NOT EXISTS results_of_recording ON results (recording);
CREATE TABLE IF NOT EXISTS shards (
    number INTEGER NOT NULL, split TEXT NOT NULL, content TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, clips INTEGER NOT NULL, PRIMARY KEY (number, split));
CREATE TABLE IF NOT EXISTS withdrawn_clips (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS source (kind TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS closed (number INTEGER PRIMARY KEY, chain TEXT NOT NULL, recordings INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS compared (
    number INTEGER PRIMARY KEY, chain TEXT NOT NULL, recording TEXT NOT NULL, kept TEXT NOT NULL,
    UNIQUE (chain, recording));
"""


@dataclass(frozen=True)
class StageResult:
    """What came of one record in one stage.

    Attributes:
        stage: Number of the stage in the build, from 0.
        record: The record that went in, by id.
        recording: Its recording.
        basis: Hash of all that the result depends on, see `basis_of`.
        status: "passed", "rejected" or "failed".
        reason: Code of a rejection, kind of a problem; empty otherwise.
        sentence: For people.
        numbers: What was measured.
        records: What goes on.
        attempts: How often it was tried.
        seconds: Of the last attempt.
    """

    stage: int
    record: str
    recording: str
    basis: str
    status: Status
    reason: str = ""
    sentence: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    attempts: int = 1
    seconds: float = 0.0


@dataclass(frozen=True)
class ShardRow:
    """A written shard: its number and split, a hash of the records in it, and its file."""

    number: int
    split: str
    content: str
    file: str
    sha256: str
    size: int
    clips: int


class BuildState:
    """The state of a build.

    Raises:
        ValueError: The file was made by another version of this program or is damaged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise ValueError(
                    f"{path} has version {version} and this program writes {_VERSION}; build into another folder"
                )
            self._database.executescript(_TABLES + f"PRAGMA user_version={_VERSION};")
        except sqlite3.DatabaseError as problem:
            raise ValueError(
                f"{path} cannot be read ({problem}); restore it, or build into another folder"
            ) from None

    def close(self) -> None:
        """Write everything to the one file and close it."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def keep_source(self, kind: str) -> None:
        """Note the kind of source that the recordings are from.

        Raises:
            ValueError: They are from another one.
        """
        row = self._database.execute("SELECT kind FROM source").fetchone()
        if row is None:
            self._database.execute("INSERT INTO source VALUES (?)", (kind,))
        elif row[0] != kind:
            raise ValueError(
                f"{self.path.parent} holds recordings of source {row[0]!r}, not {kind!r}; build into another folder"
            )

    def add_recordings(self, records: Iterable[Record]) -> int:
        """Give new recordings the next places; known ones keep theirs, whose facts are brought up to date.

        Returns:
            How many were new.

        Raises:
            ValueError: The source gives two recordings of one id.
        """
        before = self.recordings()
        seen: set[str] = set()
        with self._database:
            self._database.execute("BEGIN")
            for record in records:
                if record.id in seen:
                    raise ValueError(f"the source gives recording {record.id} twice; ids must be unique")
                seen.add(record.id)
                self._database.execute(
                    "INSERT INTO recordings (position, id, record) "
                    "VALUES ((SELECT COALESCE(MAX(position) + 1, 0) FROM recordings), ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET record = excluded.record",
                    (record.id, record.to_json()),
                )
        return self.recordings() - before

    def recordings(self) -> int:
        """Number of known recordings."""
        count: int = self._database.execute("SELECT COUNT(*) FROM recordings").fetchone()[0]
        return count

    def all_recordings(self) -> Iterator[tuple[int, Record]]:
        """Place and record of every recording that was not withdrawn, in order."""
        rows = self._database.execute(
            "SELECT position, record FROM recordings WHERE NOT withdrawn ORDER BY position"
        )
        for position, line in rows:
            yield position, Record.from_json(line)

    def recordings_at(self, first: int, count: int) -> list[Record]:
        """Recordings in `count` places from `first` on, without those that were withdrawn."""
        rows = self._database.execute(
            "SELECT record FROM recordings WHERE position >= ? AND position < ? AND NOT withdrawn "
            "ORDER BY position",
            (first, first + count),
        )
        return [Record.from_json(line) for (line,) in rows]

    def place_of(self, recording: str) -> int | None:
        """Place of a recording; None for an unknown one."""
        row = self._database.execute("SELECT position FROM recordings WHERE id = ?", (recording,)).fetchone()
        return None if row is None else int(row[0])

    def withdraw(self, recording: str) -> None:
        """Leave a recording out from now on; its place stays empty, so that no other recording moves."""
        with self._database:
            self._database.execute("BEGIN")
            self._database.execute("UPDATE recordings SET withdrawn = 1 WHERE id = ?", (recording,))
            self._database.execute("DELETE FROM results WHERE recording = ?", (recording,))

    def withdrawn(self) -> list[str]:
        """Ids of the recordings that were withdrawn."""
        rows = self._database.execute("SELECT id FROM recordings WHERE withdrawn ORDER BY position")
        return [name for (name,) in rows]

    def withdraw_clip(self, clip: str) -> None:
        """Leave one clip out from now on, and keep the rest of its recording."""
        self._database.execute("INSERT OR IGNORE INTO withdrawn_clips VALUES (?)", (clip,))

    def clip_is_withdrawn(self, clip: str) -> bool:
        """Whether a clip was withdrawn by itself."""
        row = self._database.execute("SELECT 1 FROM withdrawn_clips WHERE id = ?", (clip,)).fetchone()
        return row is not None

    def result(self, stage: int, record: str, basis: str) -> StageResult | None:
        """The result of a record in a stage, if there is one on the same basis."""
        row = self._database.execute(
            f"SELECT {_COLUMNS} FROM results WHERE stage = ? AND id = ? AND basis = ?", (stage, record, basis)
        ).fetchone()
        return None if row is None else _result(row)

    def results_of(self, recording: str) -> list[StageResult]:
        """All results of a recording and its clips, on whatever basis, by stage and id."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM results WHERE recording = ? ORDER BY stage, id", (recording,)
        )
        return [_result(row) for row in rows]

    def failures(self) -> list[StageResult]:
        """Everything that failed, on whatever basis, by stage and id."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM results WHERE status = 'failed' ORDER BY stage, id"
        )
        return [_result(row) for row in rows]

    def store(self, result: StageResult, kept: tuple[str, str] | None = None) -> None:
        """Commit a result; an earlier one of the same record and stage is replaced.

        Args:
            result: The result.
            kept: Chain of its stage, and what later recordings are compared with.
        """
        with self._database:
            self._database.execute("BEGIN")
            self._database.execute(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    result.stage,
                    result.record,
                    result.recording,
                    result.basis,
                    result.status,
                    result.reason,
                    result.sentence,
                    json.dumps(dict(result.numbers), sort_keys=True),
                    json.dumps([record.to_json() for record in result.records]),
                    result.attempts,
                    result.seconds,
                ),
            )
            if kept is not None:
                self._database.execute(
                    "INSERT INTO compared (chain, recording, kept) VALUES (?, ?, ?) "
                    "ON CONFLICT (chain, recording) DO UPDATE SET kept = excluded.kept",
                    (kept[0], result.recording, kept[1]),
                )

    def compared(self, chain: str) -> list[tuple[str, str]]:
        """Recordings that a comparing stage passed and what it kept of them, in the order of its decisions."""
        rows = self._database.execute(
            "SELECT recording, kept FROM compared WHERE chain = ? ORDER BY number", (chain,)
        )
        return rows.fetchall()

    def shard(self, number: int, split: str) -> ShardRow | None:
        """A written shard."""
        row = self._database.execute(
            "SELECT content, file, sha256, size, clips FROM shards WHERE number = ? AND split = ?",
            (number, split),
        ).fetchone()
        return None if row is None else ShardRow(number, split, *row)

    def shards(self) -> list[ShardRow]:
        """All written shards, by split and number."""
        rows = self._database.execute(
            "SELECT number, split, content, file, sha256, size, clips FROM shards ORDER BY split, number"
        )
        return [ShardRow(*row) for row in rows]

    def keep_shards(self, shards: Iterable[ShardRow]) -> None:
        """Have these shards and no others."""
        with self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM shards")
            self._insert_shards(shards)

    def _insert_shards(self, shards: Iterable[ShardRow]) -> None:
        self._database.executemany(
            "INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (row.number, row.split, row.content, row.file, row.sha256, row.size, row.clips)
                for row in shards
            ],
        )

    def close_group(self, number: int, chain: str, recordings: int, shards: Iterable[ShardRow]) -> None:
        """Note that a group of recordings is finished and packed; shards it had before and has no more are gone."""
        with self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM shards WHERE number = ?", (number,))
            self._insert_shards(shards)
            self._database.execute(
                "INSERT OR REPLACE INTO closed VALUES (?, ?, ?)", (number, chain, recordings)
            )

    def open_group(self, number: int) -> None:
        """A group has to be looked at again."""
        self._database.execute("DELETE FROM closed WHERE number = ?", (number,))

    def closed_groups(self, chain: str) -> dict[int, int]:
        """Finished groups under the present settings: number, and recordings that it had."""
        rows = self._database.execute("SELECT number, recordings FROM closed WHERE chain = ?", (chain,))
        return dict(rows.fetchall())

    def forget(self, result: StageResult) -> None:
        """Drop a result, so that its stage is done again."""
        self._database.execute(
            "DELETE FROM results WHERE stage = ? AND id = ?", (result.stage, result.record)
        )


def basis_of(chain: str, record: Record) -> str:
    """What a stage's result depends on: settings of the stages so far, and the record as it goes in."""
    return hashlib.sha256(f"{chain} {record.to_json()}".encode()).hexdigest()[:20]


def _result(row: tuple[Any, ...]) -> StageResult:
    stage, record, recording, basis, status, reason, sentence, numbers, records, attempts, seconds = row
    return StageResult(
        stage=stage,
        record=record,
        recording=recording,
        basis=basis,
        status=status,
        reason=reason,
        sentence=sentence,
        numbers=json.loads(numbers),
        records=tuple(Record.from_json(line) for line in json.loads(records)),
        attempts=attempts,
        seconds=seconds,
    )
