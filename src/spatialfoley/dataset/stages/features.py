"""Features of a clip as files of the clip, which travel in its shard: "feature-<encoder>" (.safetensors).

For sets that are built with their features. Features that are added to a built set later lie beside its shards:
see `dataset.store`. What a clip's features were made with is its fact "features": the basis of every encoder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Workspace, seed_of
from spatialfoley.dataset.store.clip_files import ClipFiles
from spatialfoley.dataset.store.encoders import Encoder, Identity, identify_all
from spatialfoley.dataset.store.reader import ROLE
from spatialfoley.dataset.store.settings import FeatureSettings
from spatialfoley.media.errors import MediaError


@dataclass(frozen=True)
class Features:
    """Encodes clips.

    Attributes:
        encoders: Their names, such as tiny, tiny-codes, clip, dac.
        settings: How features are made, see `FeatureSettings`.
        device: Where networks compute.
        weights: Where weights lie that are in no usual place, by encoder.
    """

    encoders: tuple[str, ...]
    settings: FeatureSettings = field(default_factory=FeatureSettings)
    device: str = "cpu"
    weights: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self._identities

    @property
    def version(self) -> int:
        """Of the arithmetic and of the weights that are here: with others, features are made anew."""
        return seed_of("features", *(identity.basis for identity in self._identities))

    @cached_property
    def _identities(self) -> list[Identity]:
        given = {name: Path(path) for name, path in self.weights.items()}
        return identify_all(self.encoders, self.settings, given)

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Encode the clip by every encoder.

        Raises:
            ItemProblem: A file is missing, or cannot be encoded.
        """
        clip = ClipFiles(record, {role: space.path(ref) for role, ref in record.files.items()})
        files: dict[str, Any] = {}
        for identity in self._identities:
            try:
                arrays = _loaded(identity, self.device)(clip)
            except MediaError:
                raise
            except ValueError as problem:
                raise ItemProblem("format", str(problem)) from problem
            if not arrays:
                continue
            with space.new_file(record.id, ROLE + identity.name, ".safetensors") as new:
                save_file({name: array.contiguous() for name, array in sorted(arrays.items())}, new.path)
            files[ROLE + identity.name] = new.ref
        bases = {identity.name: identity.basis for identity in self._identities}
        return Passed((record.with_(files, {"features": bases}),))


@cache
def _loaded(identity: Identity, device: str) -> Encoder:
    """A network is loaded once per process."""
    return identity.load(device)


STAGE = Features
