"""From records of pairs to a report: tables by family of metrics, in the papers' form, histograms, "
"exhibits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.metrics.statistics import Interval, bootstrap_interval
from spatialfoley.evaluation.networks.listener import Heard
from spatialfoley.evaluation.pairs.account import introduction
from spatialfoley.evaluation.pairs.clip_scoring import SCORING_CODE, Record
from spatialfoley.evaluation.pairs.distances import UNBIASED, SetFigures, figure_key, set_figures
from spatialfoley.evaluation.pairs.embeddings import EmbeddingStore, code_sha256, library_versions
from spatialfoley.evaluation.pairs.exhibits import choose_exhibits
from spatialfoley.evaluation.pairs.matching import Matching, SoundSource
from spatialfoley.evaluation.pairs.measures import FAMILY_TITLES, Family, measures_of
from spatialfoley.evaluation.pairs.views import VIEW_CHANNELS
from spatialfoley.evaluation.report.document import Histogram, Metric, Report, SystemRow, Table
from spatialfoley.evaluation.report.published import beside, visage_tables, visaudio_tables

if TYPE_CHECKING:
    from spatialfoley.evaluation.pairs.run import PairSettings

Figures = dict[str, Interval | None]

_VIEW_TITLES = {
    "mix": "mix",
    "avg": "avg of the ears",
    "channels": "avg of W, Y, Z, X",
    "dec": "dec",
    "dec_published": "dec as published",
}
_VISAGE_KEYS = {
    "fad_dec": "fd/vggish/dec",
    "kld_dec": "kl/passt/dec",
    "fad_avg": "fd/vggish/channels",
    "e_l1": "envelope_l1",
    **{
        f"{score}_{window}": f"{score}/{window}/reference"
        for score in ("cc", "auc")
        for window in ("all", "1fps", "5fps")
    },
}
_VISAGE_MARKS = ("ViSAGe", "SC ablation", "ViSAGe-SC")
_VISAUDIO_MARKS = ("BiAudio", "MUSIC", "FAIR-Play", "table 4", "table S1", "table S2")
_AS_PUBLISHED = {"fad_dec": "fd/vggish/dec_published", "kld_dec": "kl/passt/dec_published"}
_VISAUDIO_KEYS = {
    **{f"fd_vgg_{view}": f"fd/vggish/{view}" for view in ("mix", "avg")},
    **{f"fd_pann_{view}": f"fd/cnn14/{view}" for view in ("mix", "avg")},
    **{f"kl_pann_{view}": f"kl/cnn14/{view}" for view in ("mix", "avg")},
    "desync": "desync_s",
    "ib_score": "agreement",
}


def pair_report(
    records: Sequence[Record],
    systems: Sequence[SoundSource],
    truth: SoundSource,
    matchings: Mapping[str, Matching],
    settings: PairSettings,
    weights: Mapping[str, str],
    store: EmbeddingStore,
    command: str = "",
) -> Report:
    """The report of a run.

    Args:
        records: Of all pairs.
        systems: What was scored.
        truth: The reference.
        matchings: Which files were pairs.
        settings: How they were scored.
        weights: Hash by network.
        store: Where the embeddings lie.
        command: What the user typed.
    """
    scored = {
        system.name: [record for record in records if record["system"] == system.name and "scores" in record]
        for system in systems
    }
    sets = _set_figures(scored, settings, store)
    figures = {name: pooled_figures(rows) | sets[name].figures for name, rows in scored.items()}
    failed = Counter(record["system"] for record in records if "failure" in record)
    tables: list[Table] = []
    if any(scored.values()):
        rows = {name: (figures[name], len(scored[name]), _failed_note(failed[name])) for name in scored}
        notes = tuple(dict.fromkeys(note for found in sets.values() for note in found.notes))
        tables = [*_family_tables(rows, settings, notes), *_paper_tables(rows, scored, settings)]
    return Report(
        title=f"{', '.join(scored)} against {truth.path.name}",
        introduction=introduction(records, scored, matchings, settings),
        tables=tuple(tables),
        histograms=_histograms(scored),
        exhibits=choose_exhibits(scored, systems, truth, matchings, settings),
        provenance=_provenance(systems, truth, matchings, settings, weights, command),
        failures={
            f"{record['system']}/{record['clip']}": record["failure"]
            for record in records
            if "failure" in record
        },
    )


def pooled_figures(records: Sequence[Record]) -> Figures:
    """Every score of the pairs of one system over its clips, with 95 % intervals."""
    figures: Figures = {}
    for family in FAMILY_TITLES:
        for measure in measures_of(family):
            key = measure.metric.key
            if any(key in record["scores"] for record in records):
                values = [value for record in records if (value := record["scores"].get(key)) is not None]
                figures[key] = bootstrap_interval(values, np.mean if measure.pooled == "mean" else np.median)
    return figures


def _set_figures(
    scored: Mapping[str, Sequence[Record]], settings: PairSettings, store: EmbeddingStore
) -> dict[str, SetFigures]:
    """What all listeners say of the pairs of every system."""
    figures: dict[str, Figures] = {name: {} for name in scored}
    notes: dict[str, list[str]] = {name: [] for name in scored}
    for listener in settings.chosen_listeners:
        truths: dict[str, Heard] = {}
        for name, records in scored.items():
            if records:
                found = set_figures(records, listener, store, settings.rules, truths)
                figures[name] |= found.figures
                notes[name] += found.notes
    return {name: SetFigures(figures[name], tuple(notes[name])) for name in scored}


def _family_tables(
    rows: Mapping[str, tuple[Figures, int, str]], settings: PairSettings, notes: tuple[str, ...]
) -> list[Table]:
    tables = []
    for family, title in FAMILY_TITLES.items():
        metrics = [measure.metric for measure in measures_of(family)]
        if family == "semantic":
            metrics = [*_set_metrics(settings), *metrics]
        tables += _table(
            title, metrics, rows, _caption(family, settings), notes if family == "semantic" else ()
        )
    return tables


def _table(
    title: str,
    metrics: Sequence[Metric],
    rows: Mapping[str, tuple[Figures, int, str]],
    caption: str,
    notes: tuple[str, ...] = (),
) -> list[Table]:
    """The table with the columns that some system has; none where there are none."""
    known = tuple(metric for metric in metrics if any(metric.key in row[0] for row in rows.values()))
    own = tuple(
        SystemRow(name, {metric.key: figures.get(metric.key) for metric in known}, clips, caveat=caveat)
        for name, (figures, clips, caveat) in rows.items()
        if clips
    )
    return [Table(title, known, own, caption, notes)] if known and own else []


def _set_metrics(settings: PairSettings) -> list[Metric]:
    kinds = (
        ("fd", "FD {}", "Fréchet distance of embeddings."),
        (UNBIASED, "FD {}, unbiased", "The same extrapolated to infinitely many clips."),
        ("kl", "KL {}", "KL divergence of class posteriors."),
    )
    return [
        Metric(
            figure_key(kind, listener, view),
            title.format(f"{listener} {_VIEW_TITLES[view]}"),
            ".3f",
            better="lower",
            note=note,
        )
        for listener in settings.chosen_listeners
        for kind, title, note in kinds
        for view in VIEW_CHANNELS
    ]


def _paper_tables(
    rows: Mapping[str, tuple[Figures, int, str]],
    scored: Mapping[str, Sequence[Record]],
    settings: PairSettings,
) -> list[Table]:
    """Own rows in the form of the papers' tables, with the published rows below."""
    fields = any(record["form"] == "field" for records in scored.values() for record in records)
    ears = any(record["form"] != "mono" for records in scored.values() for record in records)
    if settings.protocol == "visaudio" or (ears and not fields):
        own = _paper_rows(rows, _VISAUDIO_KEYS)
        return (
            [
                beside(
                    "In the form of ViSAudio's tables",
                    own,
                    dict(zip(_VISAUDIO_MARKS, visaudio_tables(), strict=True)),
                    _form_notes(settings, "visaudio"),
                )
            ]
            if own
            else []
        )
    if not fields:
        return []
    keys = dict(_VISAGE_KEYS)
    if settings.rules.kl_formula != "audioldm":
        del keys["kld_dec"]
    own = _paper_rows(rows, keys)
    if "dec_published" in settings.rules.views:
        own += _paper_rows(rows, {**keys, **_AS_PUBLISHED}, " (decoded as published)")
    return (
        [
            beside(
                "In the form of ViSAGe's tables",
                own,
                dict(zip(_VISAGE_MARKS, visage_tables(), strict=True)),
                _form_notes(settings, "visage"),
            )
        ]
        if own
        else []
    )


