"""What the ViSAGe-SC slides claim of their steps, and whether figures measured here bear it out.

Claims are about the direction of a change; its size there is of other data, networks and listeners. "Unchanged"
has to be given a size: `UNCHANGED_CC` is less than half of the smallest rise of CC that the slides show (0.034).
Speed is told as how many times faster.

Reference:
    Slides on ViSAGe-SC: "Efficient Generation with ViSAGe-SC" and table "(a) Ablation from ViSAGe to ViSAGe-SC".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spatialfoley.evaluation.metrics.overlap_windows import OVERLAP_WINDOWS
from spatialfoley.evaluation.study.paired import Change, Verdict, Wanted, verdict

UNCHANGED_CC = 0.015

Step = tuple[str, str]
"""Names of two rows, the earlier one first."""


@dataclass(frozen=True)
class Claim:
    """One claim about one step.

    Attributes:
        text: The claim.
        step: Rows that are compared.
        figures: What must change as claimed, all of them.
        wanted: How: "above", "below" or "within" the limit.
        limit: In the unit of the figures.
        slides: What the slides show for it.
    """

    text: str
    step: Step
    figures: tuple[str, ...]
    wanted: Wanted
    limit: float = 0.0
    slides: str = ""


@dataclass(frozen=True)
class Judgement:
    """What was found of a claim.

    Attributes:
        claim: The claim.
        changes: Of each of its figures.
        verdicts: Of each of its figures.
    """

    claim: Claim
    changes: Mapping[str, Change | None]
    verdicts: Mapping[str, Verdict]

    @property
    def verdict(self) -> Verdict:
        """Of the whole: it holds where every figure agrees, and does not where one contradicts."""
        said = set(self.verdicts.values())
        if "does not hold" in said:
            return "does not hold"
        return "holds" if said == {"holds"} else "cannot be told"


def judge(
    claims: Sequence[Claim], changes: Mapping[Step, Mapping[str, Change | None]]
) -> tuple[Judgement, ...]:
    """Hold claims against what steps changed; claims about steps that were not measured are left out.

    Args:
        claims: The claims.
        changes: By step and figure.
    """
    found = []
    for claim in claims:
        if claim.step in changes:
            known = {figure: changes[claim.step].get(figure) for figure in claim.figures}
            verdicts = {
                figure: verdict(change.interval if change else None, claim.wanted, claim.limit)
                for figure, change in known.items()
            }
            found.append(Judgement(claim, known, verdicts))
    return tuple(found)


def plain_judgement(judgement: Judgement) -> dict[str, Any]:
    """A judgement ready for JSON."""
    claim = judgement.claim
    return {
        "claim": claim.text,
        "step": list(claim.step),
        "slides": claim.slides,
        "wanted": claim.wanted,
        "limit": claim.limit,
        "verdict": judgement.verdict,
        "verdicts": dict(judgement.verdicts),
    }


def slides_claims(variant: str = "correct", listener: str = "world") -> tuple[Claim, ...]:
    """The slides' claims, and ours on the last step.

    Args:
        variant: Of the energy maps, "correct" or "reference".
        listener: Whose distances are meant.

    Returns:
        Claims about rows "rvq", "single", "tuned", "rotated", "signed", these with "+post" for post-processing, and
        "signed-rvq", "signed-single", "paired".
    """
    spatial = (f"spatial/{variant}",)
    dec, channels = f"fd/{listener}/dec", f"fd/{listener}/channels"
    kept = tuple(f"cc/{window}/{variant}" for window in OVERLAP_WINDOWS)
    return (
        Claim(
            "One codebook raises the spatial scores",
            ("rvq", "single"),
            spatial,
            "above",
            slides="CC All 0.418 to 0.492",
        ),
        Claim(
            "One codebook alone costs quality: Fréchet of the channels rises",
            ("rvq", "single"),
            (channels,),
            "above",
            slides="FAD_avg 5.35 to 10.66",
        ),
        Claim(
            "A better codec lowers Fréchet",
            ("single", "tuned"),
            (dec, channels),
            "below",
            slides="FAD_dec 5.83 to 4.81, FAD_avg 10.66 to 6.84",
        ),
        Claim(
            "Post-processing lowers Fréchet",
            ("tuned", "tuned+post"),
            (dec, channels),
            "below",
            slides="FAD_dec 4.81 to 4.25, FAD_avg 6.84 to 4.83",
        ),
        Claim(
            "Post-processing leaves CC",
            ("tuned", "tuned+post"),
            kept,
            "within",
            UNCHANGED_CC,
            slides="CC All 0.491 to 0.488",
        ),
        Claim(
            "Rotation augmentation raises the spatial scores",
            ("tuned+post", "rotated+post"),
            spatial,
            "above",
            slides="CC All 0.488 to 0.535",
        ),
        Claim(
            "Rotation augmentation raises the spatial scores, without post-processing",
            ("tuned", "rotated"),
            spatial,
            "above",
        ),
        Claim(
            "One codebook is at least 3 times faster",
            ("rvq", "single"),
            ("times_faster",),
            "above",
            3.0,
            slides="3 to 5 times",
        ),
        Claim(
            "The whole system, post-processing included, is at least 3 times faster",
            ("rvq", "signed+post"),
            ("times_faster_whole",),
            "above",
            3.0,
        ),
        Claim(
            "With sign-and-gain tokens: one codebook raises the spatial scores",
            ("signed-rvq", "signed-single"),
            spatial,
            "above",
        ),
        Claim(
            "With sign-and-gain tokens: rotation augmentation raises the spatial scores",
            ("signed-single", "signed"),
            spatial,
            "above",
        ),
        Claim(
            "With sign-and-gain tokens: one codebook is at least 3 times faster",
            ("signed-rvq", "signed-single"),
            ("times_faster",),
            "above",
            3.0,
        ),
        Claim(
            "Ours: one codebook and two codec frames a row are at least 3 times faster",
            ("signed-rvq", "paired"),
            ("times_faster",),
            "above",
            3.0,
        ),
        Claim(
            "A training step takes a quarter of the time",
            ("rvq", "single"),
            ("times_faster_training",),
            "above",
            4.0,
            slides="4 or 5 times, one slide each",
        ),
        Claim(
            "Ours: sign-and-gain tokens raise the spatial scores",
            ("rotated+post", "signed+post"),
            spatial,
            "above",
        ),
    )
