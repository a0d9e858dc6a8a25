"""What a report says in words: what was compared, what was done to the sounds, what has no score and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.pairs.clip_scoring import Record
from spatialfoley.evaluation.pairs.matching import Matching, listed

if TYPE_CHECKING:
    from spatialfoley.evaluation.pairs.run import PairSettings


def introduction(
    records: Sequence[Record],
    scored: Mapping[str, Sequence[Record]],
    matchings: Mapping[str, Matching],
    settings: PairSettings,
) -> tuple[str, ...]:
    """Paragraphs at the top of a report.

    Args:
        records: Of all pairs.
        scored: Those with scores, by system.
        matchings: Which files were pairs.
        settings: How they were scored.
    """
    total = sum(map(len, scored.values()))
    lines = [
        f"{total} pairs scored, {len(records) - total} failed. Brackets are 95 % intervals by clip. "
        f"{settings.cameras.said}"
    ]
    for name, matching in matchings.items():
        if matching.missing or matching.extra:
            lines.append(
                f"{name}: a partial comparison of {len(matching.files)} clips; missing: "
                f"{listed(matching.missing)}; without a truth: {listed(matching.extra)}."
            )
    for name, rows in scored.items():
        lines += _said_of(name, rows)
    if settings.protocol == "visaudio":
        lines.append(
            "Protocol visaudio: two ears, clips cut to 8 s; sound for compressed video is stretched back by "
            "resampling, which is our reading of the paper."
        )
    if settings.protocol == "visage":
        lines.append(
            "Protocol visage: 16 kHz, the first 5 s, padded with silence; maps, decoding and formulas as "
            "published stand beside the correct ones."
        )
    return tuple(lines)


def _said_of(name: str, rows: Sequence[Record]) -> list[str]:
    """What was done to the sounds of a system, and what of it has no score."""
    if not rows:
        return []
    lines = []
    done = Counter(what for row in rows for what in row["done"])
    rates = Counter((row["rate_hz"], row["truth_rate_hz"]) for row in rows)
    said = [f"{what} ({count} clips)" for what, count in done.items()]
    said += [
        f"{count} clips at {rate} Hz with a truth at {true_rate} Hz, both brought to {SCORE_RATE_HZ} Hz for the "
        "scores"
        for (rate, true_rate), count in sorted(rates.items())
        if (rate, true_rate) != (SCORE_RATE_HZ, SCORE_RATE_HZ)
    ]
    fitted = [row["fitted_s"] for row in rows if abs(row["fitted_s"]) > 5e-4]
    if fitted:
        said.append(
            f"{len(fitted)} clips cut or padded to the length of the clip, by up to "
            f"{max(map(abs, fitted)):.3f} s"
        )
    if said:
        lines.append(f"{name}: {'; '.join(said)}.")
    if any(row["form"] != "field" for row in rows) and any("truth: field" in what for what in done):
        lines.append(
            f"{name} holds no field: scores of fields are not defined for it; its ears are compared with "
            "those of the true field, heard from the camera."
        )
    if silent := [row["clip"] for row in rows if row["silent"]]:
        lines.append(
            f"{name}: silent sound in {listed(silent)}: scored as it is (CC 0, AUC 0.5, 90°, no level, no "
            "side)."
        )
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for key, reason in row["undefined"].items():
            reasons.setdefault((key, reason), []).append(row["clip"])
    lines += [
        f"{name}: {key} is not defined for {listed(clips)}: {why}." for (key, why), clips in reasons.items()
    ]
    return lines
