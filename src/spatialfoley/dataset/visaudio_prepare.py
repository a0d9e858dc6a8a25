"""From one's own videos with binaural sound to the features that MMAudio and ViSAudio train on.

Every clip is one file under ``clips``, where training reads it; the folder of a split lists its clips.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.dataset.captions import music_caption, text_for_use
from spatialfoley.dataset.manifest import ManifestRow
from spatialfoley.dataset.preparing import (
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
from spatialfoley.dataset.visaudio_encoding import FlowClipEncoder
from spatialfoley.dataset.visaudio_features import write_flow_clips, write_flow_item
from spatialfoley.media.audio import read_audio, resample
from spatialfoley.media.video import Video, read_video
from spatialfoley.media.view import is_panorama
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.foa import listen_from
from spatialfoley.timeline import sample_count

EARS_ENDING, FIELD_ENDING = ".binaural.wav", ".foa.wav"


def prepare_flow_clips(
    rows: Sequence[ManifestRow],
    encoder: FlowClipEncoder,
    out: Path,
    music_captions: bool = False,
    report: Report = lambda label, fraction: None,
) -> Prepared:
    """Encode all clips of a manifest into ``out``, one folder per split for `FlowClips`.

    Args:
        rows: Of the manifest.
        encoder: What the model sees, reads and hears.
        out: Where clips and splits go.
        music_captions: Read the text of a row that has none off the name of its video, as MUSIC-21 names them.
        report: Told the progress.

    Raises:
        ValueError: `out` holds clips of another model or of other settings, or no clip at all could be used.
        MediaError: `out` cannot be written.
    """
    check_same_settings(out, {**encoder.describe(), "preparation": asdict(encoder.preparation)})
    return prepare_rows(
        rows,
        lambda row: _Source(row, encoder, out, music_captions),
        partial(_join, encoder, out, music_captions),
        out,
        report,
    )


class _Source:
    """A row's picture, sound and text; the sound is read when the first clip needs it."""

    def __init__(self, row: ManifestRow, encoder: FlowClipEncoder, out: Path, music_captions: bool) -> None:
        self.row, self.encoder, self.out = row, encoder, out
        self.text = _text(row, music_captions)
        self.video: Video = read_video(row.video)
        self.frame_times_s = self.video.frame_times_s()
        field = encoder.place == "foa"
        self.audio_path = row.audio or _usual_audio(row.video, FIELD_ENDING if field else EARS_ENDING)
        if not self.audio_path.is_file():
            raise ValueError(f"{self.audio_path} does not exist; name the sound in the column audio")
        self._identity: list[Any] = [file_identity(row.video), file_identity(self.audio_path), self.text]
        self._camera = row.direction if field else None
        if field:
            self._identity += [row.direction.azimuth_deg, row.direction.elevation_deg]
            whole = is_panorama(self.video) if encoder.panorama is None else encoder.panorama
            if whole and row.direction != Direction(0.0):
                raise ValueError(
                    f"azimuth_deg is {row.direction.azimuth_deg:g} and elevation_deg "
                    f"{row.direction.elevation_deg:g}, but of a panorama the view ahead is taken; leave both out"
                )
        self._sound: np.ndarray | None = None

    def windows(self) -> list[float]:
        """Starts of the row's clips."""
        return clip_starts(self.row, self.video, self.encoder.preparation.clip_s)

    def file(self, start_s: float) -> Path:
        """Where a clip's features lie; the name changes with the files, the text and the start."""
        return clip_file(self.out / "clips", self._identity, start_s, ".safetensors")

    def make(self, start_s: float, file: Path) -> None:
        """Write a clip's features."""
        sound = self._sound_from(start_s)
        write_flow_item(file, self.encoder.encode(self.video, self.frame_times_s, start_s, sound, self.text))

    def _sound_from(self, start_s: float) -> np.ndarray:
        """The recording from the start of a clip on, at least as long as the clip, for a little more than it."""
        rate_hz, clip_s = self.encoder.codec.rate_hz, self.encoder.preparation.clip_s
        if self._sound is None:
            self._sound = _read_sound(self.audio_path, len(self.encoder.recorded), rate_hz, self._camera)
        first, length = sample_count(start_s, rate_hz), sample_count(clip_s, rate_hz)
        sound = self._sound[:, first : first + self.encoder.sound_samples]
        if sound.shape[1] < length - LENGTH_SLACK_S * rate_hz:
            raise ValueError(
                f"the sound of {self.audio_path} ends at {self._sound.shape[1] / rate_hz:.2f} s, before the clip "
                f"from {start_s:g} to {start_s + clip_s:g} s"
            )
        if float(np.abs(sound[:, :length]).max()) < SILENT_PEAK:
            raise ValueError(f"{self.audio_path} is silent from {start_s:g} s on; there is nothing to learn")
        return sound


def _usual_audio(video: Path, ending: str) -> Path:
    beside = video.with_suffix(ending)
    return beside if beside.is_file() else video


def _text(row: ManifestRow, music_captions: bool) -> str:
    return music_caption(row.video) if music_captions and not row.text else row.text


def _read_sound(path: Path, channels: int, rate_hz: int, camera: Direction | None = None) -> np.ndarray:
    """The whole sound (channels, N) at a rate: two ears, or one channel (W of a field, the mean of others).

    With a camera it is a field as heard from there.
    """
    audio = read_audio(path)
    if camera is not None:
        if audio.layout != "foa":
            raise ValueError(f"{path} has {len(audio.samples)} channels; a field needs 4 (AmbiX: W, Y, Z, X)")
        return resample(listen_from(audio, camera).samples, audio.rate_hz, rate_hz)
    samples = audio.samples
    if channels == 1:
        samples = samples[[W]] if audio.layout == "foa" else samples.mean(axis=0, keepdims=True)
    elif len(samples) != channels:
        raise ValueError(
            f"{path} has {len(samples)} channels; two ears need 2 (left, right): render a field first with "
            "'spatialfoley render'"
        )
    return resample(samples, audio.rate_hz, rate_hz)


def _join(
    encoder: FlowClipEncoder, out: Path, music_captions: bool, clips: Sequence[MadeClip]
) -> dict[str, Path]:
    """Write the list of the clips of every split."""
    folders = {}
    for split, chosen in by_split(clips).items():
        folders[split] = out / split
        lines = [_line(clip, _text(clip.row, music_captions), folders[split]) for clip in chosen]
        write_flow_clips(folders[split], lines, encoder.describe(), encoder.preparation, encoder.empty_text())
    return folders


def _line(clip: MadeClip, text: str, folder: Path) -> dict[str, Any]:
    """What clips.jsonl says of a clip; `text_for_use` is what its sound is to be made from."""
    return {
        "file": Path(os.path.relpath(clip.file, folder)).as_posix(),
        "video": str(clip.row.video),
        "start_s": clip.start_s,
        "text": text,
        "text_for_use": text_for_use(text),
    }
