"""Features added to a built set: pack by pack, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from spatialfoley.dataset.factory.lock import build_lock
from spatialfoley.dataset.factory.reader import BuiltSet, Clip
from spatialfoley.dataset.store.clip_files import clip_duration_s, opened
from spatialfoley.dataset.store.encoders import Encoder, Identity
from spatialfoley.dataset.store.layouts import total_bytes
from spatialfoley.dataset.store.packs import (
    DESCRIPTION_FILE,
    FAILED_FILE,
    FOLDER,
    FailedClip,
    PackHead,
    all_packs,
    clips_per_pack,
    pack_path,
    packs_of,
    read_clip,
    read_head,
    write_pack,
)
from spatialfoley.media.atomic import atomic_path

Report = Callable[[str, float], None]


@dataclass
class Filled:
    """What a run left of one encoder.

    Attributes:
        encoder: Its name.
        made: Clips encoded now.
        kept: Clips whose features were there.
        failed: Clips that could not be encoded, now or before, by kind.
        bytes: Of all its packs.
    """

    encoder: str
    made: int = 0
    kept: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    bytes: int = 0


@dataclass(frozen=True)
class Chunk:
    """Clips of a shard that share a pack, and the pack's place."""

    path: Path
    clips: tuple[Clip, ...]
    keys: dict[str, str]

    def is_done(self, head: PackHead | None, basis: str, retry: bool) -> bool:
        """Whether the pack holds just these clips of this content."""
        if head is None or head.basis != basis or head.keys() != self.keys:
            return False
        return not (retry and head.failed)


def encoder_folder(root: Path, identity: Identity) -> Path:
    """Where the features of an encoder with its weights and settings lie."""
    return root / FOLDER / identity.name / identity.basis


def chunks_of(
    dataset: BuiltSet, identity: Identity, folder: Path, per_pack: int, part: tuple[int, int] = (1, 1)
) -> Iterator[Chunk]:
    """All packs that a set shall have, in its order.

    Args:
        dataset: The set, all splits.
        identity: Of the encoder.
        folder: Of its packs.
        per_pack: Clips of a pack.
        part: Number of a part and how many there are: every so manieth shard.
    """
    for shard, row in enumerate(dataset.shards):
        if shard % part[1] != part[0] - 1:
            continue
        for number, first in enumerate(range(0, row.clips, per_pack)):
            last = min(first + per_pack, row.clips)
            clips = tuple(dataset.clip(shard, place) for place in range(first, last))
            keys = {clip.id: identity.key(clip.record) for clip in clips}
            yield Chunk(pack_path(folder, row.shard, number), clips, keys)


def add_features(
    root: Path,
    identity: Identity,
    encoder: Encoder,
    report: Report = lambda label, fraction: None,
    retry: bool = False,
    part: tuple[int, int] = (1, 1),
    workers: int = 1,
) -> Filled:
    """Encode all clips of a set that are not stored yet.

    Args:
        root: The build folder.
        identity: Of the encoder.
        encoder: The same, loaded.
        report: Told the progress.
        retry: Try again what failed before.
        part: As for `chunks_of`; several machines each take a part.
        workers: Threads, so that a GPU need not wait for pictures to be decoded.

    Raises:
        ValueError: The set is no built one, or another run works on the same part.
        MediaError: The folder cannot be written.
    """
    check_part(part)
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    dataset = BuiltSet(root)
    folder = encoder_folder(root, identity)
    lock = folder / ".locks" / f"{part[0]}-of-{part[1]}"
    lock.mkdir(parents=True, exist_ok=True)
    with build_lock(lock):
        per_pack = _keep_description(folder, identity, encoder, dataset)
        filled, done = Filled(identity.name), 0
        expected: set[Path] = set()
        for chunk in chunks_of(dataset, identity, folder, per_pack, part):
            report(f"{identity.name}: {done}/{len(dataset)} clips", done / len(dataset))
            _fill(chunk, identity, encoder, retry, filled, workers)
            expected.add(chunk.path)
            done += len(chunk.clips) * part[1]
        if part == (1, 1):
            _drop_the_rest(folder, expected)
        _write_failed(folder)
    return filled


def check_part(part: tuple[int, int]) -> None:
    """Raise ValueError unless it is a part such as 2 of 4."""
    if not 1 <= part[0] <= part[1]:
        raise ValueError(f"part is {part[0]}/{part[1]}; give 1/4 to 4/4 for four machines")