def _paper_rows(
    rows: Mapping[str, tuple[Figures, int, str]], keys: Mapping[str, str], mark: str = ""
) -> list[SystemRow]:
    own = []
    for name, (figures, clips, caveat) in rows.items():
        found = {paper: figures.get(ours) for paper, ours in keys.items()}
        if any(figure is not None for figure in found.values()):
            own.append(SystemRow(name + mark, found, clips, caveat=caveat))
    return own


def _form_notes(settings: PairSettings, paper: str) -> tuple[str, ...]:
    notes = [
        f"Own rows: protocol {settings.protocol}, listeners {', '.join(settings.chosen_listeners) or 'none'}."
    ]
    if paper == "visage":
        notes.append(
            "CC and AUC of own rows are of maps as published; the correct ones have a table of their own."
        )
    if settings.protocol != paper:
        notes.append(f"Distances and divergences as the paper computes them take --protocol {paper}.")
    return tuple(notes)


def _histograms(scored: Mapping[str, Sequence[Record]]) -> tuple[Histogram, ...]:
    found = []
    for title, unit, key, edges in (
        ("Direction error, peak of the energy map", "°", "peak_angle_deg", np.arange(0.0, 181.0, 10.0)),
        ("Error of the level difference between the ears", "dB", "level_error_db", np.arange(0.0, 20.5, 1.0)),
    ):
        values = {
            name: np.array([value for row in rows if (value := row["scores"].get(key)) is not None])
            for name, rows in scored.items()
        }
        if values := {name: array for name, array in values.items() if array.size}:
            found.append(Histogram(title, unit, values, edges))
    return tuple(found)


