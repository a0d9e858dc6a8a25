"""What listeners say of a whole set of pairs: Fréchet distances and divergences per view.

Embeddings of all frames of all clips are one set; intervals leave clips out, each with its frames, truth and
estimate together. A distance that the paper averages over channels is the mean of the channels' distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spatialfoley.evaluation.metrics.divergence import kl_divergence
from spatialfoley.evaluation.metrics.frechet import frechet_estimate
from spatialfoley.evaluation.metrics.statistics import Interval, bootstrap_interval
from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs.clip_scoring import Record
from spatialfoley.evaluation.pairs.embeddings import EmbeddingStore
from spatialfoley.evaluation.pairs.protocols import Protocol
from spatialfoley.evaluation.pairs.views import VIEW_CHANNELS, views_of

UNBIASED = "fd_unbiased"
"""Kind of the distances that are extrapolated to infinitely many clips."""


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
    """Key of a figure: kind "fd", "fd_unbiased" or "kl"."""
    return f"{kind}/{listener}/{view}"


def set_figures(
    records: Sequence[Record],
    listener: str,
    store: EmbeddingStore,
    rules: Protocol,
    truths: dict[str, Heard] | None = None,
) -> SetFigures:
    """Distances and divergences of the pairs of one system, as one listener hears them.

    Args:
        records: Scored pairs of the system.
        listener: Its name.
        store: Where the embeddings lie.
        rules: Which views and formulas.
        truths: What was read of the truth, by key; filled, so that it is read once for all systems.

    Raises:
        ValueError: An embedding is gone from the store.
    """
    figures: dict[str, Interval | None] = {}
    notes: list[str] = []
    known: dict[str, dict[str, Heard]] = {
        "truth": {} if truths is None else truths,
        "estimate": {},
    }
    for role, heard in known.items():
        for record in records:
            key, channels = record["heard"][listener][role]
            if key not in heard:
                heard[key] = _read(
                    store, key, channels, f"what {listener} heard in the {role} of {record['clip']}"
                )
    forms = sorted({record["form"] for record in records})
    for view in dict.fromkeys(view for form in forms for view in views_of(form, rules.views)):
        having = [record for record in records if view in views_of(record["form"], rules.views)]
        truth, estimate = (
            [_view(known[role], record["heard"][listener][role], view, side) for record in having]
            for side, role in enumerate(known)
        )
        if rules.tells_distance(listener):
            found = _distances(truth, estimate, listener, view)
            figures |= found.figures
            notes += found.notes
        if truth[0].logits is not None and rules.tells_divergence(listener):
            figures[figure_key("kl", listener, view)] = _divergence(truth, estimate, rules)
    return SetFigures(figures, tuple(dict.fromkeys(notes)))


def _read(store: EmbeddingStore, key: str, channels: Sequence[str], what: str) -> Heard:
    heard = store.read(key, channels)
    if heard is None:
        raise ValueError(
            f"{what} is gone from {store.folder}; run again, which makes it anew, and let nothing delete it "
            "meanwhile"
        )
    return heard


def _view(known: dict[str, Heard], place: Sequence[Any], view: str, side: int) -> Heard:
    """The channels of a view, of the truth (side 0) or the estimate (1)."""
    key, channels = place
    rows = [list(channels).index(pair[side]) for pair in VIEW_CHANNELS[view]]
    heard = known[key]
    return Heard(heard.embeddings[rows], None if heard.logits is None else heard.logits[rows])


def _distances(truth: Sequence[Heard], estimate: Sequence[Heard], listener: str, view: str) -> SetFigures:
    """Fréchet distance of a view, and for infinitely many clips where the number of clips matters much."""
    key = figure_key("fd", listener, view)
    clips, size = len(truth), truth[0].embeddings.shape[-1]
    if clips < 2:
        too_few = f"{clips} clip is too few for a covariance of {listener}'s {size} numbers"
        return SetFigures({key: None}, (f"{too_few}; the Fréchet distance needs 2 or more.",))
    true, made = ([heard.embeddings for heard in side] for side in (truth, estimate))
    found = frechet_estimate(true, made)
    if found.warning is None:
        return SetFigures({key: found.interval})
    note = (
        f"{clips} clips are few for the {size} numbers of {listener}: its Fréchet distances are exact for "
        f"these clips, but above what more would give; compare only figures of {clips} clips, or those "
        "extrapolated to infinitely many."
    )
    unbiased = found.unbiased_interval
    return SetFigures({key: found.interval, figure_key(UNBIASED, listener, view): unbiased}, (note,))


def _divergence(truth: Sequence[Heard], estimate: Sequence[Heard], rules: Protocol) -> Interval | None:
    """Mean over clips of the divergence, averaged over channels."""
    x, y = (
        np.stack([heard.logits for heard in side if heard.logits is not None], axis=1)
        for side in (truth, estimate)
    )
    per_channel = [kl_divergence(p, q, rules.kl_formula) for p, q in zip(x, y, strict=True)]
    return bootstrap_interval(np.mean(per_channel, axis=0), np.mean)