def _keep_description(folder: Path, identity: Identity, encoder: Encoder, dataset: BuiltSet) -> int:
    """Note what the folder holds, once; returns the clips of a pack."""
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        duration_s = clip_duration_s(dataset[0].record)
        arrays = encoder.layout.arrays(duration_s)
        document = {
            **identity.describe(),
            "basis": identity.basis,
            "clips_per_pack": clips_per_pack(total_bytes(encoder.layout, duration_s)),
            "arrays_of_first_clip": {name: [list(a.shape), a.dtype] for name, a in arrays.items()},
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    count: int = read_description(folder)["clips_per_pack"]
    return count


def read_description(folder: Path) -> dict[str, Any]:
    """What a folder of packs holds.

    Raises:
        ValueError: It does not say so.
    """
    path = folder / DESCRIPTION_FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {"encoder", "basis", "settings", "weights_sha256", "clips_per_pack"} <= set(document):
            return document
    except (OSError, ValueError, TypeError):
        pass
    raise ValueError(f"{path} is missing or damaged; delete its folder and add the features again")


def _fill(
    chunk: Chunk, identity: Identity, encoder: Encoder, retry: bool, filled: Filled, workers: int
) -> None:
    """Make a pack, unless it is there; clips that another pack of the shard holds are taken from it."""
    head = read_head(chunk.path)
    if head is None or not chunk.is_done(head, identity.basis, retry):
        stored = _stored_clips(chunk, identity.basis)
        made = {clip: (chunk.keys[clip], arrays) for clip, arrays in stored.items()}
        failed = {} if retry else _failed_before(head, chunk, identity.basis)
        open_ = [clip for clip in chunk.clips if clip.id not in made and clip.id not in failed]
        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(partial(_encoded, identity, encoder), open_))
        for clip, result in zip(open_, results, strict=True):
            if isinstance(result, FailedClip):
                failed[clip.id] = result
            else:
                made[clip.id] = (chunk.keys[clip.id], result)
        head = write_pack(chunk.path, identity.basis, made, failed)
        filled.made += len(made) - len(stored)
        filled.kept += len(stored)
    else:
        filled.kept += len(head.clips)
    filled.failed.update(entry.kind for entry in head.failed.values())
    filled.bytes += chunk.path.stat().st_size


def _encoded(identity: Identity, encoder: Encoder, clip: Clip) -> dict[str, Tensor] | FailedClip:
    try:
        with opened(clip, identity.roles(clip.record)) as files:
            return encoder(files)
    except (ValueError, OSError, RuntimeError, MemoryError) as problem:
        sentence = " ".join(str(problem).split()) or type(problem).__name__
        return FailedClip(identity.key(clip.record), type(problem).__name__, sentence)


def _failed_before(head: PackHead | None, chunk: Chunk, basis: str) -> dict[str, FailedClip]:
    """Clips of a chunk that an earlier run could not encode, and that have not changed since."""
    if head is None or head.basis != basis:
        return {}
    return {clip: entry for clip, entry in head.failed.items() if chunk.keys.get(clip) == entry.key}


def _stored_clips(chunk: Chunk, basis: str) -> dict[str, dict[str, Tensor]]:
    """Arrays of clips of a chunk that are in some pack of its shard: of a set that has grown, most of them."""
    stored = {}
    shard = chunk.clips[0].shard.name
    for path in packs_of(chunk.path.parent, shard):
        head = read_head(path)
        if head is None or head.basis != basis:
            continue
        for clip, entry in head.clips.items():
            if chunk.keys.get(clip) == entry.key:
                stored[clip] = read_clip(path, clip, entry)
    return stored


def _drop_the_rest(folder: Path, expected: set[Path]) -> None:
    """Packs of shards that are gone, and what killed runs left half made."""
    for path in (*all_packs(folder), *folder.glob(".*.partial*")):
        if path not in expected:
            path.unlink(missing_ok=True)


def _write_failed(folder: Path) -> None:
    """The list of all clips that could not be encoded; none when there is none."""
    lines = []
    for path in all_packs(folder):
        head = read_head(path)
        for clip, entry in sorted(head.failed.items()) if head else ():
            document = {"id": clip, "kind": entry.kind, "sentence": entry.sentence}
            lines.append(json.dumps(document, ensure_ascii=False) + "\n")
    target = folder / FAILED_FILE
    if not lines:
        target.unlink(missing_ok=True)
        return
    with atomic_path(target) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
