"""Takes the sound field of a recording out of whatever holds it: role "foa", AmbiX, FLAC of 24 bit.

The sound is the file of role "sound", or the panorama's own track; it keeps its rate and begins with the picture.
Four channels are W, Y, Z, X (FuMa is converted); six have head-locked stereo behind them, kept as "headlocked".
Hours of it are worked on in blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile

from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace
from spatialfoley.media.audio import AMBIX_COMMENT
from spatialfoley.media.sound_file import FloatArray
from spatialfoley.media.streamed_sound import StreamedSound, open_sound
from spatialfoley.media.video import read_video
from spatialfoley.spatial.foa import from_fuma

FOA_CHANNELS, FOA_HEADLOCKED_CHANNELS = 4, 6
CONVENTIONS = ("ambix", "fuma", "unknown")

_FULL_SCALE_24 = 1 << 23
_COMMENTS = {"foa": AMBIX_COMMENT, "headlocked": "head-locked stereo of an AmbiX recording"}
_LOSSY = ("aac", "ac3", "eac3", "opus", "vorbis", "mp3")


@dataclass(frozen=True)
class TakeFoa:
    """Adds "foa", and "headlocked" where it is there and not silent.

    Attributes:
        keep_headlocked: Keep head-locked stereo.
    """

    version: ClassVar[int] = 1
    keep_headlocked: bool = True

    def run(self, record: Record, space: Workspace) -> Outcome:
        """Decode the sound and write it as AmbiX."""
        if "foa" in record.files:
            return Passed((record,))
        convention = record.facts.get("convention", "ambix")
        if convention not in CONVENTIONS:
            return Rejected(
                "convention", f"its sound is said to be {convention}; FOA is one of {', '.join(CONVENTIONS)}"
            )
        found = _sounds(record, space)
        if not found:
            return Rejected("channels", "it has no sound", {"channels": 0})
        sound, origin_s, picture_s = next((one for one in found if _why_not(one[0]) is None), found[0])
        reason = _why_not(sound)
        if reason is not None:
            return Rejected("channels", reason, {"channels": sound.channels})
        blocks = _Blocks(sound, origin_s, picture_s, convention == "fuma")
        files, taken = _write(blocks, self.keep_headlocked, record, space)
        return Passed((record.with_(files, _facts(sound, taken, convention)),))


@dataclass(frozen=True)
class _Blocks:
    """The sound in AmbiX, as often as it is wanted."""

    sound: StreamedSound
    origin_s: float | None
    picture_s: float | None
    fuma: bool

    def read(self) -> Iterator[FloatArray]:
        for block in self.sound.blocks(origin_s=self.origin_s, longest_s=self.picture_s):
            if self.fuma:
                block = np.concatenate([from_fuma(block[:FOA_CHANNELS]), block[FOA_CHANNELS:]])
            yield block


@dataclass(frozen=True)
class _Taken:
    """What a pass found: samples, largest magnitudes of field and stereo, and the gain that was applied."""

    frames: int
    peaks: tuple[float, float]
    gain: float


def _sounds(record: Record, space: Workspace) -> list[tuple[StreamedSound, float | None, float | None]]:
    """Sounds of a recording with the moment at which its picture begins and the picture's length."""
    found: list[tuple[StreamedSound, float | None, float | None]] = []
    wanted = (FOA_CHANNELS, FOA_HEADLOCKED_CHANNELS)
    if "sound" in record.files:
        beside = open_sound(space.path(record.file("sound")), wanted)
        if beside is not None:
            # A file of its own has a clock of its own: its first sample belongs to the first picture.
            found.append((beside, None, None))
    if "panorama" in record.files:
        path = space.path(record.file("panorama"))
        inside = open_sound(path, wanted)
        if inside is not None:
            picture = read_video(path)
            found.append((inside, picture.origin_s, picture.duration_s))
    if not record.files.keys() & {"sound", "panorama"}:
        raise ItemProblem("missing", f"record {record.id} has neither a sound nor a panorama")
    return found


