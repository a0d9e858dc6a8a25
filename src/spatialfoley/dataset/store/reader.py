"""Features of a clip for training: read from packs, read from the clip's shard, or computed where they are wanted.

dataset = BuiltSet(root, "train")
source = FeatureSource([StoredFeatures(root, "dac"), ComputedFeatures("pe-spatial", device="cuda")])
for clip in dataset.stream(seed=1):
    arrays = source.of(clip)            # {"codes": ..., "direction": ..., "patches": ...}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from spatialfoley.dataset.factory.reader import Clip
from spatialfoley.dataset.store.clip_files import opened
from spatialfoley.dataset.store.encoders import ENCODERS, Identity, identify
from spatialfoley.dataset.store.fill import read_description
from spatialfoley.dataset.store.packs import (
    DESCRIPTION_FILE,
    FOLDER,
    PackHead,
    packs_of,
    read_clip,
    read_head,
)
from spatialfoley.dataset.store.settings import FeatureSettings

ROLE = "feature-"
"""Beginning of the roles of features that a build has put into its shards."""

_SHARDS_IN_MEMORY = 64


class Features(Protocol):
    """Features of clips, wherever they come from."""

    def of(self, clip: Clip) -> dict[str, Tensor]:
        """The arrays of a clip by name.

        Raises:
            ValueError: There are none; with the reason.
        """
        ...


def stored_identities(root: Path) -> list[Identity]:
    """All encoders whose features are stored beside a set, as their folders describe them.

    Raises:
        ValueError: A folder does not say what it holds.
    """
    return [identity for _, identity in _folders(root) if identity is not None]


def outdated_folders(root: Path) -> list[Path]:
    """Folders of encoders that this program does not know any more, or that it prepares otherwise now.

    Raises:
        ValueError: A folder does not say what it holds.
    """
    return [folder for folder, identity in _folders(root) if identity is None]


def _folders(root: Path) -> list[tuple[Path, Identity | None]]:
    folders = [path.parent for path in sorted((root / FOLDER).glob(f"*/*/{DESCRIPTION_FILE}"))]
    return [(folder, _described(read_description(folder))) for folder in folders]


def _described(document: Mapping[str, Any]) -> Identity | None:
    """The identity that a description stands for, if there is one still; its weights need not be here."""
    kind = ENCODERS.get(document["encoder"])
    if kind is None or set(document["settings"]) != set(kind.settings):
        return None
    chosen: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document["settings"].items()
    }
    identity = Identity(document["encoder"], FeatureSettings(**chosen), None, document["weights_sha256"])
    return identity if identity.basis == document["basis"] else None


class StoredFeatures:
    """Features of one encoder out of a built set.

    Every clip's features are compared with what the clip holds now: those of other content are refused.

    Attributes:
        identity: Encoder, settings and weights that made them.

    Args:
        root: The build folder.
        name: Of the encoder.
        settings: Where features of several settings are stored, which; None for the only ones.
        weights_sha256: Where those of several weights are, which; None for the only ones.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        settings: FeatureSettings | None = None,
        weights_sha256: str | None = None,
    ) -> None:
        if name not in ENCODERS:
            raise ValueError(f"encoder is {name!r}; known are {', '.join(ENCODERS)}")
        chosen = ENCODERS[name].settings
        found = [
            identity
            for identity in stored_identities(root)
            if identity.name == name
            and (settings is None or identity.settings.chosen(chosen) == settings.chosen(chosen))
            and weights_sha256 in (None, identity.weights_sha256)
        ]
        if len(found) != 1:
            raise ValueError(_which(root, name, found))
        self.identity = found[0]
        self.folder = root / FOLDER / name / self.identity.basis
        self._heads: dict[str, list[tuple[Path, PackHead]]] = {}

    def of(self, clip: Clip) -> dict[str, Tensor]:
        """The arrays of a clip, mapped from the disk.

        Raises:
            ValueError: It has none, or they were made of other content.
        """
        key = self.identity.key(clip.record)
        for path, head in self._packs(clip.shard.name):
            if clip.id in head.failed and head.failed[clip.id].key == key:
                raise ValueError(
                    f"{self.identity.name} has no features of clip {clip.id}: {head.failed[clip.id].sentence}"
                )
            entry = head.clips.get(clip.id)
            if entry is None:
                continue
            if entry.key != key:
                raise ValueError(
                    f"the {self.identity.name} features of clip {clip.id} were made of another content; run "
                    f"'spatialfoley dataset features' again, it makes what has changed"
                )
            return read_clip(path, clip.id, entry)
        raise ValueError(
            f"{self.identity.name} has no features of clip {clip.id}; run 'spatialfoley dataset features' again"
        )

    def _packs(self, shard: str) -> list[tuple[Path, PackHead]]:
        """Packs of a shard; the heads of a few shards are remembered."""
        if shard not in self._heads:
            while len(self._heads) >= _SHARDS_IN_MEMORY:
                del self._heads[next(iter(self._heads))]
            heads = ((path, read_head(path)) for path in packs_of(self.folder, shard))
            basis = self.identity.basis
            self._heads[shard] = [(path, head) for path, head in heads if head and head.basis == basis]
        return self._heads[shard]


