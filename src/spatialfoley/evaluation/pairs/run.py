"""Score the sounds of one or several systems against the truth, file by file, and write the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from spatialfoley.evaluation.pairs.cameras import Cameras
from spatialfoley.evaluation.pairs.clip_scoring import ClipScorer, ClipTask, Record, ScoringRules
from spatialfoley.evaluation.pairs.embeddings import EmbeddingStore, default_store_folder
from spatialfoley.evaluation.pairs.matching import Matching, SoundSource, listed, match, sound_files
from spatialfoley.evaluation.pairs.parallel import score_clips
from spatialfoley.evaluation.pairs.protocols import Protocol, protocol
from spatialfoley.evaluation.pairs.records import RecordLog, read_records, write_records
from spatialfoley.evaluation.pairs.store_size import LIMIT_GB, in_use, prune
from spatialfoley.evaluation.report.document import Report

if TYPE_CHECKING:
    from spatialfoley.evaluation.networks.listener import Listener
    from spatialfoley.evaluation.pairs.picture_scores import PictureScorer

_picture_scorers: dict[tuple[str, str], PictureScorer] = {}

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class PairSettings:
    """How pairs are scored.

    Attributes:
        protocol: "ours", "visage" or "visaudio" (see `protocols`).
        listeners: Networks that listen; None: those of the protocol; empty: none.
        cameras: Where the camera looks in each clip.
        restored: Systems whose clips were made for compressed video; "visaudio" only.
        partial: Score the ids that truth and system share, instead of refusing.
        store: Folder for embeddings; None: beside the downloaded models.
        store_limit_gb: Size of that folder after a run; what was not used for longest is deleted.
        videos: Folder of the clips' videos, for scores against the picture.
        picture_scorers: Of those, such as "synchformer" and "agreement:NAME".
        jobs: Processes.
        device: Where listeners run.
        exhibits: Worst and best clips of each system that the report shows.
    """

    protocol: str = "ours"
    listeners: tuple[str, ...] | None = None
    cameras: Cameras = field(default_factory=Cameras)
    restored: frozenset[str] = frozenset()
    partial: bool = False
    store: Path | None = None
    store_limit_gb: float = LIMIT_GB
    videos: Path | None = None
    picture_scorers: tuple[str, ...] = ()
    jobs: int = 1
    device: str = "cpu"
    exhibits: int = 2

    @property
    def rules(self) -> Protocol:
        """The protocol."""
        return protocol(self.protocol)

    @property
    def chosen_listeners(self) -> tuple[str, ...]:
        """Listeners by name."""
        return self.rules.listeners if self.listeners is None else self.listeners


@dataclass(frozen=True, eq=False)
class PairResult:
    """What a run found.

    Attributes:
        records: Of every pair, systems in their order, clips in theirs.
        matchings: Of each system.
        report: What was written.
        weights: Hash by listener or picture scorer.
    """

    records: tuple[Record, ...]
    matchings: Mapping[str, Matching]
    report: Report
    weights: Mapping[str, str]

    @property
    def scored(self) -> int:
        """Pairs with scores."""
        return sum("scores" in record for record in self.records)

    @property
    def failures(self) -> dict[str, str]:
        """Reason by "system/clip"."""
        return {
            f"{record['system']}/{record['clip']}": record["failure"]
            for record in self.records
            if "failure" in record
        }


def score_systems(
    systems: Sequence[SoundSource],
    truth: SoundSource,
    out: Path,
    settings: PairSettings | None = None,
    progress: Progress | None = None,
    show: Callable[[str], None] = print,
    command: str = "",
) -> PairResult:
    """Score every system against the truth, and write `scores.jsonl` and the report.

    Run again with the same files and settings it takes over what is done.

    Args:
        systems: What is scored.
        truth: The reference.
        out: Folder for the results.
        settings: How; None for our protocol, offline.
        progress: Called with a label and the fraction done.
        show: Gets licence lines of plug-ins, and a word where the store is too small for the run.
        command: What the user typed, for the report.

    Raises:
        ValueError: Names do not match, settings contradict, or weights are missing; one sentence.
    """
    from spatialfoley.evaluation.pairs.summary import pair_report
    from spatialfoley.evaluation.report.writing import write_report

    chosen = settings or PairSettings()
    matchings = {system.name: match(truth, system, chosen.partial) for system in systems}
    _check_settings(chosen, systems, matchings)
    weights = _weights(chosen, show)
    store = EmbeddingStore(chosen.store or default_store_folder())
    rules = ScoringRules(
        protocol=chosen.rules,
        layouts={
            source.name: source.layout
            for source in (*systems, SoundSource("truth", truth.path, truth.layout))
        },
        restored=chosen.restored,
        listeners={name: weights[name] for name in chosen.chosen_listeners},
        store=store,
        picture_scorers={name: weights[name] for name in chosen.picture_scorers},
    )
    with in_use(store.folder) if chosen.chosen_listeners else nullcontext(0.0) as began_s:
        tasks = _tasks(truth, matchings, chosen, read_records(out))
        records = _score(tasks, partial(_make_scorer, rules, chosen.device), chosen.jobs, out, progress)
        order = {name: index for index, name in enumerate(matchings)}
        records.sort(key=lambda record: (order[record["system"]], record["clip"]))
        write_records(out, records)
        if progress:
            progress("report", 0.95)
        report = pair_report(records, systems, truth, matchings, chosen, weights, store, command)
    write_report(report, out)
    if chosen.chosen_listeners:
        _limit(store, chosen.store_limit_gb, began_s, show)
    if progress:
        progress("report", 1.0)
    return PairResult(tuple(records), matchings, report, weights)


def available_jobs() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _score(
    tasks: Sequence[ClipTask],
    make_scorer: Callable[[], ClipScorer],
    jobs: int,
    out: Path,
    progress: Progress | None,
) -> list[Record]:
    """Records of all pairs, each written as soon as it is there."""
    records: list[Record] = []
    with RecordLog(out) as log:
        for done, found in enumerate(score_clips(tasks, make_scorer, jobs), start=1):
            log.add(found)
            records += found
            if progress:
                progress(f"clip {done} of {len(tasks)}", 0.95 * done / len(tasks))
    expected = sum(len(task.estimates) for task in tasks)
    if len(records) != expected:
        raise RuntimeError(f"{len(records)} records for {expected} pairs; a pair must not get lost")
    return records


def _limit(store: EmbeddingStore, limit_gb: float, began_s: float, show: Callable[[str], None]) -> None:
    """Bring the store to its size; say so where that takes what this run has just used."""
    pruned = prune(store.folder, limit_gb * 1e9)
    if pruned is not None and pruned.last_used_s is not None and pruned.last_used_s >= began_s:
        show(
            f"what listeners heard in this run takes more than the {limit_gb:g} GB kept in {store.folder}: another "
            "run makes a part of it anew; a higher limit keeps it"
        )


def _check_settings(
    settings: PairSettings, systems: Sequence[SoundSource], matchings: Mapping[str, Matching]
) -> None:
    names = [system.name for system in systems]
    if strangers := sorted(settings.restored - set(names)):
        raise ValueError(f"restored names {strangers[0]!r}; the systems are {', '.join(names)}")
    if settings.restored and settings.rules.duration_s is None:
        raise ValueError(
            f"protocol {settings.protocol!r} scores sound as it is; sound made for compressed video is "
            "restored by --protocol visaudio only"
        )
    if not settings.store_limit_gb >= 0:
        raise ValueError(
            f"store_limit_gb (--cache-gb) is {settings.store_limit_gb}; give 0 or more gigabytes"
        )
    if settings.exhibits < 0:
        raise ValueError(f"exhibits is {settings.exhibits}; give 0 or more clips")
    clips = sorted({name for matching in matchings.values() for name in matching.files})
    settings.cameras.require(clips)
    if settings.picture_scorers and settings.videos is None:
        raise ValueError("scores against the picture need the clips' videos; give their folder as --videos")
    if settings.videos is not None:
        from spatialfoley.evaluation.pairs.picture_scores import VIDEO_ENDINGS, video_of

        if not settings.videos.is_dir():
            raise ValueError(f"{settings.videos} is no folder; give that of the clips' videos")
        missing = [name for name in clips if video_of(settings.videos, name) is None]
        if missing and not settings.partial:
            raise ValueError(
                f"{settings.videos} has no video ({', '.join(VIDEO_ENDINGS)}) of {listed(missing)}; add "
                "them, or give --partial, which leaves their scores against the picture undefined"
            )


def _weights(settings: PairSettings, show: Callable[[str], None]) -> dict[str, str]:
    """Hashes of all networks, loaded once so that what is missing is said before any work."""
    found = {name: _listener(name, settings.device).weights_sha256 for name in settings.chosen_listeners}
    for name in settings.picture_scorers:
        found[name] = _picture_scorer(name, settings.device, show).weights_sha256
    return found


def _tasks(
    truth: SoundSource,
    matchings: Mapping[str, Matching],
    settings: PairSettings,
    known: Mapping[tuple[str, str], Record],
) -> list[ClipTask]:
    from spatialfoley.evaluation.pairs.picture_scores import video_of

    tasks = []
    for name, path in sound_files(truth).items():
        estimates = {
            system: matching.files[name] for system, matching in matchings.items() if name in matching.files
        }
        if estimates:
            tasks.append(
                ClipTask(
                    name=name,
                    truth=path,
                    estimates=estimates,
                    camera=settings.cameras.of(name),
                    video=video_of(settings.videos, name) if settings.videos else None,
                    known={system: known[system, name] for system in estimates if (system, name) in known},
                )
            )
    return tasks


def _say_nothing(line: str) -> None:
    """The licence was shown when the run began."""


def _make_scorer(rules: ScoringRules, device: str) -> ClipScorer:
    return ClipScorer(
        rules,
        partial(_listener, device=device),
        partial(_picture_scorer, device=device),
    )


@cache
def _listener(name: str, device: str) -> Listener:
    from spatialfoley.evaluation.networks.loading import load_listener

    return load_listener(name, device)


def _picture_scorer(name: str, device: str, show: Callable[[str], None] = _say_nothing) -> PictureScorer:
    """A scorer, loaded once; its licence is shown then."""
    from spatialfoley.evaluation.pairs.picture_scores import load_picture_scorer

    if (name, device) not in _picture_scorers:
        _picture_scorers[name, device] = load_picture_scorer(name, show, device)
    return _picture_scorers[name, device]
