"""One clip: rendered once, given to all systems that still miss it, and scored."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from spatialfoley.evaluation.networks.world_classifier import WorldClassifier
from spatialfoley.evaluation.suite.clips import ClipTruth, WorldClip, clip_truth, make_world_clip
from spatialfoley.evaluation.suite.records import Record
from spatialfoley.evaluation.suite.scores import ClipEmbeddings, score_sound, turn_deg
from spatialfoley.evaluation.suite.settings import WorldSuiteSettings
from spatialfoley.evaluation.suite.systems import System
from spatialfoley.spatial.signal import SpatialAudio

TURN_DEG = 90.0

Scored = tuple[str, Record, ClipEmbeddings | None]
"""System, its record of a clip, and what it sounds like to the classifier; None where it failed."""


@dataclass(frozen=True)
class _Made:
    """A sound with the seconds it took on the clock and of the processor, its source's included; or why not."""

    sound: SpatialAudio | None
    seconds: float = 0.0
    processor_s: float = 0.0
    error: str | None = None


@dataclass(frozen=True, eq=False)
class ClipSounds:
    """One held-out clip and what systems make for it, each sound made once.

    Attributes:
        clip: What models see.
        truth: What they are scored against.
        systems: All systems of the run, by name.
    """

    clip: WorldClip
    truth: ClipTruth
    systems: dict[str, System]
    _kept: dict[str, _Made] = field(default_factory=dict)

    def of(self, name: str) -> SpatialAudio:
        """The sound of a system.

        Raises:
            RuntimeError: It could not be made, with the reason.
        """
        made = self.made(name)
        if made.sound is None:
            raise RuntimeError(made.error)
        return made.sound

    def made(self, name: str) -> _Made:
        """The same with its seconds; whatever a system raises becomes its error."""
        if name not in self._kept:
            self._kept[name] = self._make(self.systems[name])
        return self._kept[name]

    def forget(self, name: str) -> None:
        """Free a sound that nothing builds on."""
        if all(system.source != name for system in self.systems.values()):
            self._kept.pop(name, None)

    def _make(self, system: System) -> _Made:
        first = _Made(None) if system.source is None else self.made(system.source)
        if first.error is not None:
            return _Made(None, error=f"{system.source}, which it builds on, failed: {first.error}")
        started, busy = time.perf_counter(), time.process_time()
        try:
            sound = system.make(self.clip, self.truth, first.sound)
        except Exception as problem:
            # One bad clip must not cost the others: it is kept with its reason, counted and tried again.
            return _Made(None, error=_reason(problem))
        return _Made(
            sound,
            first.seconds + time.perf_counter() - started,
            first.processor_s + time.process_time() - busy,
        )


def open_clip(index: int, settings: WorldSuiteSettings, systems: Sequence[System]) -> ClipSounds:
    """Draw and render a clip of a suite."""
    clip = make_world_clip(
        index,
        settings.seed,
        settings.kinds,
        settings.view_size_px,
        settings.view_rate_hz,
        settings.duration_s,
        settings.camera,
    )
    return ClipSounds(clip, clip_truth(clip.scene), {system.name: system for system in systems})


def score_clip(
    index: int,
    settings: WorldSuiteSettings,
    systems: Sequence[System],
    wanted: Collection[str],
    classifier: WorldClassifier,
) -> Iterator[Scored]:
    """Scores of one clip, system after system.

    Args:
        index: Number of the clip.
        settings: Of the suite.
        systems: All systems, those that others build on first.
        wanted: Names of the systems to score; others are only asked for what is built on them.
        classifier: Knows the classes of the world.
    """
    sounds = open_clip(index, settings, systems)
    for system in systems:
        if system.name in wanted:
            yield _scored(index, settings, system, sounds, classifier)
            sounds.forget(system.name)


def _scored(
    index: int,
    settings: WorldSuiteSettings,
    system: System,
    sounds: ClipSounds,
    classifier: WorldClassifier,
) -> Scored:
    clip, truth = sounds.clip, sounds.truth
    record: Record = {
        "index": index,
        "seed": clip.seed,
        "kind": clip.scene.kind,
        "camera": clip.scene.camera_kind,
        "classes": list(truth.class_names),
        "layout": None,
        "seconds": None,
        "processor_s": None,
        "turn_deg": None,
        "turn_tested": False,
        "error": None,
    }
    made = sounds.made(system.name)
    if made.sound is None:
        return system.name, record | {"error": made.error}, None
    try:
        scores = score_sound(truth, made.sound, classifier)
        record |= {"layout": made.sound.layout, "scores": scores.document()}
        record |= {"seconds": made.seconds, "processor_s": made.processor_s}
        if system.is_model and made.sound.layout == "foa" and settings.is_turned(index):
            turned = system.make(clip.turned(TURN_DEG), truth, None)
            record["turn_tested"] = True
            record["turn_deg"] = turn_deg(truth, made.sound, turned, TURN_DEG)
    except Exception as problem:
        return system.name, record | {"error": _reason(problem)}, None
    return system.name, record, scores.heard


def _reason(problem: Exception) -> str:
    return f"{type(problem).__name__}: {problem}"
