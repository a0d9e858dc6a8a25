"""All encoders of the store by name: adding one is one entry.

    name                          reads      makes
    tiny, clip                    view       embedding (V, T, D), energy_map (V, T, 49): frames for ViSAGe
    tiny-codes, dac, unicodec     foa        codes (V, S, K) int16, direction (V, 3): right, down, forward
    clip-h14                      view       clip (T, D)
    clip-h14-text                 caption    text (W, D); nothing for a clip without a caption
    synchformer                   view       sync (S, D)
    pe-spatial                    view       patches (T, grid, grid, D)
    mel-vae-16k, mel-vae-44k      binaural   mean, std (2, L, D)

Codes and latents of mono sound have one channel, of the first sound that a clip has: foa, binaural, stereo, mono.

V are the variants: the turns of the field in their order, then all of them mirrored; of pictures, which do not
turn, the picture and its mirror image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from spatialfoley import weights
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.store import flow_encoders, visage_encoders
from spatialfoley.dataset.store.clip_files import ClipFiles, mono_roles
from spatialfoley.dataset.store.layouts import Layout
from spatialfoley.dataset.store.settings import FeatureSettings


class Encoder(Protocol):
    """Files of a clip in, arrays on the CPU out."""

    @property
    def layout(self) -> Layout:
        """Shapes of its arrays."""
        ...

    def __call__(self, clip: ClipFiles) -> dict[str, Tensor]:
        """The arrays of a clip.

        Raises:
            ValueError: It cannot be used; with the reason.
        """
        ...


@dataclass(frozen=True)
class EncoderKind:
    """An encoder that the store knows.

    Attributes:
        weights: Name of its weights in the registry.
        roles: Files of a clip that it reads.
        facts: Facts of a clip that it depends on, beside the length.
        settings: Of `FeatureSettings`, those that change what it makes.
        load: From where its weights lie, a device and settings to the encoder.
        published: Shapes with the published weights.
        version: Raised when the arithmetic changes: what was stored before is then made again.
        file: Of its weights in a folder that holds those of several networks.
        beside: Files beside the weights that count too, where they are there.
    """

    weights: str
    roles: tuple[str, ...]
    facts: tuple[str, ...]
    settings: tuple[str, ...]
    load: Callable[[Path, str, FeatureSettings], Encoder]
    published: Callable[[FeatureSettings], Layout]
    version: int = 1
    file: str = ""
    beside: tuple[str, ...] = ("config.json",)


_FIELD_FACTS = ("field_frame", "azimuth_deg", "elevation_deg")
_CODE_SETTINGS = ("yaws_deg", "mirror", "field_frame", "mono")
_CLIP_H14_FILES = ("config.json", "open_clip_config.json")
_VOCABULARY = ("tokenizer.json", "vocab.json", "merges.txt")

ENCODERS: Mapping[str, EncoderKind] = {
    "tiny": EncoderKind(
        "tiny-visage",
        ("view",),
        (),
        ("half", "mirror"),
        visage_encoders.load_tiny,
        visage_encoders.published_tiny,
        file="features.safetensors",
        beside=("features.json",),
    ),
    "tiny-codes": EncoderKind(
        "tiny-visage",
        ("foa",),
        _FIELD_FACTS,
        _CODE_SETTINGS,
        visage_encoders.load_tiny_codes,
        visage_encoders.published_tiny_codes,
        file="codec.safetensors",
        beside=("codec.json",),
    ),
    "clip": EncoderKind(
        "clip-vit-b-32",
        ("view",),
        (),
        ("half", "mirror"),
        visage_encoders.load_clip,
        visage_encoders.published_clip,
    ),
    "dac": EncoderKind(
        "dac_44khz",
        ("foa",),
        _FIELD_FACTS,
        _CODE_SETTINGS,
        visage_encoders.load_dac,
        visage_encoders.published_dac,
    ),
    "unicodec": EncoderKind(
        "unicodec",
        ("foa",),
        _FIELD_FACTS,
        _CODE_SETTINGS,
        visage_encoders.load_unicodec,
        visage_encoders.published_unicodec,
        beside=(),
    ),
    "clip-h14": EncoderKind(
        "clip-dfn5b-h14",
        ("view",),
        (),
        ("half", "compute"),
        flow_encoders.load_clip_h14,
        flow_encoders.published_clip_h14,
        beside=_CLIP_H14_FILES,
    ),
    "clip-h14-text": EncoderKind(
        "clip-dfn5b-h14",
        (),
        ("caption",),
        ("half", "compute"),
        flow_encoders.load_clip_h14_text,
        flow_encoders.published_clip_h14_text,
        beside=(*_CLIP_H14_FILES, *_VOCABULARY),
    ),
    "synchformer": EncoderKind(
        "synchformer",
        ("view",),
        (),
        ("half", "compute"),
        flow_encoders.load_synchformer,
        flow_encoders.published_synchformer,
        beside=(),
    ),
    "pe-spatial": EncoderKind(
        "pe-spatial-l14",
        ("view",),
        (),
        ("half", "pool", "compute"),
        flow_encoders.load_pe_spatial,
        flow_encoders.published_pe_spatial,
        beside=(),
    ),
    **{
        f"mel-vae-{label}": EncoderKind(
            f"mmaudio-vae-{label}",
            ("binaural",),
            (),
            ("loudness", "mono"),
            partial(flow_encoders.load_mel_vae, rate_hz),
            partial(flow_encoders.published_mel_vae, rate_hz),
            beside=(),
        )
        for label, rate_hz in (("16k", 16000), ("44k", 44100))
    },
}


@dataclass(frozen=True)
class Identity:
    """An encoder with its weights and settings: what features are known by.

    Attributes:
        name: Of the encoder.
        settings: How features are made.
        path: Where the weights lie; None where they are not on this machine.
        weights_sha256: Of the weights and the settings beside them; empty where they are not on this machine.
    """

    name: str
    settings: FeatureSettings
    path: Path | None
    weights_sha256: str

    @property
    def kind(self) -> EncoderKind:
        """The encoder."""
        return ENCODERS[self.name]

    def describe(self) -> dict[str, Any]:
        """All that its features depend on beside the clip, as plain JSON values."""
        return {
            "encoder": self.name,
            "weights": self.kind.weights,
            "weights_sha256": self.weights_sha256,
            "preparation_version": self.kind.version,
            "settings": self.settings.chosen(self.kind.settings),
        }

    @property
    def basis(self) -> str:
        """Hash of `describe`."""
        return _hash(self.describe())[:16]

    def roles(self, record: Record) -> tuple[str, ...]:
        """Files of a clip that the encoder reads."""
        mono = self.settings.mono and "mono" in self.kind.settings
        return mono_roles(record) if mono else self.kind.roles

    def key(self, record: Record) -> str:
        """Hash of all of a clip that its features depend on: content of files, length, facts."""
        files = {role: record.files[role].sha256 for role in self.roles(record) if role in record.files}
        facts = {name: record.facts.get(name) for name in ("duration_s", *self.kind.facts)}
        return _hash({"files": files, "facts": facts})[:24]

    def load(self, device: str) -> Encoder:
        """The network.

        Raises:
            ValueError: The weights are not on this machine, or do not fit.
        """
        if self.path is None:
            name = self.kind.weights
            raise ValueError(
                f"{self.name} needs {name}, which is not on this machine; 'spatialfoley models fetch {name}' gets "
                f"it, 'spatialfoley models import {name} FOLDER' takes a copy that you have"
            )
        return self.kind.load(self.path, device, self.settings)


def identify(name: str, settings: FeatureSettings, given: Mapping[str, Path] | None = None) -> Identity:
    """An encoder with the weights that are on this machine.

    Args:
        name: Of the encoder.
        settings: How features are to be made.
        given: Weights of encoders by name, instead of those in the usual places.

    Raises:
        ValueError: No encoder has the name, or given weights do not exist.
    """
    if name not in ENCODERS:
        raise ValueError(f"encoder is {name!r}; known are {', '.join(ENCODERS)}")
    kind = ENCODERS[name]
    path = (given or {}).get(name) or weights.locate(kind.weights)
    return Identity(name, settings, path, "" if path is None else _weights_hash(kind, path))


def identify_all(
    names: Sequence[str], settings: FeatureSettings, given: Mapping[str, Path] | None = None
) -> list[Identity]:
    """Several encoders.

    Raises:
        ValueError: As `identify`; none or one twice; weights are given for others.
    """
    if not names or len(set(names)) != len(names):
        raise ValueError(
            f"encoders are {', '.join(names) or 'none'}; give one or more of {', '.join(ENCODERS)}, each once"
        )
    strangers = sorted(set(given or {}) - set(names))
    if strangers:
        raise ValueError(f"weights are given for {', '.join(strangers)}, which is not among the encoders")
    return [identify(name, settings, given) for name in names]


def _weights_hash(kind: EncoderKind, path: Path) -> str:
    """Of the weights and of settings beside them; without such settings it is the published hash of the file."""
    if not path.exists():
        raise ValueError(f"weights {path} do not exist; give the file or the folder of {kind.weights}")
    memory = weights.home() / "hashes.json"
    folder = path if path.is_dir() else path.parent
    found = [weights.sha256_of(path / kind.file if kind.file and path.is_dir() else path, memory)]
    found += [weights.sha256_of(folder / name, memory) for name in kind.beside if (folder / name).is_file()]
    return found[0] if len(found) == 1 else _hash(found)


def _hash(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
