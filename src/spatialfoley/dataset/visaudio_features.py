"""What MMAudio and ViSAudio train on: per clip the features of picture and text, and the posterior of the sound.

A folder of one part of a data set:

    features.json            how its clips were made (`Preparation`), channels, rate, model of the encoders
    clips.jsonl              per clip its file (relative to this folder), video, start, text, channel difference
    empty_text.safetensors   features of the empty text, for networks that do not start from published weights

A clip is one safetensors file, mapped into memory when it is read:

    mean, std   float32  [channels, L, C]     of the autoencoder's posterior, before the generator's normalisation
    clip        float16  [T, D]               a vector per frame
    sync        float16  [S, D]               tokens of the synchronisation encoder
    text        float16  [W, D]               a vector per word; missing where the clip has no text
    patches     float16  [T, grid, grid, D]   of the spatial encoder; missing for MMAudio

and where the sound is, of clips for a spatial head (`dataset.sound_places`):

    ratios      float16  [3, bands, L]        of Y, Z, X to W; of fields
    gains_db    float16  [2, bands, L]        of both ears over the one channel; of ears
    delay_s     float32  [L]                  by which the left ear is ahead; of ears
    levels_db   float16  [bands, L]           of the one channel
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from spatialfoley.generators.visaudio.conditions import ClipFeatures
from spatialfoley.media.atomic import atomic_path

Loudness = Literal["joint", "none", "per_channel"]
Padding = Literal["recording", "silence"]
PatchType = Literal["float16", "float32"]

SETTINGS_FILE, CLIPS_FILE, EMPTY_TEXT_FILE = "features.json", "clips.jsonl", "empty_text.safetensors"
_FORMAT = 1
_READERS = 8

PLACE_FIELDS = ("ratios", "gains_db", "delay_s", "levels_db")


@dataclass(frozen=True)
class Preparation:
    """How clips are made; recipes state it, so that they run on no others.

    Attributes:
        clip_s: Length of a clip in seconds.
        loudness: A17: "joint" scales all channels by one factor to a peak of 0.95, MMAudio's level; "none" leaves
            them; "per_channel" scales each by itself, which removes the level difference between the ears.
        padding: A19: eight seconds are not a whole number of latents. "recording" takes the rest from the
            recording where it goes on, silence where it does not; "silence" never looks further.
        min_difference: Clips whose two channels differ by this much or less (eq. 39 and 40 of the paper's
            appendix A) are left out; None takes all.
        patch_type: A21: how the patches of PE-Spatial, last layer without norm, are stored.
    """

    clip_s: float = 8.0
    loudness: Loudness = "joint"
    padding: Padding = "recording"
    min_difference: float | None = 0.01
    patch_type: PatchType = "float16"

    def __post_init__(self) -> None:
        """Check choices and ranges.

        Raises:
            ValueError: If a choice is unknown or a number out of range.
        """
        for name, choices in (("loudness", Loudness), ("padding", Padding), ("patch_type", PatchType)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(get_args(choices))}"
                )
        if not 0 < self.clip_s <= 3600:
            raise ValueError(f"clip_s is {self.clip_s}, but must be above 0 and at most 3600 seconds")
        if self.min_difference is not None and not 0 <= self.min_difference <= 2:
            raise ValueError(f"min_difference is {self.min_difference}, but must be from 0 to 2, or None")


class FlowItem(NamedTuple):
    """One clip; see the module's table for shapes."""

    mean: Tensor
    std: Tensor
    clip: Tensor
    sync: Tensor
    text: Tensor | None
    patches: Tensor | None
    ratios: Tensor | None = None
    gains_db: Tensor | None = None
    delay_s: Tensor | None = None
    levels_db: Tensor | None = None


class FlowBatch(NamedTuple):
    """Clips side by side.

    Attributes:
        features: Of the clips; those without a text are marked in `text_dropped`.
        mean: Of the posterior (B, channels, L, C).
        std: Of the same shape.
        places: Where the sound is, by name, each with an axis of clips before those of a clip; of clips for a
            spatial head.
    """

    features: ClipFeatures
    mean: Tensor
    std: Tensor
    places: Mapping[str, Tensor]


def write_flow_item(path: Path, item: FlowItem) -> None:
    """Write one clip, whole or not at all."""
    present = {name: value.contiguous() for name, value in item._asdict().items() if value is not None}
    with atomic_path(path) as partial:
        save_file(present, partial)


def write_flow_clips(
    folder: Path,
    lines: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    preparation: Preparation,
    empty_text: Tensor,
) -> None:
    """Write what makes the files of clips a part of a data set; clips.jsonl comes last.

    Args:
        folder: Of the part.
        lines: One per clip, with "file" relative to `folder`.
        settings: Channels, rate and model: whatever else shall be known of all clips.
        preparation: How they were made.
        empty_text: Features of the empty text (W, D).
    """
    content = {"format": _FORMAT, "preparation": asdict(preparation), **settings}
    with atomic_path(folder / EMPTY_TEXT_FILE) as partial:
        save_file({"text": empty_text.contiguous()}, partial)
    with atomic_path(folder / SETTINGS_FILE) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    with atomic_path(folder / CLIPS_FILE) as partial:
        written = "".join(json.dumps(dict(line), ensure_ascii=False) + "\n" for line in lines)
        partial.write_text(written, encoding="utf-8")


