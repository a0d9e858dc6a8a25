"""Pictures of a vocabulary: what is drawn is read back from the SVG."""

import csv
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from spatialfoley.dataset.captioning.pictures import (
    BLUE,
    PAGE_FILE,
    RED,
    width_of,
    word_bars,
    word_cloud,
    write_caption_pages,
)

SVG = "{http://www.w3.org/2000/svg}"
COUNTS = Counter({"bird": 40, "wind": 10, "a<b>&": 10, "car": 1})


def _texts(picture: str) -> list[ET.Element]:
    return list(ET.fromstring(picture).iter(f"{SVG}text"))


def test_bars_are_as_tall_as_their_numbers_and_in_order() -> None:
    picture = ET.fromstring(word_bars("Title", COUNTS, BLUE))
    bars = [bar for bar in picture.iter(f"{SVG}rect") if bar.get("fill") == BLUE]
    assert [bar.find(f"{SVG}title").text for bar in bars] == ["bird: 40", "a<b>&: 10", "wind: 10", "car: 1"]  # type: ignore[union-attr]
    heights = [float(bar.get("height", "")) for bar in bars]
    assert heights == pytest.approx([180, 45, 45, 4.5])
    bottoms = {round(float(bar.get("y", "")) + height, 1) for bar, height in zip(bars, heights, strict=True)}
    assert bottoms == {220.0}


def test_words_are_as_large_as_their_numbers_and_stay_inside_and_apart() -> None:
    many = Counter({f"word{number}" * (1 + number % 3): 300 - number for number in range(260)})
    picture = word_cloud("Title", many, RED)
    words = _texts(picture)[1:]
    assert len(words) == 200
    height = float(ET.fromstring(picture).get("viewBox", "").split()[3])
    boxes = []
    for word in words:
        size, x, y = (float(word.get(name, "")) for name in ("font-size", "x", "y"))
        boxes.append((x, y - size, x + size * width_of(word.text or ""), y))
        assert x >= 0
        assert boxes[-1][2] <= 640
        assert y <= height
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:number]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
    sizes = [float(word.get("font-size", "")) for word in _texts(word_cloud("Title", COUNTS, RED))[1:]]
    assert sizes == [46.0, 23.0, 23.0, 11.0]


def _built(root: Path, facts: list[dict[str, object]]) -> Path:
    """A folder with the manifest of a build."""
    lines = [
        json.dumps({"id": f"a-{number}", "recording": "a", "split": "train", "files": {}, "facts": told})
        for number, told in enumerate(facts)
    ]
    (root / "manifest.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return root


def test_the_page_of_a_set(tmp_path: Path) -> None:
    root = _built(
        tmp_path,
        [
            {"caption": "Visible sound: bell ringing, Invisible sound: bird chirping"},
            {"caption": "Visible sound: none, Invisible sound: two birds, a bell"},
            {"caption": "cello"},
            {"caption_missing": "language", "caption_missing_because": "not English"},
        ],
    )
    assert write_caption_pages(root) == root / PAGE_FILE
    page = (root / PAGE_FILE).read_text("utf-8")
    assert "2 of 4 clips have a caption that tells what is seen" in page
    assert "1 have a caption of another form" in page
    assert "by reason: language (1)." in page
    assert "Visible: 2 different nouns in 2 different phrases; invisible: 2 in 3." in page
    with (root / "vocabulary.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["noun", "visible", "invisible"],
        ["bell", "1", "1"],
        ["bird", "0", "2"],
        ["cello", "1", "0"],
    ]
    names = sorted(path.name for path in (root / "stats").iterdir())
    assert names == [
        f"vocabulary-{part}-{kind}.svg" for part in ("invisible", "visible") for kind in ("bars", "words")
    ]
    for name in names:
        svg = (root / "stats" / name).read_text("utf-8")
        assert svg in page
        ET.fromstring(svg)
    first = {name: (root / "stats" / name).read_bytes() for name in names}
    write_caption_pages(root)
    assert {name: (root / "stats" / name).read_bytes() for name in names} == first
    assert not re.search(r"(src|href)=", page)


def test_a_set_without_captions_has_no_page(tmp_path: Path) -> None:
    assert write_caption_pages(_built(tmp_path, [{}, {"caption_missing": "empty"}])) is None
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"]
    with pytest.raises(ValueError, match="manifest"):
        write_caption_pages(tmp_path / "nowhere")
