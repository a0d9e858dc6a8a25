"""Run a generator over held-out clips of the synthetic world and score it beside what is known to be good or bad.

A generator makes a field, two ears or one channel; fields are scored as heard by two ears too, so that all
generators stand in one table. Every clip is scored by itself and written to `clips.jsonl` at once (embeddings for
distances between sets beside it), so that an interrupted run goes on where it stopped; a clip that failed is
recorded with its reason, counted, and tried again by the next run.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.conventions import W
from spatialfoley.evaluation.networks.world_classifier import WorldClassifier, load_world_classifier
from spatialfoley.evaluation.suite.clips import (
    SCORE_RATE_HZ,
    ClipTruth,
    WorldClip,
    clip_truth,
    make_world_clip,
)
from spatialfoley.evaluation.suite.figures import Embeddings, SuiteResult, summarise
from spatialfoley.evaluation.suite.report import write_report
from spatialfoley.evaluation.suite.scores import score_sound, turn_deg
from spatialfoley.generators.spatializer.ambi_encode import ambi_encode
from spatialfoley.media.atomic import atomic_path
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.world import SCENE_KINDS
from spatialfoley.world.scenes import CameraKind, SceneKind

Generate = Callable[[WorldClip], SpatialAudio]
CodecRoundTrip = Callable[[SpatialAudio], SpatialAudio]
Progress = Callable[[str, float], None]

TURN_DEG = 90.0
TURN_KINDS: tuple[SceneKind, ...] = ("centred", "in_view")

_SCORES_VERSION = 2
"""Which scores a record holds: folders of other ones are not gone on with."""


@dataclass(frozen=True)
class WorldSuiteSettings:
    """What is run.

    Attributes:
        clips: Number of held-out clips; kinds of scene take turns.
        seed: Seed of the suite: which clips.
        kinds: Kinds of scene.
        duration_s: Length of a clip.
        view_size_px: Width and height of the pictures shown.
        view_rate_hz: Frames per second of the pictures shown.
        turn_clips: On how many clips with the source in view the camera-turn test generates a second time;
            only fields are tested, as ears turn with the camera.
        camera: "static" or "turning"; None draws, about a third turns.
    """

    clips: int = 200
    seed: int = 0
    kinds: tuple[SceneKind, ...] = SCENE_KINDS
    duration_s: float = 5.0
    view_size_px: int = 128
    view_rate_hz: float = 20.0
    turn_clips: int = 40
    camera: CameraKind | None = None

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips is {self.clips}; it must be 1 or more")
        if not self.kinds or any(kind not in SCENE_KINDS for kind in self.kinds):
            raise ValueError(f"kinds is {self.kinds}; choose from {', '.join(SCENE_KINDS)}")
        if not self.duration_s >= 1:
            raise ValueError(
                f"duration_s is {self.duration_s}; it must be 1 or more, windows of 1 s are scored"
            )
        if self.camera not in (None, "static", "turning"):
            raise ValueError(f"camera is {self.camera!r}; it must be static, turning or None")
        if self.turn_clips < 0:
            raise ValueError(f"turn_clips is {self.turn_clips}; it must be 0 or more")


def run_world_suite(
    generate: Generate,
    settings: WorldSuiteSettings,
    folder: Path,
    codec_round_trip: CodecRoundTrip | None = None,
    label: str = "generated",
    classifier: WorldClassifier | None = None,
    progress: Progress | None = None,
) -> SuiteResult:
    """Generate, score and report.

    Beside the generator's sound these are scored on every clip: the truth; the true mono sound placed at
    the camera's centre ("ambi_encode"), to the ears one channel given twice; noise of the truth's level,
    independent in all channels ("noise"); and the truth passed through the codec ("codec") when one is given.

    Args:
        generate: Makes a world-locked field, two ears at the camera, or one channel for a clip from its video,
            camera and seed.
        settings: What is run.
        folder: Where `clips.jsonl`, `results.json` and `report.md` go.
        codec_round_trip: Encodes and decodes a field, as good as tokens can say it.
        label: Name of what is scored, for the report; a folder holds one.
        classifier: Knows the classes of the world; None: the one in the package.
        progress: Called with a label and the fraction done.

    Raises:
        ValueError: The folder holds clips of other settings or another label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = _open_records(folder, settings, label)
    listener = classifier or load_world_classifier()
    with (folder / "clips.jsonl").open("a", encoding="utf-8") as lines:
        for index in range(settings.clips):
            done = index in records and records[index]["error"] is None
            if not (done and _embeddings_file(folder, index).exists()):
                records[index], embeddings = _clip_record(
                    generate, index, settings, codec_round_trip, listener
                )
                _write_embeddings(_embeddings_file(folder, index), embeddings)
                lines.write(json.dumps(records[index]) + "\n")
                lines.flush()
            if progress:
                progress(f"clip {index + 1} of {settings.clips}", (index + 1) / settings.clips)
    good = [index for index in range(settings.clips) if records[index]["error"] is None]
    embedded = [_read_embeddings(_embeddings_file(folder, index)) for index in good]
    result = summarise([records[index] for index in range(settings.clips)], embedded, asdict(settings), label)
    write_report(result, folder)
    return result


