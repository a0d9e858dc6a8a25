"""Whether stored features are those of the clips that the set holds and of the weights that are on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.store.encoders import Identity, identify
from spatialfoley.dataset.store.fill import encoder_folder
from spatialfoley.dataset.store.packs import PackHead, all_packs, arrays_sha256, read_clip, read_head
from spatialfoley.dataset.store.reader import outdated_folders, stored_identities

WeightsState = Literal["same", "others", "absent", "outdated"]


@dataclass
class Checked:
    """What was found of one encoder's features.

    Attributes:
        encoder: Its name.
        basis: Of its folder.
        weights: Whether those on this machine are the "same", "others" or "absent"; "outdated" for features
            that this program makes otherwise now, which training does not see.
        current: Clips whose features are of their present content.
        stale: Clips whose features are of another content.
        missing: Clips without features.
        failed: Clips that could not be encoded.
        strangers: Stored clips that the set does not hold.
        damaged: Files and clips that cannot be read, or have other bytes than when they were written.
    """

    encoder: str
    basis: str
    weights: WeightsState
    current: int = 0
    stale: int = 0
    missing: int = 0
    failed: int = 0
    strangers: int = 0
    damaged: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether training may rely on them; that the weights are not here is no fault."""
        wrong = self.stale or self.missing or self.failed or self.strangers or self.damaged
        return not wrong and self.weights in ("same", "absent")


def check_features(
    root: Path,
    deep: bool = False,
    given: Mapping[str, Path] | None = None,
    report: Callable[[str, float], None] = lambda label, fraction: None,
) -> list[Checked]:
    """Check all features of a set.

    Args:
        root: The build folder.
        deep: Read every array too, and compare its checksum.
        given: Weights of encoders by name, instead of those in the usual places.
        report: Told the progress.

    Raises:
        ValueError: The set is no built one, or a folder does not say what it holds.
    """
    dataset = BuiltSet(root)
    identities = stored_identities(root)
    records = [dataset[number].record for number in range(len(dataset))] if identities else []
    found = []
    for number, identity in enumerate(identities):
        keys = {record.id: identity.key(record) for record in records}
        part = (number / len(identities), 1 / len(identities))
        found.append(_check(root, identity, keys, deep, given, part, report))
    found += [Checked(folder.parent.name, folder.name, "outdated") for folder in outdated_folders(root)]
    return found


def _check(
    root: Path,
    identity: Identity,
    keys: Mapping[str, str],
    deep: bool,
    given: Mapping[str, Path] | None,
    part: tuple[float, float],
    report: Callable[[str, float], None],
) -> Checked:
    result = Checked(identity.name, identity.basis, _weights_state(identity, given))
    seen: set[str] = set()
    packs = all_packs(encoder_folder(root, identity))
    for number, path in enumerate(packs):
        report(f"{identity.name}: {path.name}", part[0] + part[1] * number / len(packs))
        head = read_head(path)
        if head is None or head.basis != identity.basis:
            result.damaged += (path.name,)
            continue
        _count(result, head, keys, seen)
        if deep:
            result.damaged += tuple(_other_bytes(path, head))
    result.missing = len(keys) - len(seen)
    return result


def _count(result: Checked, head: PackHead, keys: Mapping[str, str], seen: set[str]) -> None:
    for clip, key in head.keys().items():
        if clip not in keys or clip in seen:
            result.strangers += 1
            continue
        seen.add(clip)
        if key != keys[clip]:
            result.stale += 1
        elif clip in head.failed:
            result.failed += 1
        else:
            result.current += 1


def _other_bytes(path: Path, head: PackHead) -> list[str]:
    """Clips of a pack whose arrays are not those that were written."""
    wrong = []
    for clip, entry in head.clips.items():
        try:
            if arrays_sha256(read_clip(path, clip, entry)) == entry.sha256:
                continue
        except ValueError:
            pass
        wrong.append(f"{path.name}: {clip}")
    return wrong


def _weights_state(identity: Identity, given: Mapping[str, Path] | None) -> WeightsState:
    here = identify(identity.name, identity.settings, given)
    if here.path is None:
        return "absent"
    return "same" if here.weights_sha256 == identity.weights_sha256 else "others"
