"""``dataset stats``: how long, how loud, from where and what, as numbers, pictures and one page.

stats.json       the numbers
stats/*.svg      the pictures
stats.html       both, in one file that needs nothing else
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.dataset.factory.account import read_account
from spatialfoley.dataset.factory.drawing import bars, named_bars, sphere_map, sphere_paths
from spatialfoley.dataset.factory.holdings import Holdings, count_holdings
from spatialfoley.dataset.factory.measures import CELL_DEG, Figures, measure_shard
from spatialfoley.dataset.factory.reader import shard_path
from spatialfoley.dataset.factory.shard_list import read_shard_list
from spatialfoley.media.atomic import atomic_path

STATS_FILE, PAGE_FILE, FOLDER = "stats.json", "stats.html", "stats"
VOCABULARY_SIZES = {"audioset": 527, "imagenet": 1000, "world": 9}
"""Labels of well-known vocabularies: which share of them a set covers is told."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_LABELS = 30
_RANGES = {
    "duration_s": (None, None, 20, "s", "Length of the clips"),
    "loudness_lufs": (-70.0, 0.0, 35, "LUFS", "Loudness of W or of two ears (ITU-R BS.1770)"),
    "peak_db": (-60.0, 0.0, 30, "dB re full scale", "Loudest sample of W or of two ears"),
    "view_to_peak_deg": (
        0.0,
        180.0,
        36,
        "degrees",
        "From the middle of the first picture to where it is loudest",
    ),
}
"""Of each histogram: first and last value, bars, unit, title."""
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:680px;margin:2rem auto;padding:0 1rem;color:#1c1e21;"
    "background:#fff}svg{max-width:100%;height:auto}table{border-collapse:collapse;font-size:14px}"
    "td,th{padding:.2rem .7rem .2rem 0;text-align:right}td:first-child,th:first-child{text-align:left}"
    "p.small{color:#5c6370;font-size:14px}"
)


def write_statistics(
    root: Path,
    workers: int = 1,
    with_sound: bool = True,
    progress: Callable[[str, float], None] = lambda label, fraction: None,
) -> dict[str, Any]:
    """Measure a built set and write numbers, pictures and page.

    Args:
        root: The build folder.
        workers: Processes that read sound.
        with_sound: Read the sound of every clip; otherwise only what the records say is counted.
        progress: Told what is done and the fraction done.

    Returns:
        The numbers.

    Raises:
        ValueError: The folder holds no finished build.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    figures, holdings = _measured(root, workers, with_sound, progress), count_holdings(root)
    document = _document(figures, holdings)
    pictures = _pictures(figures)
    for name, picture in pictures.items():
        with atomic_path(root / FOLDER / f"{name}.svg") as path:
            path.write_text(picture, encoding="utf-8")
    with atomic_path(root / STATS_FILE) as path:
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with atomic_path(root / PAGE_FILE) as path:
        path.write_text(_page(root, document, pictures), encoding="utf-8")
    return document


def _measured(root: Path, workers: int, with_sound: bool, progress: Callable[[str, float], None]) -> Figures:
    jobs = [(shard_path(root, row), with_sound) for row in read_shard_list(root)]
    figures = Figures()
    with ExitStack() as stack:
        parts: Iterable[Figures] = map(measure_shard, jobs)
        if workers > 1 and len(jobs) > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))))
            parts = pool.imap(measure_shard, jobs)
        for number, part in enumerate(parts, start=1):
            figures.add(part)
            progress(f"{number}/{len(jobs)} shards", number / len(jobs))
    return figures


def _document(figures: Figures, holdings: Holdings) -> dict[str, Any]:
    return {
        "clips": figures.clips,
        "recordings": len(holdings.whole.recordings),
        "hours": round(holdings.whole.seconds / 3600, 3),
        "splits": {name: share.clips for name, share in sorted(holdings.splits.items())},
        "values": {name: _summary(values) for name, values in sorted(figures.values.items())},
        "views_known": len(figures.views),
        "peaks_known": len(figures.peaks),
        "labels": {
            vocabulary: {
                "labels": len(counts),
                **(
                    {
                        "of": VOCABULARY_SIZES[vocabulary],
                        "covered": round(len(counts) / VOCABULARY_SIZES[vocabulary], 4),
                    }
                    if vocabulary in VOCABULARY_SIZES
                    else {}
                ),
                "clips": dict(counts.most_common()),
            }
            for vocabulary, counts in sorted(figures.labels.items())
        },
        "captions": holdings.facts["caption"],
        "sound_not_read": dict(sorted(figures.unread.items())),
    }


def _summary(values: list[float]) -> dict[str, float]:
    quantiles = np.quantile(values, _QUANTILES)
    return {
        "count": len(values),
        "mean": round(float(np.mean(values)), 4),
        **{
            f"p{round(100 * share):02d}": round(float(at), 4)
            for share, at in zip(_QUANTILES, quantiles, strict=True)
        },
    }


def _pictures(figures: Figures) -> dict[str, str]:
    """Every picture for which there are numbers, by its file's name."""
    drawn: dict[str, str] = {}
    for name, (low, high, count, unit, title) in _RANGES.items():
        values = figures.values.get(name)
        if values:
            edges, counts = _histogram(np.asarray(values), low, high, count)
            drawn[name.rpartition("_")[0]] = bars(title, edges.tolist(), counts, unit)
    if figures.views:
        drawn["views"] = sphere_map("Where the first picture looks", direction_counts(figures.views))
    if figures.peaks:
        drawn["peaks"] = sphere_map("Where sound is loudest", direction_counts(figures.peaks))
    if figures.paths:
        title = f"Cameras that turn: {len(figures.paths)} drawn; red dots are beginnings"
        drawn["trajectories"] = sphere_paths(title, [path for _, path in figures.paths])
    for vocabulary, heard in sorted(figures.labels.items()):
        most = heard.most_common(_MOST_LABELS)
        if most:
            file = "".join(sign if sign.isalnum() else "-" for sign in vocabulary)
            names, clips = [name for name, _ in most], [float(count) for _, count in most]
            drawn[f"labels-{file}"] = named_bars(f"Labels of {vocabulary}", names, clips, "clips")
    return drawn


