"""Runs recordings through the screens as a build does, stage by stage, and says where each one ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from spatialfoley.dataset.factory.comparing import ComparingStage
from spatialfoley.dataset.factory.records import Record
from spatialfoley.dataset.factory.stage import Passed, Rejected, Stage, Workspace, load_stage, reference
from spatialfoley.dataset.screening.variants import SAME_EARS, Recording, same_ears
from spatialfoley.media.mux import write_frames
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.signal import SpatialAudio

SCREENS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("take_foa", {}),
    ("silence", {}),
    ("clipping", {}),
    ("foa_proof", {"reject_suspects": True}),
    ("static_video", {}),
    ("duplicates", {}),
)
"""Stages in the order of the recipes, suspicions of another convention taken for proof."""


@dataclass(frozen=True)
class Found:
    """Where a recording ended.

    Attributes:
        name: Of the recording.
        reason: Why it was left out; "kept" for one that was not.
        sentence: For people.
        numbers: What was measured.
    """

    name: str
    reason: str
    sentence: str = ""
    numbers: tuple[tuple[str, float], ...] = ()


class Trial:
    """A build of recordings in memory, in one process.

    Args:
        folder: Where files are made.
        screens: Stages and their settings.
    """

    def __init__(self, folder: Path, screens: Iterable[tuple[str, dict[str, Any]]] = SCREENS) -> None:
        self._folder = folder
        self._stages: list[tuple[str, Stage, Any]] = []
        for name, settings in screens:
            stage = load_stage(name, settings)
            earlier = stage.begin(()) if isinstance(stage, ComparingStage) else None
            self._stages.append((name, stage, earlier))

    def put_through(self, recording: Recording, sound: Path | None = None) -> Found:
        """Write a recording and send it through the screens; it counts as an earlier one for those that follow.

        Args:
            recording: What to write.
            sound: A file with its sound, instead of a WAV that is made.
        """
        record = write_recording(recording, self._folder)
        if sound is not None:
            record = record.with_({"sound": reference(sound)})
        for number, (name, stage, earlier) in enumerate(self._stages):
            outcome = stage.run(record, Workspace(self._folder, f"{number:02d}-{name}"))
            if isinstance(stage, ComparingStage) and isinstance(outcome, Passed):
                outcome, _ = stage.compare(outcome.records[0], earlier)
            if isinstance(outcome, Rejected):
                numbers = tuple(sorted(outcome.numbers.items()))
                return Found(recording.name, outcome.reason, outcome.sentence, numbers)
            (record,) = outcome.records
        return Found(recording.name, "kept")


def write_recording(recording: Recording, folder: Path, subtype: str = "FLOAT") -> Record:
    """A recording as files: a silent panorama and its sound beside it."""
    stem = "".join(letter if letter.isalnum() else "-" for letter in recording.name)
    sound, picture = folder / f"{stem}.wav", folder / f"{stem}.mp4"
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(sound, recording.field.T, recording.rate_hz, subtype=subtype)
    write_frames(picture, iter(recording.frames), recording.frame_rate_hz)
    return Record(stem, stem, {"sound": reference(sound), "panorama": reference(picture)})


def put_ears_through(recording: Recording, folder: Path) -> dict[str, Found]:
    """The ears of a field, and ears that hear the same, through the screen of equations 39 and 40; by way."""
    stage = load_stage("binaural_difference", {})
    field = SpatialAudio(recording.field, recording.rate_hz, "foa")
    heard = {"rendered": render_binaural(field).samples}
    heard |= {way: same_ears(recording.field[0], way) for way in SAME_EARS}
    found = {}
    for way, ears in heard.items():
        path = folder / f"ears-{way}.wav"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, ears.T, recording.rate_hz, subtype="FLOAT")
        outcome = stage.run(Record("ears", "ears", {"binaural": reference(path)}), Workspace(folder, "ears"))
        reason = outcome.reason if isinstance(outcome, Rejected) else "kept"
        numbers = outcome.numbers if isinstance(outcome, Rejected) else outcome.records[0].facts
        found[way] = Found(f"{recording.name} {way}", reason, "", tuple(sorted(numbers.items())))
    return found
