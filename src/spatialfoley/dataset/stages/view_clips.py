"""Clips of ordinary views: eight seconds of picture as it is, and its one or two channels of sound.

For recordings that are views already, such as those of FAIR-Play, MUSIC-21 and VGGSound: role "view", with the
sound as "binaural" or "sound" beside it or inside. A clip has "view" (H.264) and "binaural", "stereo" or "mono"
(FLAC), as the fact "convention" says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import soundfile

from spatialfoley import timeline
from spatialfoley.dataset.clip_cutting import (
    Place,
    Recording,
    check_lengths,
    clip_record,
    places,
    within_full_scale,
    write_view,
)
from spatialfoley.dataset.factory.records import Record, clip_id
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace
from spatialfoley.media.flac import write_flac
from spatialfoley.media.sound_file import FloatArray, SoundFile, resampled_blocks
from spatialfoley.media.streamed_sound import StreamedSound, open_sound
from spatialfoley.media.video import Video, read_video
from spatialfoley.spatial.signal import Layout, SpatialAudio

_LAYOUTS: dict[str, Layout] = {"binaural": "binaural", "stereo": "stereo", "mono": "mono"}
_CHANNELS = {"binaural": 2, "stereo": 2, "mono": 1}


@dataclass(frozen=True)
class ViewClips:
    """Cuts views.

    Attributes:
        clip_s: Length of a clip.
        hop_s: From one beginning to the next, where the record does not list its clips.
        height_px: Greatest height of the picture; it is made smaller, never larger.
        rate_hz: Of the sound.
        crf: Quality of the H.264, 0 (lossless) to 51.
    """

    version: ClassVar[int] = 1
    clip_s: float = 8.0
    hop_s: float = 8.0
    height_px: int = 512
    rate_hz: int = 44100
    crf: int = 18

    def __post_init__(self) -> None:
        check_lengths(self.clip_s, self.hop_s)
        if not 0 <= self.crf <= 51:
            raise ValueError(f"crf is {self.crf}; give 0 (lossless) to 51")
        for name, least in (("height_px", 2), ("rate_hz", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Cut picture and sound at the same places."""
        if "view" not in record.files:
            raise ItemProblem("missing", f"record {record.id} has no view; a source gives it")
        picture = read_video(space.path(record.file("view"))).walked()
        convention = str(record.facts.get("convention", "stereo"))
        if convention not in _LAYOUTS:
            known = ", ".join(_LAYOUTS)
            return Rejected("convention", f"its sound is said to be {convention}; views have one of {known}")
        found = _sound_of(record, space, picture)
        if isinstance(found, Rejected):
            return found
        sound, origin_s = found
        if sound.channels not in (1, 2) or sound.channels < _CHANNELS[convention]:
            return Rejected(
                "channels",
                f"its sound has {sound.channels} channels, and it is said to be {convention}",
                {"channels": sound.channels},
            )
        with TemporaryDirectory(dir=space.root) as folder:
            blocks = sound.blocks(
                origin_s=origin_s, longest_s=None if origin_s is None else picture.duration_s
            )
            whole = self._at_rate(_mixed(blocks, convention), sound.rate_hz, convention, Path(folder))
            recording = Recording(record, picture, whole)
            wanted = places(recording, self.clip_s, self.hop_s)
            if isinstance(wanted, Rejected):
                return wanted
            return Passed(tuple(self._clip(recording, place, convention, space) for place in wanted))

    def _at_rate(
        self, blocks: Iterator[FloatArray], rate_hz: int, convention: str, folder: Path
    ) -> SoundFile:
        """The whole sound at the wanted rate, on disk: hours of it are cut in the memory of a clip."""
        layout = _LAYOUTS[convention]
        native = SoundFile.open(_written(folder / "native.wav", blocks, rate_hz, convention), layout)
        if rate_hz == self.rate_hz:
            return native
        count = timeline.sample_count(native.duration_s, self.rate_hz)
        resampled = resampled_blocks(native.blocks(), _CHANNELS[convention], rate_hz, self.rate_hz, count)
        return SoundFile.open(_written(folder / "resampled.wav", resampled, self.rate_hz, convention), layout)

    def _clip(self, recording: Recording, place: Place, convention: str, space: Workspace) -> Record:
        clip = clip_record(recording, place)
        if "start_s" in recording.record.facts:
            # It is a clip already: its part is known by its place in the recording that both are of.
            start_s = round(float(recording.record.facts["start_s"]) + place.start_s, 6)
            clip = clip.with_(id=clip_id(clip.recording, start_s), facts={"start_s": start_s})
        start = timeline.sample_count(place.start_s, self.rate_hz)
        # Its last sample may be one short of the picture's end.
        start = min(start, recording.sound.frames - timeline.sample_count(self.clip_s, self.rate_hz))
        samples = recording.sound.read(start, timeline.sample_count(self.clip_s, self.rate_hz))
        audio, gain_db = within_full_scale(SpatialAudio(samples, self.rate_hz, _LAYOUTS[convention]))
        files = {}
        with space.new_file(clip.id, convention, ".flac") as new:
            write_flac(new.path, audio)
        files[convention] = new.ref
        with space.new_file(clip.id, "view", ".mp4") as new:
            write_view(new.path, self._seen(recording.picture, place.start_s), self.clip_s, self.crf)
        files["view"] = new.ref
        facts: dict[str, Any] = {"duration_s": self.clip_s, "rate_hz": self.rate_hz}
        return clip.with_(files, {**facts, **({f"{convention}_gain_db": gain_db} if gain_db else {})})

    def _seen(self, picture: Video, start_s: float) -> Iterator[tuple[float, np.ndarray]]:
        stretch_s = min(self.clip_s, picture.duration_s - start_s)
        stretch = replace(picture, start_s=picture.start_s + start_s, duration_s=stretch_s)
        height = min(picture.height, self.height_px) // 2 * 2
        width = max(2, round(picture.width * height / picture.height / 2) * 2)
        yield from stretch.iterate_frames((height, width))


def _sound_of(
    record: Record, space: Workspace, picture: Video
) -> tuple[StreamedSound, float | None] | Rejected:
    """The sound and the moment of its clock at which the picture begins; None for a file of its own."""
    role = next(role for role in ("binaural", "sound", "view") if role in record.files)
    sound = open_sound(space.path(record.file(role)), (2, 1))
    if sound is None:
        return Rejected("channels", "it has no sound", {"channels": 0})
    return sound, picture.origin_s if role == "view" else None


def _mixed(blocks: Iterator[FloatArray], convention: str) -> Iterator[FloatArray]:
    """One channel where one is wanted."""
    for block in blocks:
        yield block.mean(axis=0, keepdims=True) if _CHANNELS[convention] == 1 else block


def _written(path: Path, blocks: Iterator[FloatArray], rate_hz: int, convention: str) -> Path:
    """A sound in floats, of any length."""
    channels = _CHANNELS[convention]
    with soundfile.SoundFile(str(path), "w", rate_hz, channels, "FLOAT", format="RF64") as file:
        for block in blocks:
            file.write(np.ascontiguousarray(block.T))
    return path


STAGE = ViewClips
