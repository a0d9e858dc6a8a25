"""From one's own videos and their sound to the clip tensors that training reads.

Every clip becomes a file under ``parts`` first, so that a killed run goes on where it stopped; then all parts of
a split are joined. What cannot be used is a line of ``rejected.jsonl``, and the rest goes on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.dataset.clip_encoding import ClipEncoder
from spatialfoley.dataset.clip_tensors import ARRAYS, ClipArrays, write_clip_tensors
from spatialfoley.dataset.manifest import ManifestRow
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import fit_length, read_audio, resample
from spatialfoley.media.video import Video, read_video
from spatialfoley.timeline import sample_count

LENGTH_SLACK_S = 0.05
"""Picture or sound may end this much before a clip does: cuts rarely fall on whole frames of both."""
SILENT_PEAK = 1e-4
REJECTED_FILE, SETTINGS_FILE, CLIPS_FILE = "rejected.jsonl", "prepare.json", "clips.jsonl"

Report = Callable[[str, float], None]
"""Told what is being done and the fraction done in [0, 1]."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a run left.

    Attributes:
        made: Clips encoded now.
        reused: Clips that an earlier run had encoded.
        rejected: Rows and clips that could not be used.
        folders: Folder of clip tensors of every split.
        record: rejected.jsonl, or None when everything could be used.
    """

    made: int
    reused: int
    rejected: int
    folders: dict[str, Path]
    record: Path | None


@dataclasses.dataclass(frozen=True)
class _Clip:
    row: ManifestRow
    start_s: float
    part: Path


def prepare_clips(
    rows: list[ManifestRow], encoder: ClipEncoder, out: Path, report: Report = lambda label, fraction: None
) -> Prepared:
    """Encode all clips of a manifest into ``out``, one folder of clip tensors per split.

    Raises:
        ValueError: `out` holds clips of another model, or no clip at all could be used.
        MediaError: `out` cannot be written.
    """
    encoder.refuse_misfit()
    _check_same_settings(out, encoder)
    clips: list[_Clip] = []
    rejected: list[dict[str, Any]] = []
    made = 0
    for number, row in enumerate(rows):
        report(row.video.name, number / len(rows))
        try:
            source = _Source(row, encoder)
            windows = source.windows()
        except (ValueError, OSError, RuntimeError) as problem:
            rejected.append(_rejection(row, None, problem))
            continue
        for start_s in windows:
            clip = _Clip(row, start_s, source.part(out, start_s))
            try:
                made += source.encode_once(clip)
                clips.append(clip)
            except (ValueError, OSError, RuntimeError, MemoryError) as problem:
                rejected.append(_rejection(row, start_s, problem))
    record = _write_rejected(out, rejected)
    if not clips:
        raise ValueError(f"none of {len(rows)} rows gave a clip; the reasons are in {record}")
    report("joining", 1.0)
    return Prepared(made, len(clips) - made, len(rejected), _join(clips, out), record)


class _Source:
    """A row's picture and sound; the sound is read when the first clip needs it."""

    def __init__(self, row: ManifestRow, encoder: ClipEncoder) -> None:
        self.row, self.encoder = row, encoder
        self.video: Video = read_video(row.video)
        self.audio_path = row.audio or (row.video if encoder.mono else row.video.with_suffix(".foa.wav"))
        if not self.audio_path.is_file():
            raise ValueError(f"{self.audio_path} does not exist; name the sound in the column audio")
        self._identity = [_file_identity(row.video), _file_identity(self.audio_path), str(row.direction)]
        self._sound: np.ndarray | None = None

    def windows(self) -> list[float]:
        """Starts of the row's clips."""
        clip_s, whole_s = self.encoder.clip_s, self.video.duration_s
        if self.row.start_s is not None:
            if self.row.start_s + clip_s > whole_s + LENGTH_SLACK_S:
                raise ValueError(
                    f"start_s is {self.row.start_s:g} and a clip lasts {clip_s:g} s, but the picture of "
                    f"{self.row.video} ends at {whole_s:.2f} s; start earlier"
                )
            return [self.row.start_s]
        count = int((whole_s + LENGTH_SLACK_S) / clip_s)
        if count == 0:
            raise ValueError(
                f"the picture of {self.row.video} lasts {whole_s:.2f} s; a clip needs {clip_s:g} s"
            )
        return [number * clip_s for number in range(count)]

    def part(self, out: Path, start_s: float) -> Path:
        """Where a clip's arrays lie; the name changes with the files, the direction and the start."""
        name = hashlib.sha256(json.dumps([*self._identity, start_s]).encode()).hexdigest()[:24]
        return out / "parts" / name[:2] / f"{name}.npz"

    def encode_once(self, clip: _Clip) -> bool:
        """Write a clip's part; False when it was there."""
        if clip.part.is_file():
            return False
        sound = self._sound_of(clip.start_s)
        arrays = self.encoder.encode(self.video, clip.start_s, sound, self.row.direction)
        with atomic_path(clip.part) as path:
            np.savez(path, **{name: getattr(arrays, name) for name in ARRAYS})
        return True

    def _sound_of(self, start_s: float) -> np.ndarray:
        rate_hz = self.encoder.codec.rate_hz
        if self._sound is None:
            self._sound = _read_sound(self.audio_path, self.encoder.mono, rate_hz)
        length = sample_count(self.encoder.clip_s, rate_hz)
        first = sample_count(start_s, rate_hz)
        sound = self._sound[:, first : first + length]
        if sound.shape[1] < length - LENGTH_SLACK_S * rate_hz:
            raise ValueError(
                f"the sound of {self.audio_path} ends at {self._sound.shape[1] / rate_hz:.2f} s, before the clip "
                f"from {start_s:g} to {start_s + self.encoder.clip_s:g} s"
            )
        if float(np.abs(sound[W]).max()) < SILENT_PEAK:
            raise ValueError(f"{self.audio_path} is silent from {start_s:g} s on; there is nothing to learn")
        return fit_length(sound, length)


