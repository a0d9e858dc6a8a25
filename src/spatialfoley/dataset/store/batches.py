"""Stored features as the existing tasks train on them: clip tensors for ViSAGe's family, items for MMAudio's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from spatialfoley.dataset.clip_tensors import TYPES, ClipArrays, write_clip_tensors
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.store.reader import Features
from spatialfoley.dataset.visaudio_features import FlowItem
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.timeline import token_frames


def visage_arrays(arrays: Mapping[str, Tensor], config: VisageConfig) -> ClipArrays:
    """What `dataset prepare` makes of a clip, from stored features: as long as the model has positions for.

    Args:
        arrays: `embedding` and `energy_map` of pictures, `codes` and `direction` of a field.
        config: Of the generator.

    Returns:
        One clip; pictures that do not turn stand beside every turn.

    Raises:
        ValueError: Arrays are missing, or pictures and codes have variants that do not fit each other.
    """
    missing = [name for name in TYPES if name not in arrays]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} are missing; store features of a picture and codes of a field"
        )
    codes, pictures = arrays["codes"], len(arrays["embedding"])
    if len(codes) % pictures:
        raise ValueError(
            f"there are {len(codes)} variants of the codes and {pictures} of the picture; make both with --mirror, "
            "or both without"
        )
    rows = min(
        config.max_source_length,
        int(config.longest_frames / config.dac_frame_rate * config.clip_frame_rate),
    )
    frames = min(rows, arrays["embedding"].shape[1])
    sounding = token_frames(frames, config.clip_frame_rate, config.dac_frame_rate)
    # Variants of the codes are all turns, then all of them mirrored.
    beside = np.repeat(np.arange(pictures), len(codes) // pictures)
    return ClipArrays(
        codes=codes[:, :sounding].numpy().astype(TYPES["codes"]),
        embedding=arrays["embedding"][beside, :frames].numpy().astype(TYPES["embedding"]),
        energy_map=arrays["energy_map"][beside, :frames].numpy().astype(TYPES["energy_map"]),
        direction=arrays["direction"].numpy().astype(TYPES["direction"]),
    )


def write_visage_clips(
    dataset: BuiltSet, features: Features, config: VisageConfig, folder: Path, skip: Sequence[str] = ()
) -> int:
    """Clip tensors of a built set, on which the task `visage` trains unchanged.

    Args:
        dataset: The clips.
        features: Theirs.
        config: Of the generator.
        folder: Where the arrays go.
        skip: Clips to leave out, such as those that could not be encoded.

    Returns:
        How many clips they are.
    """
    numbers = [number for number in range(len(dataset)) if dataset[number].id not in set(skip)]

    def clips() -> Iterator[ClipArrays]:
        for number in numbers:
            yield visage_arrays(features.of(dataset[number]), config)

    write_clip_tensors(folder, clips(), len(numbers))
    return len(numbers)


def flow_item(arrays: Mapping[str, Tensor]) -> FlowItem:
    """What `dataset prepare --model visaudio` makes of a clip, from stored features.

    Raises:
        ValueError: Arrays are missing.
    """
    missing = [name for name in ("mean", "std", "clip", "sync") if name not in arrays]
    if missing:
        raise ValueError(f"{', '.join(missing)} are missing; store mel-vae-44k, clip-h14 and synchformer")
    return FlowItem(*(arrays.get(name) for name in FlowItem._fields))  # type: ignore[arg-type]
