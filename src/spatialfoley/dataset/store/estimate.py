"""How large features will be, before anything is computed; and whether the disk has room for them."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.store.clip_files import clip_duration_s
from spatialfoley.dataset.store.encoders import ENCODERS, Identity
from spatialfoley.dataset.store.fill import chunks_of, encoder_folder, read_description
from spatialfoley.dataset.store.layouts import Layout, total_bytes
from spatialfoley.dataset.store.packs import DESCRIPTION_FILE, read_head
from spatialfoley.dataset.store.settings import FeatureSettings

HEADS_SHARE = 0.02
"""Heads of packs, and what a disk rounds up, over the arrays alone."""

Durations = Mapping[float, int]
"""How many clips there are of each length in seconds."""


@dataclass(frozen=True)
class SizeRow:
    """Size of the features of one encoder.

    Attributes:
        encoder: Its name.
        arrays: Shapes for a clip, as text.
        per_clip: Bytes of a clip, the mean over all.
        total: Bytes of all clips.
        half: Bytes of all clips in 16 bits; codes and latents have one type only.
        full: Bytes of all clips in 32 bits.
    """

    encoder: str
    arrays: str
    per_clip: float
    total: int
    half: int
    full: int


def size_rows(names: Iterable[str], settings: FeatureSettings, durations: Durations) -> list[SizeRow]:
    """Sizes with the published weights, from shapes alone.

    Args:
        names: Of encoders.
        settings: As they shall be made.
        durations: Of the clips.
    """
    return [size_row(name, settings, durations) for name in names]


def other_pools(names: Iterable[str], settings: FeatureSettings, durations: Durations) -> list[SizeRow]:
    """What the same features would be with other pools, for those encoders that have any."""
    rows = []
    for name in names:
        for pool in (1, 2, 4) if "pool" in ENCODERS[name].settings else ():
            if pool != settings.pool:
                row = size_row(name, replace(settings, pool=pool), durations)
                rows.append(replace(row, encoder=f"{name} with --pool {pool}"))
    return rows


def size_row(name: str, settings: FeatureSettings, durations: Durations) -> SizeRow:
    """Size of one encoder's features."""
    published = ENCODERS[name].published
    total = _bytes_of(published(settings), durations)
    sizes = [_bytes_of(published(replace(settings, half=half)), durations) for half in (True, False)]
    return SizeRow(
        name, _shapes(published(settings), durations), total / sum(durations.values()), total, *sizes
    )


def _bytes_of(layout: Layout, durations: Durations) -> int:
    return sum(count * total_bytes(layout, duration_s) for duration_s, count in durations.items())


def _shapes(layout: Layout, durations: Durations) -> str:
    """Of the commonest length."""
    commonest = max(durations, key=lambda duration_s: durations[duration_s])
    arrays = layout.arrays(commonest)
    return ", ".join(
        f"{name} {'×'.join(map(str, array.shape))} {array.dtype}" for name, array in arrays.items()
    )


def durations_of(dataset: BuiltSet) -> Counter[float]:
    """Lengths of the clips of a built set.

    Raises:
        ValueError: A clip's length is not known.
    """
    return Counter(clip_duration_s(dataset[number].record) for number in range(len(dataset)))


def planned_durations(config: BuildConfig) -> Counter[float]:
    """Lengths of the clips that a build makes at most: screening leaves some out.

    Raises:
        ValueError: No stage cuts clips, or the source does not say how long its recordings are.
    """
    cutter = next((stage for spec in config.specs() if hasattr(stage := spec.load(), "clip_s")), None)
    if cutter is None:
        raise ValueError(
            "no stage of the build cuts clips; give their number with --clips and their length with --clip-s"
        )
    source = config.load_source()
    usual_s = getattr(source, "duration_s", None)
    clip_s = float(cutter.clip_s)
    hop_s = float(getattr(cutter, "hop_s", clip_s))
    count = 0
    for record in source.records():
        listed, length_s = record.facts.get("clips"), record.facts.get("duration_s", usual_s)
        if listed is not None:
            count += len(listed)
        elif length_s is not None:
            count += max(0, math.floor((float(length_s) - clip_s) / hop_s + 1e-6) + 1)
        else:
            raise ValueError(
                f"the source does not say how long recording {record.id} is; give the number of clips with --clips"
            )
    return Counter({clip_s: count})


def missing_bytes(root: Path, identity: Identity, layout: Layout) -> int:
    """Bytes that the features of an encoder still need in a built set.

    Args:
        root: The build folder.
        identity: Of the encoder.
        layout: Of its arrays.
    """
    dataset, folder = BuiltSet(root), encoder_folder(root, identity)
    if not (folder / DESCRIPTION_FILE).is_file():
        return _bytes_of(layout, durations_of(dataset))
    missing = 0
    for chunk in chunks_of(dataset, identity, folder, read_description(folder)["clips_per_pack"]):
        if not chunk.is_done(read_head(chunk.path), identity.basis, retry=False):
            missing += sum(total_bytes(layout, clip_duration_s(clip.record)) for clip in chunk.clips)
    return missing


def refuse_a_small_disk(root: Path, layouts: Sequence[tuple[Identity, Layout]]) -> int:
    """Check that all that is missing fits on the disk.

    Args:
        root: The build folder.
        layouts: Of all encoders.

    Returns:
        Bytes that will be written.

    Raises:
        ValueError: It does not fit; with the numbers.
    """
    needs = {}
    for identity, layout in layouts:
        needs[identity.name] = math.ceil(missing_bytes(root, identity, layout) * (1 + HEADS_SHARE))
    free, needed = shutil.disk_usage(root).free, sum(needs.values())
    if needed > free:
        largest = max(needs, key=lambda name: needs[name])
        raise ValueError(
            f"the features need {readable(needed)} more, {readable(needs[largest])} of it for {largest}, and "
            f"{root} has {readable(free)} free; free some, take fewer or smaller features, compute them in "
            "training without storing them, or say --no-disk-check"
        )
    return needed


def readable(count: float) -> str:
    """Bytes as people read them: powers of 1000, three digits."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.{max(0, 2 - int(math.log10(value)))}f} {unit}"
    return f"{count:.0f} B"
