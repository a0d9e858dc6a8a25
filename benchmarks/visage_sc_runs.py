"""Runs of the ViSAGe-SC ablation: found, loaded, heard and timed, for `visage_sc_ablation.py`."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.visage_sc_seconds import (
    CANDIDATES,
    CHAIN,
    SeenFrames,
    TimedCodec,
    settings_of,
    through_chain,
    timed,
)
from numpy.typing import NDArray

from spatialfoley.evaluation.study.ablation import Make
from spatialfoley.evaluation.study.slides import SlideScorer, SlideScores
from spatialfoley.evaluation.suite.clips import WorldClip
from spatialfoley.features import FrameFeatures
from spatialfoley.media.atomic import atomic_path
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.loading import load_pipeline
from spatialfoley.spatial.signal import SpatialAudio

LABELS = ("rvq", "single", "tuned", "rotated", "signed-rvq", "signed-single", "signed", "paired")
"""What `visage_sc_ablation_train.py` calls its runs: a folder LABEL-SEED each."""

POST = "+post"
WAYS: dict[str, tuple[int, tuple[str, ...]]] = {
    "": (1, ()),
    "+candidates": (CANDIDATES, ()),
    "+chain": (1, CHAIN),
    POST: (CANDIDATES, CHAIN),
}
"""Candidates and chain of a model's rows, by what follows its label."""

PROCESSED = {"tuned": tuple(WAYS), "rotated": ("", POST), "signed": ("", POST)}
"""Ways of models that have rows with post-processing too; taken apart once, for the step that it is."""


SCORING_CODE = (
    "evaluation/metrics",
    "evaluation/networks",
    "evaluation/pairs",
    "evaluation/study/slides.py",
    "evaluation/study/paired.py",
    "evaluation/suite/clips.py",
    "evaluation/suite/scores.py",
    "spatial",
    "world",
)
"""What scores depend on besides models and clips; scores of other code are made anew."""

Seconds = dict[str, NDArray[np.floating]]
"""By part ("picture_s", "sampling_s", "decoding_s", "chain_s"), one value per timed clip."""


@dataclass(frozen=True)
class Run:
    """One trained model, or one of the package.

    Attributes:
        label: Of its rows.
        place: Its model folder, or its name.
        seed: Of its training.
    """

    label: str
    place: Path
    seed: int


def root_runs(root: Path) -> list[Run]:
    """The finished runs of a folder, in the order of the rows and of their seeds."""
    found = []
    for label in LABELS:
        seeds = (path.name.removeprefix(f"{label}-") for path in root.glob(f"{label}-*"))
        for seed in sorted(int(text) for text in seeds if text.isdigit()):
            place = root / f"{label}-{seed}" / "model"
            if (place / "pipeline.json").is_file():
                found.append(Run(label, place, seed))
    return found


def label_of(row: str) -> str:
    """The label of the models of a row."""
    return row.partition("+")[0]


class Models:
    """Loads runs; pictures are encoded once for all that see alike."""

    def __init__(self) -> None:
        self._seen: dict[bytes, FrameFeatures] = {}

    def load(self, place: Path) -> Pipeline:
        """The pipeline of a run, or of a model of the package.

        Raises:
            ValueError: It is no model of ViSAGe's kind.
        """
        pipe = load_pipeline(place if place.is_dir() else str(place), device="cpu")
        if not isinstance(pipe, Pipeline):
            raise ValueError(f"{place} is no model of tokens")
        eyes = pipe.describe()["weights_sha256"]["features"]
        pipe.steps = replace(pipe.steps, features=SeenFrames(pipe.features, self._seen, eyes))
        return pipe


def identity_of(pipe: Pipeline) -> dict[str, Any]:
    """What a run's sound depends on."""
    about = pipe.describe()
    return {
        "weights": about["weights_sha256"],
        "config": pipe.model.config.to_dict(),
        "defaults": str(pipe.defaults),
        "kernel": about["kernel"],
    }


class Made:
    """Fields of one run, each made once: as they are, chosen among candidates, and both after the chain."""

    def __init__(self, pipe: Pipeline) -> None:
        self._pipe = pipe
        self._known: dict[tuple[int, int], SpatialAudio] = {}

    def way(self, name: str) -> Make:
        """What makes the field of a clip in one of `WAYS`."""
        candidates, chain = WAYS[name]

        def make(clip: WorldClip) -> SpatialAudio:
            field = self._generated(clip, candidates)
            return through_chain(field) if chain else field

        return make

    def _generated(self, clip: WorldClip, candidates: int) -> SpatialAudio:
        key = (clip.index, candidates)
        if key not in self._known:
            settings = settings_of(clip, candidates)
            self._known[key] = self._pipe.generate(clip.video, clip.camera, settings).foa
        return self._known[key]


