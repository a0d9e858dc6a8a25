"""From one's own videos and their sound to the clip tensors that a token generator trains on.

Every clip becomes a file under ``parts`` first; then all parts of a split are joined.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.dataset.clip_encoding import ClipEncoder
from spatialfoley.dataset.clip_tensors import ARRAYS, ClipArrays, write_clip_tensors
from spatialfoley.dataset.manifest import ManifestRow
from spatialfoley.dataset.preparing import (
    CLIPS_FILE,
    LENGTH_SLACK_S,
    SILENT_PEAK,
    MadeClip,
    Prepared,
    Report,
    by_split,
    check_same_settings,
    clip_file,
    clip_starts,
    file_identity,
    prepare_rows,
)
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import fit_length, read_audio, resample
from spatialfoley.media.video import Video, read_video
from spatialfoley.timeline import sample_count


def prepare_clips(
    rows: list[ManifestRow], encoder: ClipEncoder, out: Path, report: Report = lambda label, fraction: None
) -> Prepared:
    """Encode all clips of a manifest into ``out``, one folder of clip tensors per split.

    Raises:
        ValueError: `out` holds clips of another model, or no clip at all could be used.
        MediaError: `out` cannot be written.
    """
    encoder.refuse_misfit()
    check_same_settings(out, _described(encoder))
    return prepare_rows(rows, lambda row: _Source(row, encoder, out), partial(_join, out), out, report)


class _Source:
    """A row's picture and sound; the sound is read when the first clip needs it."""

    def __init__(self, row: ManifestRow, encoder: ClipEncoder, out: Path) -> None:
        self.row, self.encoder, self.out = row, encoder, out
        self.video: Video = read_video(row.video)
        self.audio_path = row.audio or (row.video if encoder.mono else row.video.with_suffix(".foa.wav"))
        if not self.audio_path.is_file():
            raise ValueError(f"{self.audio_path} does not exist; name the sound in the column audio")
        self._identity = [file_identity(row.video), file_identity(self.audio_path), str(row.direction)]
        self._sound: np.ndarray | None = None

    def windows(self) -> list[float]:
        """Starts of the row's clips."""
        return clip_starts(self.row, self.video, self.encoder.clip_s)

    def file(self, start_s: float) -> Path:
        """Where a clip's arrays lie; the name changes with the files, the direction and the start."""
        return clip_file(self.out / "parts", self._identity, start_s, ".npz")

    def make(self, start_s: float, file: Path) -> None:
        """Write a clip's arrays."""
        sound = self._sound_of(start_s)
        arrays = self.encoder.encode(self.video, start_s, sound, self.row.direction)
        with atomic_path(file) as path:
            np.savez(path, **{name: getattr(arrays, name) for name in ARRAYS})

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


def _join(out: Path, clips: Sequence[MadeClip]) -> dict[str, Path]:
    """Write the clip tensors of every split, and which clip is which."""
    folders = {}
    for split, chosen in by_split(clips).items():
        folders[split] = out / split
        write_clip_tensors(folders[split], _parts(chosen), len(chosen))
        lines = [
            json.dumps({"video": str(clip.row.video), "start_s": clip.start_s}, ensure_ascii=False)
            for clip in chosen
        ]
        with atomic_path(folders[split] / CLIPS_FILE) as path:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folders


def _parts(clips: list[MadeClip]) -> Iterator[ClipArrays]:
    for clip in clips:
        with np.load(clip.file) as stored:
            yield ClipArrays(**{name: stored[name] for name in ARRAYS})


def _described(encoder: ClipEncoder) -> dict[str, Any]:
    described = {
        **encoder.description,
        "channels": encoder.channels,
        "codec_frames": encoder.codec_frames,
        "video_frames": encoder.video_frames,
        "field_frame": encoder.config.field_frame,
        "panorama": encoder.panorama,
    }
    # Named only where there are any, so that folders from before go on.
    return {**described, "turns": encoder.turns} if encoder.turns else described