def _read_sound(path: Path, mono: bool, rate_hz: int) -> np.ndarray:
    """The whole sound (C, N) at a rate: a field, or one channel (W of a field, the mean of others)."""
    audio = read_audio(path)
    samples = audio.samples
    if mono:
        samples = samples[[W]] if audio.layout == "foa" else samples.mean(axis=0, keepdims=True)
    elif audio.layout != "foa":
        raise ValueError(
            f"{path} has {len(samples)} channels; ambisonics need 4 (W, Y, Z, X), and mono pre-training --mono"
        )
    return resample(samples, audio.rate_hz, rate_hz)


def _join(clips: list[_Clip], out: Path) -> dict[str, Path]:
    """Write the clip tensors of every split, and which clip is which."""
    folders = {}
    for split in dict.fromkeys(clip.row.split for clip in clips):
        chosen = [clip for clip in clips if clip.row.split == split]
        folders[split] = out / split
        write_clip_tensors(folders[split], _parts(chosen), len(chosen))
        lines = [
            json.dumps({"video": str(clip.row.video), "start_s": clip.start_s}, ensure_ascii=False)
            for clip in chosen
        ]
        with atomic_path(folders[split] / CLIPS_FILE) as path:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folders


def _parts(clips: list[_Clip]) -> Iterator[ClipArrays]:
    for clip in clips:
        with np.load(clip.part) as stored:
            yield ClipArrays(**{name: stored[name] for name in ARRAYS})


def _check_same_settings(out: Path, encoder: ClipEncoder) -> None:
    described = {
        **encoder.description,
        "channels": encoder.channels,
        "codec_frames": encoder.codec_frames,
        "video_frames": encoder.video_frames,
        "field_frame": encoder.config.field_frame,
        "panorama": encoder.panorama,
    }
    path = out / SETTINGS_FILE
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != json.loads(json.dumps(described)):
            raise ValueError(f"{out} holds clips of another model ({found}); choose another folder")
        return
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(described, indent=1), encoding="utf-8")


def _file_identity(path: Path) -> list[str | int]:
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def _rejection(row: ManifestRow, start_s: float | None, problem: Exception) -> dict[str, Any]:
    reason = " ".join(str(problem).split()) or type(problem).__name__
    return {
        "line": row.line,
        "video": str(row.video),
        "start_s": start_s,
        "kind": type(problem).__name__,
        "reason": reason,
    }


def _write_rejected(out: Path, rejected: list[dict[str, Any]]) -> Path | None:
    """The record of this run; that of an earlier one goes when nothing was rejected now."""
    target = out / REJECTED_FILE
    if not rejected:
        target.unlink(missing_ok=True)
        return None
    with atomic_path(target) as path:
        lines = [json.dumps(line, ensure_ascii=False) for line in rejected]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target
