"""Choosing among several tries at a window: scores by name, one registry, higher is better.

Number, scores and weights are our reading of what ViSAGe-SC's slides call reranking. Every score sees all tries of
a window at once; they are brought to one scale before they are added up, each with the same weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from spatialfoley.conventions import W
from spatialfoley.generators.visage.candidates import choose_best
from spatialfoley.generators.visage.onset_agreement import onset_agreement
from spatialfoley.generators.visage.spatial_agreement import seen_vectors, spatial_agreement
from spatialfoley.media.view import VIEW_FOV_DEG
from spatialfoley.weights.agreement import AgreementScorer, load_plugin, only_plugin

DEFAULT_SCORES = ("likelihood", "spatial")

SILENT_PEAK = 1e-3
"""A sound that nowhere exceeds -60 dB of full scale counts as silence."""

AGREEMENT_RATE_HZ = 8.0
AGREEMENT_SIDE_PX = 224

FloatArray = NDArray[np.floating]
Show = Callable[[str], None]
"""Gets one line on a licence before the weights are read."""


@dataclass(frozen=True, eq=False)
class Takes:
    """All tries at one window, and what is seen in it; of a window that goes on from another, the new part.

    Attributes:
        log_likelihood: Mean log-probability of each try's tokens (N,).
        sounds: Fields (N, 4, samples) in the model's own axes, those of the camera or of the world.
        rate_hz: Their rate.
        energy_map: What stands out in each video frame (T, 49), over the same time.
        camera: Axes of the camera (T, 3, 3) in the axes of the sounds: ``v_sounds = camera @ v_camera``.
        look: Frames uint8 (T', side, side, 3) of a rate in Hz and a side in pixels, over the same time.
    """

    log_likelihood: FloatArray
    sounds: NDArray[np.float32]
    rate_hz: int
    energy_map: FloatArray
    camera: FloatArray
    look: Callable[[float, int], NDArray[np.uint8]]


Score = Callable[[Takes], Sequence[float]]
"""One number for each try, higher is better."""


@dataclass(frozen=True)
class Choice:
    """Which try of a window was taken.

    Attributes:
        chosen: Its number, from 0.
        scores: All scores of all tries, by name.
    """

    chosen: int
    scores: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class LoadedScore:
    """A score at work, and whose weights it needs, if any.

    Attributes:
        score: Of all tries of a window.
        weights: "name", "licence" and "weights_sha256" of a network; empty where there is none.
    """

    score: Score
    weights: Mapping[str, str] = field(default_factory=dict)


def likelihood(takes: Takes) -> Sequence[float]:
    """What the network itself finds likely."""
    return [float(value) for value in takes.log_likelihood]


def spatial(takes: Takes) -> Sequence[float]:
    """Whether the sound comes from where something is seen, as it moves; of an even picture, from its centre."""
    towards = seen_vectors(takes.energy_map, takes.camera, VIEW_FOV_DEG)
    return [spatial_agreement(sound, towards) for sound in takes.sounds]


def onset(takes: Takes) -> Sequence[float]:
    """Whether the sound begins when something is seen to happen."""
    return [onset_agreement(sound[W], takes.energy_map) for sound in takes.sounds]


def _audio_visual(show: Show, device: str) -> LoadedScore:
    scorer = load_plugin(only_plugin(), show, device)
    about = {"name": scorer.name, "licence": scorer.licence, "weights_sha256": scorer.weights_sha256}
    return LoadedScore(lambda takes: _agreement(scorer, takes), about)


def _agreement(scorer: AgreementScorer, takes: Takes) -> Sequence[float]:
    frames = takes.look(AGREEMENT_RATE_HZ, AGREEMENT_SIDE_PX)
    # Silence has no direction in the space of an embedding, and agrees with nothing.
    return [
        scorer(frames, AGREEMENT_RATE_HZ, sound[W], takes.rate_hz) if sound[W].any() else -1.0
        for sound in takes.sounds
    ]


SCORES: dict[str, Callable[[Show, str], LoadedScore]] = {
    "likelihood": lambda show, device: LoadedScore(likelihood),
    "spatial": lambda show, device: LoadedScore(spatial),
    "onset": lambda show, device: LoadedScore(onset),
    "audio-visual": _audio_visual,
}
"""Every score by name: a function that makes it ready, showing the licence of weights before it reads them."""


def score_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names of scores, as "likelihood,spatial" or one by one.

    Raises:
        ValueError: If one is unknown or stands twice, or there is none.
    """
    given = names.split(",") if isinstance(names, str) else list(names)
    known = tuple(name.strip() for name in given)
    unknown = [name for name in known if name not in SCORES]
    if unknown or not known:
        shown = repr(unknown[0]) if unknown else "empty"
        raise ValueError(f"rerank is {shown}; give one or more of {', '.join(SCORES)}")
    if len(set(known)) < len(known):
        raise ValueError(f"rerank is {','.join(known)}; name each score once")
    return known


def refuse_absent(names: Iterable[str]) -> None:
    """Raise ValueError where a score needs a network that is not installed."""
    if "audio-visual" in names:
        only_plugin()


class Reranker:
    """Some scores at work.

    Attributes:
        weights: For each score that has any, whose they are.
    """

    def __init__(self, scores: Mapping[str, LoadedScore]) -> None:
        self._scores = {name: loaded.score for name, loaded in scores.items()}
        self.weights = {name: loaded.weights for name, loaded in scores.items() if loaded.weights}

    @classmethod
    def load(cls, names: Iterable[str], show: Show, device: str = "cpu") -> Reranker:
        """Make scores ready.

        Args:
            names: Of `SCORES`.
            show: Gets a line on every licence before the weights are read.
            device: Where networks run.

        Raises:
            ValueError: If a score is unknown, or needs what is not installed.
        """
        return cls({name: SCORES[name](show, device) for name in score_names(names)})

    def choose(self, takes: Takes, sounding: bool) -> Choice:
        """The best try by the sum of all scores, among those that sound or among those that are silent.

        Silence is what a network finds likeliest, whatever is seen: chosen by likelihood it would win more often
        than it is drawn. So whether there is silence is left to the first try, which nobody chose.

        Args:
            takes: All tries.
            sounding: Whether silence is taken only where nothing else is there.

        Raises:
            ValueError: If a score is not finite.
        """
        scores = {name: tuple(float(value) for value in score(takes)) for name, score in self._scores.items()}
        heard = np.abs(takes.sounds).max(axis=(1, 2)) > SILENT_PEAK
        wanted = bool(heard.any()) if sounding else bool(heard[0])
        among = np.flatnonzero(heard == wanted)
        table = {name: torch.tensor(values)[None, among] for name, values in scores.items()}
        return Choice(int(among[int(choose_best(table)[0])]), scores)
