"""How the answer of a language model becomes a caption, or the reason why it is none.

The form is that of BiAudio: "Visible sound: ..., Invisible sound: ...". Models wrap it in chatter, turn it round,
write it as JSON or Markdown, say it twice, or say "None". What is meant is taken; where it is not clear what is
meant, the answer is no caption.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from spatialfoley.dataset.captions import BiaudioCaption, is_nothing

LONGEST_PART = 300
"""Characters of one part; longer ones are an essay, not a caption."""

Reason = Literal["empty", "no_labels", "missing_part", "contradicting", "language", "long", "no_sound"]

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_LABEL = re.compile(
    r"(?<![a-z])(?P<label>in[\s_-]?visible|visible)[\s_-]+sounds?(?:[\s_-]+(?:sources?|events?|effects?))?"
    r"[\"'”’*_`\s]*:",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\s*(?:[-*•]|\d+[.)])\s+")
_LINE = re.compile(r"\n\s*")
_MARKS = " \t\r\n\"'`*_{}[]()<>#|,;.:-–—•“”‘’"
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_LEAST_LATIN_SHARE = 0.9


@dataclass(frozen=True)
class Unusable:
    """An answer that is no caption.

    Attributes:
        reason: Short code; counted.
        sentence: For people.
    """

    reason: Reason
    sentence: str


def parse_structured_caption(answer: str) -> BiaudioCaption | Unusable:
    """The caption that an answer holds.

    Labels are found in any case and order, with or without Markdown, JSON or a list around them; words before the
    first label are chatter, and so is what stands on lines after the first line of the last part. A part that says
    that there is nothing ("None", "no audible sounds") is empty. An answer that repeats itself counts once; two
    different answers contradict each other.

    Args:
        answer: What the model wrote.

    Returns:
        The caption with at least one part that is not empty, or why there is none.
    """
    text = _THOUGHT.sub(" ", unicodedata.normalize("NFKC", answer)).strip()
    if not text.strip(_MARKS):
        return Unusable("empty", "the model answered nothing")
    found: dict[str, set[str]] = {"visible": set(), "invisible": set()}
    parts: dict[str, str] = {}
    labels = list(_LABEL.finditer(text))
    if not labels:
        return Unusable("no_labels", f"the answer names neither part: {_excerpt(text)}")
    for number, label in enumerate(labels):
        end = labels[number + 1].start() if number + 1 < len(labels) else len(text)
        name = "invisible" if label["label"].lower().startswith("in") else "visible"
        part = _cleaned(text[label.end() : end])
        found[name].add(part.casefold())
        parts.setdefault(name, part)
    for name, said in found.items():
        if not said:
            return Unusable("missing_part", f"the answer has no {name} sound: {_excerpt(text)}")
        if len(said) > 1:
            return Unusable("contradicting", f"the answer names the {name} sound more than once, differently")
    return _checked(BiaudioCaption(parts["visible"], parts["invisible"]))


def _cleaned(part: str) -> str:
    """One part without the marks around it; what follows on further lines is chatter, but list items belong."""
    lines = [line for line in _LINE.split(part.strip()) if line.strip(_MARKS)]
    if not lines:
        return ""
    lines = [line for line in lines if _ITEM.match(line)] if _ITEM.match(lines[0]) else lines[:1]
    pieces = [_ITEM.sub("", line).strip(_MARKS) for line in lines]
    cleaned = re.sub(r"\s+", " ", ", ".join(piece for piece in pieces if piece))
    for opened, closed in _BRACKETS.items():
        # The bracket that ends a part was stripped with the marks around it.
        if cleaned.count(opened) == cleaned.count(closed) + 1:
            cleaned += closed
    return "" if is_nothing(cleaned) else cleaned


def _checked(caption: BiaudioCaption) -> BiaudioCaption | Unusable:
    both = caption.visible + caption.invisible
    if not both:
        return Unusable("no_sound", "the answer says that there is nothing to hear, seen or not")
    for name in ("visible", "invisible"):
        part = getattr(caption, name)
        if len(part) > LONGEST_PART:
            return Unusable(
                "long", f"the {name} sound has {len(part)} characters; {LONGEST_PART} are allowed"
            )
    letters = [letter for letter in both if letter.isalpha()]
    latin = sum("LATIN" in unicodedata.name(letter, "") for letter in letters)
    if not letters or latin < _LEAST_LATIN_SHARE * len(letters):
        return Unusable("language", f"the answer is not in English: {_excerpt(both)}")
    return caption


def _excerpt(text: str, longest: int = 80) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= longest else f"{line[: longest - 1]}…")
