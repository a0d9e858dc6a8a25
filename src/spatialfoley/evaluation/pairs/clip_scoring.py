"""One clip of the truth against every system that made sound for it.

What is known from an earlier run with the same bytes, settings and code is taken over: scores by
`record_key`, embeddings by `embeddings.embedding_key`. A file that cannot be scored becomes a record with the
reason; the others go on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatialfoley.evaluation.networks.listener import Listener
from spatialfoley.evaluation.pairs.embeddings import EmbeddingStore, code_sha256, embedding_key
from spatialfoley.evaluation.pairs.layouts import FileLayout
from spatialfoley.evaluation.pairs.pair import Pair, SoundFile
from spatialfoley.evaluation.pairs.protocols import Protocol
from spatialfoley.evaluation.pairs.views import channels_to_hear
from spatialfoley.spatial.direction import Direction

if TYPE_CHECKING:
    # Brings torch, which a process that finds everything in the store need not load.
    from spatialfoley.evaluation.pairs.picture_scores import PictureScorer

Record = dict[str, Any]
"""What is kept of a pair: system, clip, and either scores with all they depend on, or why there are none."""

SCORING_CODE = ("evaluation/metrics", "evaluation/pairs", "media/audio.py", "resources", "spatial")
"""What a score depends on besides files and settings; records of other code are not taken over."""


@dataclass(frozen=True)
class ClipTask:
    """One clip to score.

    Attributes:
        name: Id of the clip.
        truth: File of the truth.
        estimates: File of each system that has one.
        camera: Where the camera looks.
        video: The clip's video, for synchrony; None without.
        known: Record of an earlier run, by system.
    """

    name: str
    truth: Path
    estimates: Mapping[str, Path]
    camera: Direction
    video: Path | None = None
    known: Mapping[str, Record] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoringRules:
    """What holds for all clips.

    Attributes:
        protocol: Lengths, rates and views.
        layouts: Of the files, by system; "truth" is the reference.
        restored: Systems whose clips were made for compressed video and are stretched back.
        listeners: Hash of the weights of each listener, by name.
        store: Where embeddings are kept.
        picture_scorers: Hash of the weights of each scorer of picture and sound, by name.
    """

    protocol: Protocol
    layouts: Mapping[str, FileLayout]
    restored: frozenset[str] = frozenset()
    listeners: Mapping[str, str] = field(default_factory=dict)
    store: EmbeddingStore | None = None
    picture_scorers: Mapping[str, str] = field(default_factory=dict)


class ClipScorer:
    """Scores clips by one set of rules.

    Args:
        rules: What holds for all clips.
        listener: Gives the listener of a name; asked only when an embedding is not in the store.
        picture_scorer: Gives the scorer of picture and sound of a name.
    """

    def __init__(
        self,
        rules: ScoringRules,
        listener: Callable[[str], Listener],
        picture_scorer: Callable[[str], PictureScorer],
    ) -> None:
        self.rules, self._listener, self._picture_scorer = rules, listener, picture_scorer

    def score(self, task: ClipTask) -> list[Record]:
        """Records of all systems of a clip."""
        truth = SoundFile(task.truth, self.rules.layouts["truth"])
        video_sha256 = (
            SoundFile(task.video, "auto").sha256 if task.video and self.rules.picture_scorers else ""
        )
        records = []
        for system, path in task.estimates.items():
            estimate = SoundFile(path, self.rules.layouts[system])
            identity = {"system": system, "clip": task.name}
            try:
                key = self._record_key(task, truth, estimate, system, video_sha256)
                known = task.known.get(system, {})
                if known.get("key") == key and self._still_heard(known):
                    records.append(dict(known))
                    continue
                pair = Pair(
                    self.rules.protocol, task.camera, truth, estimate, restored=system in self.rules.restored
                )
                record: Record = identity | {"key": key} | pair.record()
                record["heard"] = {name: self._hear(pair, name) for name in self.rules.listeners}
                self._look(task, pair, record)
                records.append(record)
            except (ValueError, OSError) as problem:
                records.append(identity | {"failure": str(problem)})
        return records

    def _record_key(
        self, task: ClipTask, truth: SoundFile, estimate: SoundFile, system: str, video_sha256: str
    ) -> str:
        rules = self.rules
        facts = {
            "files": [truth.sha256, estimate.sha256, video_sha256],
            "names": [truth.path.name, estimate.path.name],
            "layouts": [truth.layout, estimate.layout],
            "protocol": asdict(rules.protocol),
            "camera": asdict(task.camera),
            "restored": system in rules.restored,
            "listeners": dict(rules.listeners),
            "picture_scorers": dict(rules.picture_scorers),
            "code": code_sha256(SCORING_CODE),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _still_heard(self, record: Record) -> bool:
        """Whether the store still has every embedding of a record."""
        store = self.rules.store
        return all(
            store is not None and store.read(key, channels) is not None
            for heard in record["heard"].values()
            for key, channels in heard.values()
        )

    def _look(self, task: ClipTask, pair: Pair, record: Record) -> None:
        """Add scores against the picture; a clip for which one is not defined says why, and keeps its "
        "others."""
        for name in self.rules.picture_scorers:
            scorer = self._picture_scorer(name)
            reason = "its sound is silent" if record["silent"] else "there is no video of it"
            score = None
            if task.video is not None and not record["silent"]:
                try:
                    score = scorer(task.video, pair.mono_at_own_rate())
                except ValueError as problem:
                    reason = str(problem)
            record["scores"][scorer.key] = score
            if score is None:
                record["undefined"][scorer.key] = reason

    def _hear(self, pair: Pair, name: str) -> dict[str, list[Any]]:
        """Have a listener hear both sounds of a pair; key and channels in the store, by role."""
        store, weights_sha256 = self.rules.store, self.rules.listeners[name]
        if store is None:
            raise ValueError("store is None; listeners need a folder for what they hear")
        places: dict[str, list[Any]] = {}
        for role, file, hearing in pair.hearings():
            key = embedding_key(file.sha256, name, weights_sha256, hearing)
            if store.read(key, hearing.channels) is None:
                sounds, rate_hz = channels_to_hear(file.sound, hearing)
                try:
                    heard = self._listener(name).hear(sounds, rate_hz)
                except ValueError as problem:
                    raise ValueError(f"{file.path}: {problem}") from problem
                store.write(key, hearing.channels, heard)
            places[role] = [key, list(hearing.channels)]
        return places
