"""Published lists of clips of YouTube, gathered by recording: each is fetched once, however many clips it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.config import SPLITS
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.fetching.lists import ListedClip, read_clips

Details = Callable[[ListedClip], Mapping[str, Any]]
"""What else is known of a clip."""


def recordings_of(lists: Mapping[str, Path], details: Details, facts: Mapping[str, Any]) -> Iterator[Record]:
    """One record for every recording of some lists, in the order in which they name it first.

    Its fact "clips" holds the start_s, split and name of every clip, and what `details` adds. The recording has the
    split of its clips; where they are in several, it has none and only they do.

    Args:
        lists: A list for each split.
        details: Of a clip.
        facts: Of all recordings.

    Raises:
        ValueError: A list cannot be read or names a clip twice.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    places: dict[str, str] = {}
    for split, path in lists.items():
        for clip in read_clips(path):
            place = f"{path.name}, line {clip.line}"
            if clip.name in places:
                raise ValueError(f"{path}, line {clip.line}: {clip.name} is in {places[clip.name]} already")
            places[clip.name] = place
            entry = {"start_s": clip.start_s, "split": split, "listed_as": clip.name, **details(clip)}
            found.setdefault(clip.video, []).append(entry)
    for video, clips in found.items():
        splits = {clip["split"] for clip in clips}
        one = {"split": splits.pop()} if len(splits) == 1 else {}
        name = f"yt-{video}"
        yield Record(name, name, facts={**facts, "video": video, **one, "clips": clips})


def wanted_lists(folder: Path, splits: Iterable[str], names: Mapping[str, str]) -> dict[str, Path]:
    """The list of every split that is wanted.

    Args:
        folder: Where they lie.
        splits: Which.
        names: Name of each split's list.

    Raises:
        ValueError: A split is unknown, or none is wanted.
    """
    chosen = {}
    for split in splits:
        if split not in names:
            raise ValueError(f"splits holds {split!r}; the lists are for {', '.join(names)}")
        chosen[split] = folder / names[split]
    if not chosen:
        raise ValueError(
            f"splits is empty; give some of {', '.join(name for name in SPLITS if name in names)}"
        )
    return chosen
