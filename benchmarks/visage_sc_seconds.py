"""Processor seconds of the parts of generation, and of training, for `visage_sc_ablation.py`."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

from spatialfoley.codecs.chain import ChainedCodec, chained, load_chain_codec
from spatialfoley.evaluation.suite.clips import WorldClip
from spatialfoley.features import FrameFeatures
from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import GenerationSettings
from spatialfoley.spatial.signal import SpatialAudio

CANDIDATES = 4
CHAIN = ("tiny",)


def settings_of(clip: WorldClip, candidates: int = 1) -> GenerationSettings:
    """How the tokens of a clip are drawn; the chain is a matter of its own here."""
    return GenerationSettings(seed=clip.seed, candidates=candidates)


class SeenFrames:
    """A visual encoder that looks at the same frames once, for all models that share it.

    Attributes:
        remembers: Whether what was seen before is not looked at again.
    """

    def __init__(self, encoder: Any, known: dict[bytes, FrameFeatures], identity: str) -> None:
        self._encoder, self._known, self._identity = encoder, known, identity.encode()
        self.remembers = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def __call__(self, frames: np.ndarray) -> FrameFeatures:
        """As the encoder."""
        key = hashlib.blake2b(self._identity + str(frames.shape).encode() + frames.tobytes()).digest()
        if not self.remembers or key not in self._known:
            self._known[key] = self._encoder(frames)
        return self._known[key]


class TimedCodec:
    """A codec that counts the processor seconds of decoding."""

    def __init__(self, codec: Any) -> None:
        self._codec = codec
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """As the codec."""
        started = process_time()
        sound: torch.Tensor = self._codec.decode(codes)
        self.seconds += process_time() - started
        return sound


def timed(pipe: Pipeline, codec: TimedCodec, clip: WorldClip, post: bool) -> dict[str, float]:
    """Processor seconds of the parts of one clip; candidates and their choice count as sampling and decoding."""
    seen = pipe.steps.features
    assert isinstance(seen, SeenFrames)
    seen.remembers = False
    picture_s = _seconds_of(lambda: pipe.encode(clip.video, clip.camera))
    seen.remembers = True
    # Generating reads the frames once more, and knows what is seen on them.
    reading_s = _seconds_of(lambda: pipe.encode(clip.video, clip.camera))
    codec.seconds = 0.0
    made: list[SpatialAudio] = []
    settings = settings_of(clip, CANDIDATES if post else 1)
    generating_s = _seconds_of(lambda: made.append(pipe.generate(clip.video, clip.camera, settings).foa))
    generating_s -= reading_s
    chain_s = _seconds_of(lambda: through_chain(made[0])) if post else 0.0
    return {
        "picture_s": picture_s,
        "sampling_s": generating_s - codec.seconds,
        "decoding_s": codec.seconds,
        "generating_s": generating_s,
        "chain_s": chain_s,
        "whole_s": generating_s + chain_s,
    }


def _seconds_of(work: Callable[[], object]) -> float:
    started = process_time()
    work()
    return process_time() - started


def through_chain(field: SpatialAudio) -> SpatialAudio:
    """A field after the codecs of the chain."""
    for name in CHAIN:
        field = chained(field, _link(name))
    return field


@cache
def _link(name: str) -> ChainedCodec:
    return load_chain_codec(name)


def training_step_s(model: Path) -> float | None:
    """Processor seconds of a training step of a run, by the record beside its model; None without one."""
    record = model.parent / "run.json"
    if not record.is_file():
        return None
    found = json.loads(record.read_text(encoding="utf-8"))
    # What was trained before a run was killed has left no seconds.
    steps = found["steps"] - found.get("resumed_at", 0)
    return float(found["cpu_s"]) / steps if steps > 0 else None


def training_s(model: Path) -> float | None:
    """Processor seconds of the whole training, of as many steps as it has."""
    step_s = training_step_s(model)
    if step_s is None:
        return None
    return step_s * float(json.loads((model.parent / "run.json").read_text(encoding="utf-8"))["steps"])