def _clip_record(
    generate: Generate,
    index: int,
    settings: WorldSuiteSettings,
    codec_round_trip: CodecRoundTrip | None,
    classifier: WorldClassifier,
) -> tuple[dict[str, Any], Embeddings]:
    """All scores of one clip; whatever the generator or the codec raises becomes the clip's error."""
    clip = make_world_clip(
        index,
        settings.seed,
        settings.kinds,
        settings.view_size_px,
        settings.view_rate_hz,
        settings.duration_s,
        settings.camera,
    )
    truth = clip_truth(clip.scene)
    record: dict[str, Any] = {
        "index": index,
        "seed": clip.seed,
        "kind": clip.scene.kind,
        "camera": clip.scene.camera_kind,
        "classes": list(truth.class_names),
        "layout": None,
        "seconds": None,
        "turn_deg": None,
        "turn_tested": False,
        "error": None,
    }
    sounds = _baselines(clip, truth)
    embeddings: Embeddings = {}
    try:
        if codec_round_trip is not None:
            sounds["codec"] = codec_round_trip(truth.field)
        started = time.perf_counter()
        generated = sounds["generated"] = generate(clip)
        record["seconds"] = time.perf_counter() - started
        record["layout"] = generated.layout
        if generated.layout == "foa" and _is_turned(index, settings):
            record["turn_tested"] = True
            record["turn_deg"] = turn_deg(truth, generated, generate(clip.turned(TURN_DEG)), TURN_DEG)
        scores = {name: score_sound(truth, sound, classifier) for name, sound in sounds.items()}
        record["scores"] = {name: score.document() for name, score in scores.items()}
        embeddings = {name: score.embeddings for name, score in scores.items()}
    except Exception as problem:
        # One bad clip must not cost the others: it is kept with its reason, counted and tried again.
        record["error"] = f"{type(problem).__name__}: {problem}"
    return record, embeddings


def _baselines(clip: WorldClip, truth: ClipTruth) -> dict[str, SpatialAudio]:
    level = float(np.sqrt(np.mean(truth.field.samples[W].astype(np.float64) ** 2)))
    noise = np.random.default_rng(clip.seed).normal(0, level, truth.field.samples.shape)
    mono = SpatialAudio(truth.mono[None], SCORE_RATE_HZ, "mono")
    return {
        "truth": truth.field,
        "ambi_encode": ambi_encode(mono, clip.camera),
        "noise": SpatialAudio(noise.astype(np.float32), SCORE_RATE_HZ, "foa"),
    }


def _is_turned(index: int, settings: WorldSuiteSettings) -> bool:
    """Whether the clip is among the first `turn_clips` ones with a single source in view."""
    kinds = settings.kinds
    if kinds[index % len(kinds)] not in TURN_KINDS:
        return False
    before = sum(kinds[i % len(kinds)] in TURN_KINDS for i in range(index))
    return before < settings.turn_clips


def _embeddings_file(folder: Path, index: int) -> Path:
    return folder / "embeddings" / f"{index:05d}.npz"


def _write_embeddings(path: Path, embeddings: Embeddings) -> None:
    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        halves: dict[str, Any] = {name: values.astype(np.float16) for name, values in embeddings.items()}
        np.savez(file, **halves)


def _read_embeddings(path: Path) -> Embeddings:
    with np.load(path) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def _open_records(folder: Path, settings: WorldSuiteSettings, label: str) -> dict[int, dict[str, Any]]:
    """Clips of an earlier run; the last line of a clip counts, a line cut off by an interruption does not."""
    # The number of clips may grow from run to run; anything else would mix different figures.
    identity = json.loads(json.dumps({"label": label, "scores": _SCORES_VERSION, **asdict(settings)}))
    del identity["clips"]
    path = folder / "suite.json"
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in identity if earlier.get(key) != identity[key]]
        if changed:
            raise ValueError(
                f"{folder} holds a run with other {', '.join(changed)} "
                f"({', '.join(str(earlier.get(key)) for key in changed)}); give an empty folder"
            )
    path.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
    records: dict[int, dict[str, Any]] = {}
    lines = folder / "clips.jsonl"
    if not lines.exists():
        return records
    complete, _, rest = lines.read_text(encoding="utf-8").rpartition("\n")
    if rest:
        lines.write_text(complete + "\n" if complete else "", encoding="utf-8")
    for line in complete.splitlines():
        record = json.loads(line)
        records[record["index"]] = record
    return records