class FlowClips:
    """One part of a data set on disk; features are read when they are asked for.

    Attributes:
        folder: Of the part.
        settings: Content of features.json.
        preparation: How the clips were made.
        lines: Content of clips.jsonl.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder.

        Raises:
            ValueError: If it is no such folder, of another version of it, or empty.
        """
        self.folder = folder
        missing = [name for name in (SETTINGS_FILE, CLIPS_FILE) if not (folder / name).is_file()]
        if missing:
            raise ValueError(
                f"{folder} lacks {' and '.join(missing)}; make clips with 'spatialfoley dataset prepare --model "
                "visaudio', and name the folder of a split, such as data/biaudio/train"
            )
        try:
            self.settings: dict[str, Any] = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
            if self.settings.get("format") != _FORMAT:
                raise ValueError(f"format is {self.settings.get('format')!r}, but must be {_FORMAT}")
            self.preparation = Preparation(**self.settings["preparation"])
            text = (folder / CLIPS_FILE).read_text(encoding="utf-8")
            self.lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError(f"{folder} cannot be read ({problem}); prepare its clips again") from problem
        if not self.lines:
            raise ValueError(f"{folder} has no clips; prepare some")

    def __len__(self) -> int:
        return len(self.lines)

    def item(self, number: int) -> FlowItem:
        """The features of a clip.

        Raises:
            ValueError: If its file is missing or damaged.
        """
        path = self.folder / self.lines[number]["file"]
        try:
            found = load_file(path)
            return FlowItem(*(found.get(name) for name in FlowItem._fields))
        except (OSError, SafetensorError) as problem:
            raise ValueError(
                f"the clip {path} cannot be read ({problem}); delete it and prepare again"
            ) from problem

    def empty_text(self) -> Tensor:
        """Features of the empty text (W, D), float32."""
        return load_file(self.folder / EMPTY_TEXT_FILE)["text"].float()


class FlowClipMix:
    """Several parts as one list, in which a part may stand more than once: an epoch's entries."""

    def __init__(self, parts: Sequence[tuple[FlowClips, int]]) -> None:
        """Join parts with the number of times that each is repeated.

        Raises:
            ValueError: If there is no part, a repeat is below 1, or parts were prepared in different ways.
        """
        if not parts:
            raise ValueError("there are no sources of clips; give at least one folder")
        first = parts[0][0]
        for clips, repeat in parts:
            if repeat < 1:
                raise ValueError(f"{clips.folder} is repeated {repeat} times; give at least 1")
            differing = [
                name
                for name in sorted({*first.settings, *clips.settings})
                if first.settings.get(name) != clips.settings.get(name)
            ]
            if differing:
                raise ValueError(
                    f"{clips.folder} and {first.folder} differ in {', '.join(differing)} of features.json; prepare "
                    "all sources with one model and one set of settings"
                )
        self.parts = tuple(clips for clips, _ in parts)
        self._empty_text = first.empty_text()
        self._starts = [0]
        for clips, repeat in parts:
            self._starts.append(self._starts[-1] + len(clips) * repeat)

    def __len__(self) -> int:
        """Entries of an epoch."""
        return self._starts[-1]

    @property
    def first(self) -> FlowClips:
        """The first part; all are prepared like it."""
        return self.parts[0]

    def item(self, entry: int) -> FlowItem:
        """The clip of an entry from 0 to the number of entries."""
        clips, number = self._place(entry)
        return clips.item(number)

    def batch(self, entries: Sequence[int]) -> FlowBatch:
        """The clips of several entries, read side by side.

        Raises:
            ValueError: If the clips are of different lengths, or only some of them have patches.
        """
        with ThreadPoolExecutor(max(1, min(_READERS, len(entries)))) as readers:
            items = list(readers.map(self.item, entries))
        return join_flow_items(items, self._empty_text)

    def _place(self, entry: int) -> tuple[FlowClips, int]:
        if not 0 <= entry < len(self):
            raise ValueError(f"entry is {entry}, but there are {len(self)}, from 0")
        part = next(number for number in range(len(self.parts)) if entry < self._starts[number + 1])
        return self.parts[part], (entry - self._starts[part]) % len(self.parts[part])


def join_flow_items(items: Sequence[FlowItem], empty_text: Tensor) -> FlowBatch:
    """Clips as a batch; missing texts become the empty one (W, D) and are marked.

    Raises:
        ValueError: If the clips are of different shapes, or only some of them have patches.
    """
    columns = {
        "mean": [item.mean for item in items],
        "std": [item.std for item in items],
        "clip": [item.clip for item in items],
        "sync": [item.sync for item in items],
        "text": [empty_text.to(items[0].clip.dtype) if item.text is None else item.text for item in items],
        "patches": [item.patches for item in items if item.patches is not None],
    }
    for name in PLACE_FIELDS:
        columns[name] = [value for item in items if (value := getattr(item, name)) is not None]
    for name, values in columns.items():
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) > 1 or len(values) not in (0, len(items)):
            raise ValueError(
                f"the clips have {name} of the shapes {sorted(shapes)}; prepare all of them in the same way"
            )
    joined = {name: torch.stack(values) for name, values in columns.items() if values}
    features = ClipFeatures(
        clip=joined["clip"],
        sync=joined["sync"],
        text=joined["text"],
        patches=joined.get("patches"),
        text_dropped=torch.tensor([item.text is None for item in items]),
    )
    places = {name: joined[name] for name in PLACE_FIELDS if name in joined}
    return FlowBatch(features, joined["mean"], joined["std"], places)
