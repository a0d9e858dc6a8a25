"""``captions.html``: the vocabulary of a set's captions, as bars and as words whose size is their number.

stats/vocabulary-*.svg   the pictures
vocabulary.csv           every noun with the number of captions that name it, seen and not seen
captions.html            what was counted, and the pictures
"""

from __future__ import annotations

import csv
from collections import Counter
from html import escape
from pathlib import Path

from spatialfoley.dataset.captioning.vocabulary import Vocabulary, count_vocabulary
from spatialfoley.dataset.factory.lists import read_manifest
from spatialfoley.media.atomic import atomic_path

PAGE_FILE, WORDS_FILE, FOLDER = "captions.html", "vocabulary.csv", "stats"
MOST_BARS, MOST_WORDS = 50, 200
"""As many nouns as the figure of BiAudio shows."""

BLUE, RED = "#2f6fae", "#b3402a"
_INK, _FAINT = "#1c1e21", "#5c6370"
_WIDTH, _MARGIN, _TOP = 640, 16, 40
_LEAST_PX, _MOST_PX = 11.0, 46.0
_NARROW, _WIDE = "ijltfr-'", "mw"
_WIDTHS = {**dict.fromkeys(_NARROW, 0.42), **dict.fromkeys(_WIDE, 1.0)}
_USUAL_WIDTH = 0.64
"""Widths of letters in heights, on the large side, so that words keep apart in any font."""
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:680px;margin:2rem auto;padding:0 1rem;color:#1c1e21;"
    "background:#fff}svg{max-width:100%;height:auto}figure{margin:1.5rem 0}p.small{color:#5c6370;font-size:14px}"
)


def write_caption_pages(root: Path) -> Path | None:
    """Count the captions of a built set and draw them.

    Args:
        root: The build folder.

    Returns:
        The page; None for a set without captions, of which nothing is written.

    Raises:
        ValueError: The folder holds no finished build.
    """
    vocabulary = count_vocabulary(read_manifest(root))
    if not vocabulary.captions + vocabulary.others:
        return None
    pictures = vocabulary_pictures(vocabulary)
    for name, picture in pictures.items():
        with atomic_path(root / FOLDER / f"vocabulary-{name}.svg") as path:
            path.write_text(picture, encoding="utf-8")
    with atomic_path(root / WORDS_FILE) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("noun", "visible", "invisible"))
        both = vocabulary.visible + vocabulary.invisible
        writer.writerows(
            (noun, vocabulary.visible[noun], vocabulary.invisible[noun]) for noun, _ in _ordered(both)
        )
    with atomic_path(root / PAGE_FILE) as path:
        path.write_text(_page(root, vocabulary, pictures), encoding="utf-8")
    return root / PAGE_FILE


def vocabulary_pictures(vocabulary: Vocabulary) -> dict[str, str]:
    """SVG by name: bars and words of what is seen and of what is only heard, where there are any."""
    drawn = {}
    for name, counts, colour in (
        ("visible", vocabulary.visible, BLUE),
        ("invisible", vocabulary.invisible, RED),
    ):
        if counts:
            shown = min(MOST_BARS, len(counts)), min(MOST_WORDS, len(counts))
            drawn[f"{name}-bars"] = word_bars(
                f"{name.capitalize()} sounds: top {shown[0]} nouns", counts, colour
            )
            drawn[f"{name}-words"] = word_cloud(
                f"{name.capitalize()} sounds: top {shown[1]} nouns", counts, colour
            )
    return drawn