def _caption(family: Family, settings: PairSettings) -> str:
    said = {
        "spatial": "Fields against true fields, at 16 kHz; medians over clips, means of map L1.",
        "maps": "Energy maps of fields against those of the true fields, means: correct and as published.",
        "binaural": "Two ears against the true ears, at 16 kHz; medians over clips, means of shares.",
        "semantic": "What listeners hear, truth against estimate; compare figures of equally many clips only.",
        "synchrony": "In time and level; medians over clips, mean of DeSync.",
    }
    return f"{said[family]} Protocol {settings.protocol}."


def _failed_note(count: int) -> str:
    return (
        f"{count} pair{'s' * (count != 1)} failed and {'are' if count != 1 else 'is'} in no figure."
        if count
        else ""
    )


def _provenance(
    systems: Sequence[SoundSource],
    truth: SoundSource,
    matchings: Mapping[str, Matching],
    settings: PairSettings,
    weights: Mapping[str, str],
    command: str,
) -> dict[str, Any]:
    return {
        "command": command,
        "truth": {"folder": truth.path.name, "layout": truth.layout},
        "systems": {
            system.name: {
                "folder": system.path.name,
                "layout": system.layout,
                "clips": len(matchings[system.name].files),
                "restored": system.name in settings.restored,
            }
            for system in systems
        },
        "protocol": asdict(settings.rules),
        "weights_sha256": dict(weights),
        "cameras": {
            "file": settings.cameras.path.name if settings.cameras.path else None,
            "sha256": settings.cameras.sha256,
        },
        "resampler": f"soxr, high quality, to {SCORE_RATE_HZ} Hz",
        "scoring_code_sha256": code_sha256(SCORING_CODE),
        "versions": library_versions(),
    }