def _histogram(
    values: np.ndarray, low: float | None, high: float | None, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Edges and counts; what lies outside is counted in the first and last bar."""
    if low is None or high is None:
        low, high = float(np.floor(values.min())), float(np.floor(values.max())) + 1.0
    counts, edges = np.histogram(np.clip(values, low, high), bins=count, range=(low, high))
    return edges.round(3), counts


def direction_counts(directions: Iterable[tuple[float, float]]) -> np.ndarray:
    """Directions (azimuth, elevation in degrees) in cells of 10°, rows from above, left of the middle is left."""
    angles = np.asarray(list(directions), float).reshape(-1, 2)
    rows, columns = round(180 / CELL_DEG), round(360 / CELL_DEG)
    column = np.floor((180.0 - angles[:, 0]) % 360.0 / CELL_DEG).astype(int) % columns
    row = np.clip(np.floor((90.0 - angles[:, 1]) / CELL_DEG), 0, rows - 1).astype(int)
    counts = np.zeros((rows, columns))
    np.add.at(counts, (row, column), 1)
    return counts


def _page(root: Path, document: dict[str, Any], pictures: dict[str, str]) -> str:
    head = ("mean", *(f"p{round(100 * share):02d}" for share in _QUANTILES))
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{summary[column]:g}</td>' for column in head)}</tr>"
        for name, summary in document["values"].items()
    )
    labels = "".join(
        f"<p>{escape(name)}: {told['labels']} labels occur"
        + (f", {100 * told['covered']:.1f} % of {told['of']}" if "of" in told else "")
        + ".</p>"
        for name, told in document["labels"].items()
    )
    unread = "".join(
        f"<p>{count} clips: {escape(why)}.</p>" for why, count in document["sound_not_read"].items()
    )
    others = "".join(
        f"<p><a href='{escape(path.name, quote=True)}'>{escape(path.name)}</a></p>"
        for path in sorted(root.glob("*.html"))
        if path.name != PAGE_FILE and not path.name.startswith(".")
    )
    figures = "".join(f"<figure>{picture}</figure>" for picture in pictures.values())
    title = read_account(root).get("title") or root.resolve().name
    splits = ", ".join(f"{escape(name)} {count}" for name, count in document["splits"].items())
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>"
        f"<p>{document['clips']} clips of {document['recordings']} recordings, {document['hours']:g} hours "
        f"({splits}).</p>"
        f"<table><tr><th></th>{''.join(f'<th>{column}</th>' for column in head)}</tr>{rows}</table>"
        "<p class='small'>p05 to p95 are quantiles over clips. Directions: azimuth left positive, elevation up "
        "positive; cells of 10°, which are smaller near the poles.</p>"
        f"{labels}{unread}{others}{figures}</html>\n"
    )
