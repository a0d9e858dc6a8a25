"""Which file is scored against which: sounds of one id, found by their names.

The id of a file is its name without a known ending: `street.foa.wav`, `street.binaural.wav` and `street.wav`
are all "street". Nothing is left out in silence: ids that one side lacks are an error that lists them, or,
where a partial comparison is asked for, a list in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spatialfoley.evaluation.pairs.layouts import FileLayout, check_layout, file_layouts

SOUND_ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aif", ".aiff")
LAYOUT_ENDINGS: dict[str, FileLayout] = {".foa": "foa", ".binaural": "binaural"}
"""What may stand before the ending of a sound file and says its layout."""

LISTED = 20
"""Names in an error; the rest are counted."""


@dataclass(frozen=True)
class SoundSource:
    """The sounds of one system, or the truth.

    Attributes:
        name: For tables; for the truth "truth".
        path: A folder of sound files (its own files, not those of folders inside), or one file.
        layout: What the channels of its files mean; "auto" reads it from each file.
    """

    name: str
    path: Path
    layout: FileLayout = "auto"

    def __post_init__(self) -> None:
        check_layout(self.layout, f"layout of {self.name}")
        if not self.path.exists():
            raise ValueError(f"{self.path} does not exist; give a folder of sound files, or one file")


@dataclass(frozen=True)
class Matching:
    """Pairs of one system.

    Attributes:
        files: Generated file by id, ids that the truth has too, in order.
        missing: Ids of the truth without a generated file.
        extra: Ids of generated files without a truth.
    """

    files: dict[str, Path]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def parse_source(text: str, default_layout: FileLayout = "auto", name: str | None = None) -> SoundSource:
    """Read ``[NAME=]PATH[:LAYOUT]``.

    Args:
        text: As a person writes it; a path that exists as it stands is taken as it stands.
        default_layout: Where the text gives none.
        name: Where the text gives none; None takes the name of the folder, or of the file without its ending.

    Raises:
        ValueError: The path does not exist, or the layout is unknown.
    """
    given, layout = None, default_layout
    if not Path(text).exists():
        head, mark, tail = text.rpartition(":")
        if mark and tail in file_layouts():
            text, layout = head, check_layout(tail, "layout")
        elif mark and Path(head.partition("=")[2] or head).exists():
            check_layout(tail, f"layout of {head}")
        label, mark, rest = text.partition("=")
        if mark and not Path(text).exists():
            if not label:
                raise ValueError(f"{text!r} has no name before '='; write NAME=PATH")
            given, text = label, rest
    path = Path(text)
    return SoundSource(given or name or _plain_name(path), path, layout)


def parse_sources(texts: Sequence[str], default_layout: FileLayout = "auto") -> tuple[SoundSource, ...]:
    """Systems to score, each under a name of its own.

    Raises:
        ValueError: None is given, one does not exist, or two have one name.
    """
    sources = tuple(parse_source(text, default_layout) for text in texts)
    if not sources:
        raise ValueError("no generated sound is given; give a folder or a file, or several as NAME=PATH")
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"two systems are called {name!r}; name them: NAME={sources[names.index(name)].path}"
            )
        if name == "truth":
            raise ValueError(
                "a system is called 'truth', which is the name of the reference; choose another name"
            )
    return sources


def sound_files(source: SoundSource) -> dict[str, Path]:
    """Sound files of a source by id, in order of their ids.

    Of `a.foa.wav` and `a.binaural.wav` in one folder the layout of the source decides; "auto" takes the
    field, from which ears can be rendered.

    Raises:
        ValueError: There is no sound file, or two files have one id.
    """
    if source.path.is_file():
        return {_plain_name(source.path): source.path}
    skipped = ".foa" if source.layout in ("stereo", "binaural") else ".binaural"
    chosen: dict[str, Path] = {}
    twins: dict[str, Path] = {}
    for path in sorted(source.path.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SOUND_ENDINGS:
            continue
        kept = twins if path.name.lower().removesuffix(path.suffix.lower()).endswith(skipped) else chosen
        name = _plain_name(path)
        if name in kept:
            raise ValueError(
                f"{kept[name]} and {path.name} are both {name!r}; keep one file for each name in a folder"
            )
        kept[name] = path
    found = chosen if source.layout != "auto" else {**twins, **chosen}
    if not found:
        raise ValueError(
            f"{source.path} holds no sound file ({', '.join(SOUND_ENDINGS)}) of layout {source.layout}; give "
            "another folder or layout"
        )
    return dict(sorted(found.items()))


def match(truth: SoundSource, system: SoundSource, partial: bool = False) -> Matching:
    """Pair the files of a system with the truth; two single files are a pair whatever they are called.

    Args:
        truth: The reference.
        system: What is scored.
        partial: Take the ids that both have, and tell the rest in the result.

    Raises:
        ValueError: The ids differ (unless `partial`), or none is in both.
    """
    theirs, ours = sound_files(truth), sound_files(system)
    if truth.path.is_file() and system.path.is_file():
        return Matching({next(iter(theirs)): next(iter(ours.values()))})
    missing = tuple(name for name in theirs if name not in ours)
    extra = tuple(name for name in ours if name not in theirs)
    common = {name: path for name, path in ours.items() if name in theirs}
    if not common:
        raise ValueError(
            f"no name is in both {system.path} ({len(ours)} sound files, such as {next(iter(ours))!r}) and "
            f"{truth.path} ({len(theirs)}, such as {next(iter(theirs))!r}); a pair has the same name up to "
            "its ending"
        )
    if (missing or extra) and not partial:
        gaps = [f"lacks {listed(missing)}"] if missing else []
        gaps += [f"has without a truth {listed(extra)}"] if extra else []
        raise ValueError(
            f"{system.path} and {truth.path} differ: {system.name} {' and '.join(gaps)}; make them alike, or "
            f"give --partial to score the {len(common)} in both"
        )
    return Matching(common, missing, extra)


def listed(names: Iterable[str]) -> str:
    """ "3 (a, b, c)", and after twenty names how many more there are."""
    known = list(names)
    more = f", and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"{len(known)} ({', '.join(known[:LISTED])}{more})"


def _plain_name(path: Path) -> str:
    name = path.name
    if path.suffix.lower() in SOUND_ENDINGS:
        name = name[: -len(path.suffix)]
    for ending in LAYOUT_ENDINGS:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name or path.resolve().name
