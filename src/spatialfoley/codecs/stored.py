"""Codecs of our own on disk: codec.json, which may name a kind, and codec.safetensors beside it."""

from __future__ import annotations

import json
from pathlib import Path

from spatialfoley.codecs.plain import PlainCodec
from spatialfoley.codecs.tiny import TinyCodec

StoredCodec = TinyCodec | PlainCodec

KINDS: dict[str | None, type[TinyCodec] | type[PlainCodec]] = {None: TinyCodec, "plain": PlainCodec}
"""By the `kind` of codec.json; without one it is the tiny codec."""


def load_stored_codec(folder: Path) -> StoredCodec:
    """The codec in `folder`, whichever of our kinds it is.

    Raises:
        ValueError: The folder holds no codec, or one of a kind that is not known.
    """
    path = folder / "codec.json"
    if not path.is_file() or not (folder / "codec.safetensors").is_file():
        raise ValueError(
            f"{folder} holds no codec.json and codec.safetensors; give the folder of a finished codec run"
        )
    return codec_class(json.loads(path.read_text(encoding="utf-8")).get("kind"), str(path)).load(folder)


def codec_class(kind: object, source: str) -> type[TinyCodec] | type[PlainCodec]:
    """The class of a kind.

    Args:
        kind: None for the tiny codec.
        source: What to name in the error.

    Raises:
        ValueError: The kind is unknown.
    """
    if kind is not None and (not isinstance(kind, str) or kind not in KINDS):
        raise ValueError(f"kind in {source} is {kind!r}; it must be 'plain', or left out for the tiny codec")
    return KINDS[kind]
