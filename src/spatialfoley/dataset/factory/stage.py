"""What a stage is: one record in, records or a reason out.

A stage is a frozen dataclass of settings in a file of its own under ``dataset/stages``, which names it ``STAGE``:

    @dataclass(frozen=True)
    class Loud:
        '''Keeps what is loud.'''

        version: ClassVar[int] = 1          # raised when its results change: what it made is made again
        least_db: float = -40.0

        def run(self, record: Record, space: Workspace) -> Outcome:
            level_db = measure(space.path(record.file("sound")))
            if level_db < self.least_db:
                return Rejected("quiet", f"its level is {level_db:.1f} dB", {"level_db": level_db})
            return Passed((record.with_(facts={"level_db": level_db}),))

    STAGE = Loud

Its result depends on the record and the settings only; what is drawn, is drawn from `seed_of`. It runs in a process
of its own; a crash, a time-out or an exception costs the record, not the build. A stage whose result depends on
earlier recordings too has two more methods, see ``factory/comparing.py``.
"""

from __future__ import annotations

import hashlib
import os
import pkgutil
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.settings import from_mapping

TransientKind = Literal["network", "rate", "memory", "disk"]
PermanentKind = Literal["private", "geo", "format", "corrupt", "missing", "crash", "time", "bug"]


@dataclass(frozen=True)
class Passed:
    """The record goes on, changed or cut into several; none at all is allowed."""

    records: tuple[Record, ...]


@dataclass(frozen=True)
class Rejected:
    """The record is left out.

    Attributes:
        reason: Short code that the funnel counts, such as "silent".
        sentence: What was found, for people.
        numbers: What was measured.
    """

    reason: str
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


Outcome = Passed | Rejected


class TransientProblem(Exception):  # noqa: N818 - a matter of the world, not of the program
    """May go away by itself: tried again with growing pauses, and by the next run."""

    def __init__(self, kind: TransientKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class ItemProblem(Exception):  # noqa: N818
    """Will not go away by itself: recorded, and tried again only when asked to."""

    def __init__(self, kind: PermanentKind, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def reference(file: Path, name: str | None = None) -> FileRef:
    """The reference of a file that lies outside the build, or of one that will be known as `name`.

    Raises:
        OSError: It cannot be read.
    """
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return FileRef(name or file.resolve().as_posix(), digest, file.stat().st_size)


class NewFile:
    """A file being made: write to `path`; `ref` is there when the block has ended well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ref: FileRef | None = None

    @property
    def ref(self) -> FileRef:
        """The finished file."""
        if self._ref is None:
            raise ValueError(f"{self.path.name} is not finished; ask for its ref after the block")
        return self._ref


@dataclass(frozen=True)
class Workspace:
    """Files of one stage of a build.

    Attributes:
        root: The build folder.
        stage: Name of the stage's folder under ``work``.
    """

    root: Path
    stage: str

    def path(self, ref: FileRef) -> Path:
        """Where a file lies."""
        return self.root / ref.path

    @contextmanager
    def new_file(self, record_id: str, role: str, suffix: str) -> Iterator[NewFile]:
        """Make a file: whole under its name when the block ends, not there when it fails or is killed.

        Args:
            record_id: Record that it belongs to.
            role: Its role.
            suffix: Ending with its dot.
        """
        shelf = hashlib.sha256(record_id.encode()).hexdigest()[:2]
        target = self.root / "work" / self.stage / shelf / f"{record_id}.{role}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(6)}.partial{suffix}")
        new = NewFile(temporary)
        try:
            yield new
            ref = reference(temporary, target.relative_to(self.root).as_posix())
            os.replace(temporary, target)  # noqa: PTH105 - replaces an existing file on every platform
        finally:
            temporary.unlink(missing_ok=True)
        new.path = target
        new._ref = ref


class Stage(Protocol):
    """A stage: see the head of this file."""

    version: ClassVar[int]

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Do the stage's work.

        Raises:
            TransientProblem, ItemProblem: It cannot be done.
        """


class Source(Protocol):
    """Where recordings come from; a frozen dataclass of settings in a file under ``dataset/sources``, ``SOURCE``.

    A source whose recordings have to be brought here first also has ``fetch(record, space) -> Outcome``; it is the
    build's first stage then. With ``fetch_depends_on()`` it names the settings that change what is fetched; without
    it, all do, and a list that has grown fetches everything anew.
    """

    version: ClassVar[int]

    def records(self) -> Iterator[Record]:
        """All recordings in an order that does not change; cheap: nothing is downloaded."""


@dataclass(frozen=True)
class FetchStage:
    """A source's `fetch` as the first stage."""

    source: Any
    version: ClassVar[int] = 1

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Bring the recording here."""
        outcome: Outcome = self.source.fetch(record, space)
        return outcome


def load_stage(name: str, settings: Mapping[str, Any]) -> Stage:
    """The stage of a name with its settings.

    Raises:
        ValueError: No stage has the name, or a setting is unknown or impossible.
    """
    stage: Stage = from_mapping(_find("stages", name, "STAGE"), settings, f"stage {name}")
    return stage


def load_source(name: str, settings: Mapping[str, Any]) -> Source:
    """The source of a name with its settings.

    Raises:
        ValueError: No source has the name, or a setting is unknown or impossible.
    """
    source: Source = from_mapping(_find("sources", name, "SOURCE"), settings, f"source {name}")
    return source


def names_of(kind: Literal["stages", "sources"]) -> tuple[str, ...]:
    """All stages or sources that are installed."""
    package = import_module(f"spatialfoley.dataset.{kind}")
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name[0] != "_")
    )


def _find(kind: Literal["stages", "sources"], name: str, attribute: str) -> type:
    # Modules are looked up by name: adding a stage is adding its file. A name with dots is a module of the user's.
    known = names_of(kind)
    if "." not in name and name not in known:
        raise ValueError(
            f"{kind[:-1]} is {name!r}; known are {', '.join(known)}, or give the full name of a module of yours"
        )
    try:
        module = import_module(name if "." in name else f"spatialfoley.dataset.{kind}.{name}")
    except ModuleNotFoundError as problem:
        raise ValueError(f"{kind[:-1]} {name!r} cannot be imported: {problem}") from None
    found: type | None = getattr(module, attribute, None)
    if found is None:
        raise ValueError(f"{name!r} is no {kind[:-1]}: its module does not define {attribute}")
    return found


def seed_of(*parts: object) -> int:
    """A seed of 63 bits from names and numbers: the same in every run and on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