def _why_not(sound: StreamedSound) -> str | None:
    """Why a sound cannot be first-order Ambisonics; None if it may be."""
    if sound.channels not in (FOA_CHANNELS, FOA_HEADLOCKED_CHANNELS):
        return f"its sound has {sound.channels} channels; FOA has 4, or 6 with head-locked stereo"
    if ".1" in sound.layout and sound.codec in _LOSSY:
        # Measured: of noise on all six, AAC and Opus keep 1 to 2 % of the energy of the fourth, which would be X.
        return (
            f"its {sound.channels} channels of {sound.codec} are loudspeakers ({sound.layout}): "
            "the fourth holds low frequencies only"
        )
    return None


def _write(
    blocks: _Blocks, keep_headlocked: bool, record: Record, space: Workspace
) -> tuple[dict[str, FileRef], _Taken]:
    with ExitStack() as stack:
        new = {"foa": stack.enter_context(space.new_file(record.id, "foa", ".flac"))}
        taken = _pass(blocks, {"foa": new["foa"].path}, 1.0)
        # Decoders overshoot and floats may be louder than full scale: one gain for all keeps the directions.
        gain = 1.0 / max(1.0, *taken.peaks)
        again = dict(new) if gain != 1.0 else {}
        if keep_headlocked and taken.peaks[1] > 0.0:
            new["headlocked"] = again["headlocked"] = stack.enter_context(
                space.new_file(record.id, "headlocked", ".flac")
            )
        if again:
            _pass(blocks, {role: file.path for role, file in again.items()}, gain)
    return {role: file.ref for role, file in new.items()}, replace(taken, gain=gain)


def _pass(blocks: _Blocks, paths: dict[str, Path], gain: float) -> _Taken:
    """Write the whole sound once."""
    frames, peaks = 0, [0.0, 0.0]
    parts = {"foa": slice(0, FOA_CHANNELS), "headlocked": slice(FOA_CHANNELS, FOA_HEADLOCKED_CHANNELS)}
    with ExitStack() as stack:
        writers = {}
        for role, path in paths.items():
            channels = parts[role].stop - parts[role].start
            writer = soundfile.SoundFile(
                str(path), "w", blocks.sound.rate_hz, channels, "PCM_24", format="FLAC"
            )
            writers[role] = stack.enter_context(writer)
            writer.comment = _COMMENTS[role]
        for block in blocks.read():
            frames += block.shape[1]
            for number, (role, part) in enumerate(parts.items()):
                peaks[number] = max(peaks[number], float(np.max(np.abs(block[part]), initial=0.0)))
                if role in writers:
                    writers[role].write(_whole_numbers(block[part] * gain))
    return _Taken(frames, (peaks[0], peaks[1]), gain)


def _whole_numbers(block: FloatArray) -> np.ndarray:
    """Samples as the upper 24 bits of int32, interleaved: 16 and 24 bit sources come out as they were."""
    scaled = np.rint(block.T.astype(np.float64) * _FULL_SCALE_24)
    clipped = np.clip(scaled, -_FULL_SCALE_24, _FULL_SCALE_24 - 1).astype(np.int32)
    return np.ascontiguousarray(clipped << 8)


def _facts(sound: StreamedSound, taken: _Taken, convention: str) -> dict[str, object]:
    facts: dict[str, object] = {
        "convention": "ambix" if convention == "fuma" else convention,
        "rate_hz": sound.rate_hz,
        "sound_duration_s": round(taken.frames / sound.rate_hz, 6),
        "sound_codec": sound.codec,
        "sound_layout": sound.layout,
        "sound_channels": sound.channels,
    }
    if convention == "fuma":
        facts["source_convention"] = "fuma"
    if taken.gain != 1.0:
        facts["gain_db"] = round(20.0 * math.log10(taken.gain), 3)
    return facts


STAGE = TakeFoa
