"""What listeners say of a whole set of pairs: Fréchet distances and divergences per view.

Embeddings of all frames of all clips are one set; intervals draw clips, each with its frames, truth and
estimate together. A distance that the paper averages over channels is the mean of the channels' distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatialfoley.evaluation.metrics.divergence import kl_divergence
from spatialfoley.evaluation.metrics.frechet import frechet_distance, shifted_interval, small_sample_note
from spatialfoley.evaluation.metrics.statistics import Interval, bootstrap_interval
from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs.clip_scoring import Record
from spatialfoley.evaluation.pairs.embeddings import EmbeddingStore
from spatialfoley.evaluation.pairs.protocols import Protocol
from spatialfoley.evaluation.pairs.views import VIEW_CHANNELS, views_of

DRAWS = 100
MOST_WORK = 2e11
"""Multiplications that the draws of one figure may take, about half a minute; large sets get fewer draws."""
LEAST_DRAWS = 20


@dataclass(frozen=True)
class SetFigures:
    """Figures of one system.

    Attributes:
        figures: By key: "fd/vggish/mix", "kl/passt/dec".
        notes: What to mind.
    """

    figures: dict[str, Interval | None]
    notes: tuple[str, ...] = ()


def figure_key(kind: str, listener: str, view: str) -> str:
    """Key of a figure: kind "fd" or "kl"."""
    return f"{kind}/{listener}/{view}"


def set_figures(
    records: Sequence[Record], listener: str, store: EmbeddingStore, rules: Protocol
) -> SetFigures:
    """Distances and divergences of the pairs of one system, as one listener hears them.

    Args:
        records: Scored pairs of the system.
        listener: Its name.
        store: Where the embeddings lie.
        rules: Which views and formulas.

    Raises:
        ValueError: An embedding is gone from the store.
    """
    figures: dict[str, Interval | None] = {}
    notes: list[str] = []
    forms = sorted({record["form"] for record in records})
    for view in dict.fromkeys(view for form in forms for view in views_of(form, rules.views)):
        having = [record for record in records if view in views_of(record["form"], rules.views)]
        truth, estimate = (
            [
                _heard(record, listener, role, [pair[side] for pair in VIEW_CHANNELS[view]], store)
                for record in having
            ]
            for side, role in enumerate(("truth", "estimate"))
        )
        if rules.tells_distance(listener):
            figures[figure_key("fd", listener, view)], note = _distance(truth, estimate, listener)
            notes += [note] if note else []
        if truth[0].logits is not None and rules.tells_divergence(listener):
            figures[figure_key("kl", listener, view)] = _divergence(truth, estimate, rules)
    return SetFigures(figures, tuple(dict.fromkeys(notes)))


def _heard(record: Record, listener: str, role: str, channels: Sequence[str], store: EmbeddingStore) -> Heard:
    key, known = record["heard"][listener][role]
    heard = store.read(key, known, channels)
    if heard is None:
        raise ValueError(
            f"what {listener} heard in the {role} of {record['clip']} is gone from {store.folder}; run "
            "again, which makes it anew, and let nothing delete it meanwhile"
        )
    return heard


def _distance(
    truth: Sequence[Heard], estimate: Sequence[Heard], listener: str
) -> tuple[Interval | None, str | None]:
    """Fréchet distance, averaged over channels; None with a note where there are too few frames."""
    clips, channels = len(truth), len(truth[0].embeddings)
    sets = [
        [[heard.embeddings[channel] for heard in side] for side in (truth, estimate)]
        for channel in range(channels)
    ]
    frames = min(sum(len(part) for part in side) for side in sets[0])
    size = truth[0].embeddings.shape[-1]
    if clips < 2 or frames < 2:
        return None, (
            f"{clips} clip is too few for a covariance of {listener}'s {size} numbers; the Fréchet distance "
            "needs 2 or more"
        )
    value = _mean_distance(sets, np.arange(clips))
    work = channels * (2 * frames * min(frames, size) * size + 20 * min(frames, size) ** 3)
    draws = int(np.clip(MOST_WORK / work, LEAST_DRAWS, DRAWS))
    rng = np.random.default_rng(0)
    drawn = np.array([_mean_distance(sets, pick) for pick in rng.integers(0, clips, size=(draws, clips))])
    return shifted_interval(value, drawn, clips), small_sample_note(frames, size)


def _mean_distance(sets: Sequence[Sequence[Sequence[NDArray[np.float32]]]], pick: NDArray[np.int64]) -> float:
    """Mean over channels of the distance of the frames of the clips picked."""
    distances = []
    for truth, estimate in sets:
        x, y = (
            np.concatenate([side[clip] for clip in pick]).astype(np.float64) for side in (truth, estimate)
        )
        distances.append(frechet_distance(x, y))
    return float(np.mean(distances))


def _divergence(truth: Sequence[Heard], estimate: Sequence[Heard], rules: Protocol) -> Interval | None:
    """Mean over clips of the divergence, averaged over channels."""
    x, y = (
        np.stack([heard.logits for heard in side if heard.logits is not None], axis=1)
        for side in (truth, estimate)
    )
    per_channel = [kl_divergence(p, q, rules.kl_formula) for p, q in zip(x, y, strict=True)]
    return bootstrap_interval(np.mean(per_channel, axis=0), np.mean)