class PackedFeatures:
    """Features that a build put into the shards beside the clip's other files, by the stage `features`.

    Args:
        name: Of the encoder.
        basis: Refuse those of other weights or settings; None takes what is there.
    """

    def __init__(self, name: str, basis: str | None = None) -> None:
        self.name, self.basis = name, basis

    def of(self, clip: Clip) -> dict[str, Tensor]:
        """The arrays of a clip.

        Raises:
            ValueError: It has none, of other weights, or damaged ones.
        """
        content = clip.read(ROLE + self.name)
        found = clip.record.facts.get("features", {}).get(self.name)
        if self.basis not in (None, found):
            raise ValueError(
                f"the {self.name} features of clip {clip.id} are of basis {found}, not {self.basis}; build again"
            )
        try:
            return load(content)
        except SafetensorError as problem:
            raise ValueError(
                f"the {self.name} features of clip {clip.id} cannot be read ({problem})"
            ) from None


class ComputedFeatures:
    """Features of one encoder computed when they are asked for; nothing is stored.

    Args:
        name: Of the encoder.
        settings: How they are made.
        device: Where.
        path: Of the weights, where they lie in no usual place.
    """

    def __init__(
        self,
        name: str,
        settings: FeatureSettings | None = None,
        device: str = "cpu",
        path: Path | None = None,
    ) -> None:
        given = {} if path is None else {name: path}
        self.identity = identify(name, settings or FeatureSettings(), given)
        self._encoder = self.identity.load(device)

    def of(self, clip: Clip) -> dict[str, Tensor]:
        """The arrays of a clip, of the types that would be stored.

        Raises:
            ValueError: It cannot be encoded.
        """
        with opened(clip, self.identity.roles(clip.record)) as files:
            return self._encoder(files)


class FeatureSource:
    """Several encoders' features together.

    Args:
        sources: Each gives arrays of other names.
    """

    def __init__(self, sources: Sequence[Features]) -> None:
        self.sources = tuple(sources)

    def of(self, clip: Clip) -> dict[str, Tensor]:
        """The arrays of a clip.

        Raises:
            ValueError: One has none, or two give an array of one name.
        """
        arrays: dict[str, Tensor] = {}
        for source in self.sources:
            found = source.of(clip)
            twice = sorted(set(arrays) & set(found))
            if twice:
                raise ValueError(f"two of the features are called {', '.join(twice)}; take one of them")
            arrays |= found
        return arrays

    def stream(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, dict[str, Tensor]]]:
        """Clips with their features, such as of `BuiltSet.stream`."""
        for clip in clips:
            yield clip, self.of(clip)


def stored_features(
    root: Path, names: Sequence[str], settings: FeatureSettings | None = None
) -> FeatureSource:
    """The stored features of several encoders."""
    return FeatureSource([StoredFeatures(root, name, settings) for name in names])


def _which(root: Path, name: str, found: Sequence[Identity]) -> str:
    if not found:
        here = ", ".join(sorted({identity.name for identity in stored_identities(root)})) or "none"
        return (
            f"{root} has no such features of {name} (it has {here}); add them with 'spatialfoley dataset features "
            f"{root} --encoders {name}'"
        )
    said = "; ".join(
        json.dumps(identity.describe()["settings"]) + f" of weights {identity.weights_sha256[:12]}"
        for identity in found
    )
    return f"{root} has features of {name} of several kinds: {said}; name the settings or the weights"