def word_bars(title: str, counts: Counter[str], colour: str, most: int = MOST_BARS) -> str:
    """Upright bars from the most frequent word on, each with its word below it."""
    words = _ordered(counts)[:most]
    high, below, left = 180.0, 104.0, 52.0
    step = (_WIDTH - left - _MARGIN) / max(len(words), 12)
    largest = max(count for _, count in words)
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _TOP + high * (1 - share)
        parts.append(f"<line x1='{left}' y1='{y:g}' x2='{_WIDTH - _MARGIN}' y2='{y:g}' stroke='#d9dde3'/>")
        parts.append(_text(left - 6, y + 4, f"{largest * share:g}", 12, _FAINT, "text-anchor='end'"))
    for number, (word, count) in enumerate(words):
        x, tall = left + number * step, high * count / largest
        parts.append(
            f"<rect x='{x + 0.5:.1f}' y='{_TOP + high - tall:.1f}' width='{max(1.0, step - 1.5):.1f}' "
            f"height='{tall:.1f}' fill='{colour}'><title>{escape(word)}: {count}</title></rect>"
        )
        at = f"{x + step / 2 + 3:.1f} {_TOP + high + 8:g}"
        shown = word if len(word) <= 15 else f"{word[:14]}…"
        parts.append(
            _text(0, 0, shown, 11, _INK, f"text-anchor='end' transform='translate({at}) rotate(-90)'")
        )
    return _picture(title, _TOP + high + below, parts)


def word_cloud(title: str, counts: Counter[str], colour: str, most: int = MOST_WORDS) -> str:
    """Words in lines from the most frequent on; the area of a word grows with its number."""
    words = _ordered(counts)[:most]
    largest = max(count for _, count in words)
    lines: list[list[tuple[str, int, float, float]]] = [[]]
    x = float(_MARGIN)
    for word, count in words:
        size = max(_LEAST_PX, _MOST_PX * (count / largest) ** 0.5)
        wide = width_of(word) * size
        if lines[-1] and x + wide > _WIDTH - _MARGIN:
            lines.append([])
            x = float(_MARGIN)
        lines[-1].append((word, count, size, x))
        x += wide + 0.45 * size
    parts, y = [], float(_TOP)
    for line in lines:
        y += 1.12 * max(size for _, _, size, _ in line)
        for word, count, size, x in line:
            shade = f"fill-opacity='{0.72 + 0.28 * count / largest:.2f}'"
            parts.append(_text(x, y, word, size, colour, shade, f"{word}: {count}"))
    return _picture(title, y + 18, parts)


def width_of(word: str) -> float:
    """Width of a word at most, in heights of its letters."""
    return sum(_WIDTHS.get(letter, _USUAL_WIDTH) for letter in word)


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first; of equal ones the first of the alphabet, so that pictures can be compared."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def _text(x: float, y: float, words: str, size: float, ink: str, more: str = "", tip: str = "") -> str:
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size:.1f}' fill='{ink}' font-family='system-ui, sans-serif' "
        f"{more}>{escape(words)}{title}</text>"
    )


def _picture(title: str, height: float, parts: list[str]) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height:g}' width='{_WIDTH}' role='img' "
        f"aria-label='{escape(title, quote=True)}'><rect width='100%' height='100%' fill='#ffffff'/>"
        f"{_text(_MARGIN, 24, title, 15, _INK)}{''.join(parts)}</svg>\n"
    )


def _page(root: Path, vocabulary: Vocabulary, pictures: dict[str, str]) -> str:
    said = [
        f"{vocabulary.captions} of {vocabulary.clips} clips have a caption that tells what is seen from what is "
        "only heard."
    ]
    if vocabulary.others:
        said.append(f"{vocabulary.others} have a caption of another form; its words count as visible.")
    missing = ", ".join(f"{reason} ({count})" for reason, count in _ordered(vocabulary.missing))
    if missing:
        said.append(f"Without a caption, by reason: {missing}.")
    said.append(
        f"Visible: {len(vocabulary.visible)} different nouns in {len(vocabulary.visible_phrases)} different "
        f"phrases; invisible: {len(vocabulary.invisible)} in {len(vocabulary.invisible_phrases)}."
    )
    figures = "".join(f"<figure>{picture}</figure>" for picture in pictures.values())
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>Captions</title><style>{_STYLE}</style><h1>{escape(root.resolve().name)}: captions</h1>"
        f"{''.join(f'<p>{escape(line)}</p>' for line in said)}{figures}"
        "<p class='small'>A number is that of captions that name the noun. What is a noun is decided by a rule of "
        "word lists and endings, not by grammar; the same for every set. All nouns: vocabulary.csv.</p></html>\n"
    )