def through_codec(codec: Any, field: SpatialAudio) -> SpatialAudio:
    """A field encoded and decoded by a model's own codec."""
    if field.rate_hz != codec.rate_hz:
        raise ValueError(f"the codec is for {codec.rate_hz} Hz, the field has {field.rate_hz} Hz")
    with torch.inference_mode():
        sound = codec.decode(codec.encode(torch.from_numpy(field.samples)[None]))[0, :, : field.frames]
    return SpatialAudio(sound.float().numpy(), field.rate_hz, "foa")


class Kept:
    """Arrays on disk under a name that says what they depend on."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder, self.identity = folder, dict(identity)
        folder.mkdir(parents=True, exist_ok=True)

    def of(
        self, about: Mapping[str, Any], make: Callable[[], Mapping[str, NDArray[np.floating]]]
    ) -> dict[str, NDArray[np.floating]]:
        """Those kept, or those that `make` makes."""
        text = json.dumps({**self.identity, **about}, sort_keys=True, default=str)
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.npz"
        if not path.exists():
            arrays = make()
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        with np.load(path) as file:
            return {name: file[name] for name in file.files}


class Study:
    """Scores and seconds of runs on one set of clips."""

    def __init__(self, scorer: SlideScorer, kept: Kept) -> None:
        self.scorer, self.kept, self.models = scorer, kept, Models()
        self.fields = {item.clip.index: item.truth.field for item in scorer.clips}

    def score(self, name: str, about: Mapping[str, Any], make: Make) -> SlideScores:
        """Scores of what a function makes, or those kept of the same model, settings and clips."""

        def scored() -> Mapping[str, NDArray[np.floating]]:
            report = lambda done: print(f"\r{name}: {done:.0%} ", end="", file=sys.stderr, flush=True)  # noqa: E731
            scores = self.scorer.score(make, report).arrays()
            print(file=sys.stderr)
            return scores

        return SlideScores.of_arrays(self.kept.of({"of": about}, scored))

    def rows(self, runs: Sequence[Run]) -> tuple[dict[str, list[SlideScores]], dict[str, SlideScores]]:
        """Scores of all runs by row, and of the truth through their codecs by row."""
        rows: dict[str, list[SlideScores]] = {}
        ceilings: dict[str, SlideScores] = {}
        for run in runs:
            try:
                pipe = self.models.load(run.place)
            except (ValueError, RuntimeError, OSError) as problem:
                print(f"{run.place} left out: {str(problem).splitlines()[0]}", file=sys.stderr)
                continue
            about, made = identity_of(pipe), Made(pipe)
            for way in PROCESSED.get(run.label, ("",)):
                name = f"{run.label}-{run.seed}{way}"
                rows.setdefault(run.label + way, []).append(
                    self.score(name, {**about, "way": WAYS[way]}, made.way(way))
                )
                if way in ("", POST) and run.label + way not in ceilings:
                    ceilings[run.label + way] = self.ceiling(pipe, bool(way))
        return rows, ceilings

    def ceiling(self, pipe: Pipeline, chain: bool) -> SlideScores:
        """Scores of the truth through a model's codec, and through the chain."""

        def make(clip: WorldClip) -> SpatialAudio:
            coded = through_codec(pipe.codec, self.fields[clip.index])
            return through_chain(coded) if chain else coded

        about = {"codec": pipe.describe()["weights_sha256"]["codec"], "chain": CHAIN if chain else None}
        return self.score("truth through the codec" + " and the chain" * chain, about, make)

    def truth(self) -> SlideScores:
        """Scores of the truth itself: what the figures can reach."""
        return self.score("truth", {"truth": True}, lambda clip: self.fields[clip.index])

    def seconds(self, runs: Mapping[str, Run], clips: int) -> dict[str, Seconds]:
        """Processor seconds of each row, clip by clip in turn.

        Args:
            runs: The run that stands for each row.
            clips: How many of the clips are timed.
        """
        pipes = {row: self.models.load(run.place) for row, run in runs.items()}
        about = {"timed": {row: identity_of(pipe) for row, pipe in pipes.items()}, "timed_clips": clips}
        arrays = self.kept.of(about, lambda: self._measured(pipes, clips))
        found: dict[str, Seconds] = {row: {} for row in runs}
        for name, values in arrays.items():
            row, _, part = name.rpartition("/")
            found[row][part] = values
        return found

    def _measured(self, pipes: Mapping[str, Pipeline], clips: int) -> dict[str, NDArray[np.floating]]:
        codecs: dict[str, TimedCodec] = {}
        parts: dict[str, list[float]] = {}
        for row, pipe in pipes.items():
            codecs[row] = TimedCodec(pipe.codec)
            pipe.steps = replace(pipe.steps, codec=codecs[row])
        for number, item in enumerate(self.scorer.clips[:clips]):
            for row, pipe in pipes.items():
                # The pass that was less disturbed: what shares a core slows it down without taking its time.
                both = [timed(pipe, codecs[row], item.clip, row.endswith(POST)) for _ in range(2)]
                for part, value in min(both, key=lambda one: one["whole_s"]).items():
                    parts.setdefault(f"{row}/{part}", []).append(value)
            print(f"\rseconds: {(number + 1) / clips:.0%} ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return {name: np.array(values) for name, values in parts.items()}
