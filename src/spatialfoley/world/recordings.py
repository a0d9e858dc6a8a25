"""Recorded sounds in place of procedural ones: a folder with one sub-folder per class."""

from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from spatialfoley.media.audio import read_audio, resample
from spatialfoley.world.events import Event
from spatialfoley.world.kinds import CLASSES
from spatialfoley.world.scenes import Source

STROKE_S: Final = 0.6
FADE_S: Final = 0.05
ONSET_BELOW_PEAK: Final = 0.05
PEAK: Final = 0.6
SUFFIXES: Final = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".m4a")


def class_folders(recordings: Path) -> dict[str, Path]:
    """Map each class to a sub-folder: the one of its name, else the sub-folders in order, again and again.

    Args:
        recordings: Folder of sub-folders that hold sound files.

    Raises:
        ValueError: If there is no such folder or no sub-folder in it.
    """
    folders = sorted(path for path in recordings.iterdir() if path.is_dir()) if recordings.is_dir() else []
    if not folders:
        raise ValueError(f"recordings is {recordings}; it must be a folder with one sub-folder per class")
    named = {path.name.lower(): path for path in folders}
    return {name: named.get(name, folders[index % len(folders)]) for index, name in enumerate(CLASSES)}


def recorded_sound(recordings: Path, source: Source, event: Event, rate_hz: int) -> np.ndarray:
    """Return what one event of a source sounds like: the loudest stretch of a recording, from its onset on.

    A source keeps to one recording, so that its events belong together.

    Args:
        recordings: Folder of recordings.
        source: The source; its class chooses the sub-folder and its seed the file.
        event: The event; sustained ones take as much of the recording as they last.
        rate_hz: Sample rate.

    Returns:
        Samples with a peak of 0.6, shape (N,), starting at the event.

    Raises:
        ValueError: If the class's folder holds no sound file.
    """
    folder = class_folders(recordings)[source.class_name]
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(
            f"recordings has no sound file in {folder}; put at least one of {', '.join(SUFFIXES)}"
        )
    sound = _read_mono(files[source.sound_seed % len(files)], rate_hz)
    length = round((event.length_s + FADE_S if source.kind.sustained else STROKE_S) * rate_hz)
    stretch = _from_onset(sound, length)
    peak = float(np.abs(stretch).max(initial=0.0))
    fade = min(len(stretch), round(FADE_S * rate_hz))
    stretch[len(stretch) - fade :] *= np.linspace(1, 0, fade)
    return stretch * (PEAK / peak) if peak > 0 else stretch


@lru_cache(maxsize=64)
def _read_mono(path: Path, rate_hz: int) -> np.ndarray:
    audio = read_audio(path)
    return resample(audio.samples.mean(axis=0, keepdims=True), audio.rate_hz, rate_hz)[0]


def _from_onset(sound: np.ndarray, length: int) -> np.ndarray:
    """Return a copy of the stretch that begins at the onset of the loudest window of ``length`` samples."""
    energy = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    starts = np.arange(max(len(sound) - length, 0) + 1)
    loudest = int(np.argmax(energy[np.minimum(starts + length, len(sound))] - energy[starts]))
    window = np.abs(sound[loudest : loudest + length])
    onset = loudest + int(np.argmax(window >= ONSET_BELOW_PEAK * window.max(initial=0.0)))
    return sound[onset : onset + length].astype(np.float64)
