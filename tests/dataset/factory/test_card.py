"""Cards say what the folder holds: counts, stages, licences, and what to mind."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import yaml

from spatialfoley.dataset.factory.account import ACCOUNT_FILE, read_account, write_account
from spatialfoley.dataset.factory.card import write_card
from spatialfoley.dataset.factory.config import BuildConfig
from spatialfoley.dataset.factory.holdings import count_holdings, is_open
from spatialfoley.dataset.factory.lists import read_manifest
from spatialfoley.dataset.factory.runner import build
from spatialfoley.settings import from_mapping

from .test_runner import PARTS, config


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("card") / "set"
    build(config(root, count=10, reject_every=5, corrupt=[7]))
    return root


def relicensed(root: Path, licences: dict[str, str]) -> None:
    """Only the manifest: cards are made of it."""
    rows = list(read_manifest(root))
    for row in rows:
        row["facts"] |= {
            "duration_s": 5.0,
            "channel": "a|b <i>",
            "title": "=cmd()",
            "url": "https://example.org/1",
        }
        if row["recording"] in licences:
            row["facts"]["licence"] = licences[row["recording"]]
    (root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_card_counts_what_is_there(built: Path) -> None:
    card = write_card(built).read_text()
    _, head, body = card.split("---\n", 2)
    hub = yaml.safe_load(head)
    assert hub["license"] == "cc0-1.0"
    assert hub["size_categories"] == ["n<1K"]
    splits = {row["split"] for row in hub["configs"][0]["data_files"]}
    assert splits == {{"valid": "validation"}.get(name, name) for name in count_holdings(built).splits}
    assert "| all | 14 | 7 | 0.00 |" in body
    assert "The length of 14 clips is not stated" in body
    assert f"| {PARTS} | 1 | `pause_s: 0.0, reject_every: 5, corrupt: [7], crash: " in body, "defaults too"
    assert f"| {PARTS} | 10 | 14 | divisible 2 | corrupt 1 |" in body
    assert "No contact for takedowns is stated" in body
    assert "not under a licence that is known to be open" not in body
    assert "| numpy | " in body


def test_licences_are_told_clip_by_clip(built: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(built, tmp_path / "set"))
    relicensed(root, {"n-0001": "CC BY-NC 4.0", "n-0002": "Standard YouTube Licence"})
    card = write_card(root, contact="rights@example.org").read_text()
    assert "4 of 14 clips are not under a licence that is known to be open (CC BY-NC 4.0, Standard" in card
    assert "| CC0-1.0 | yes | 10 | 5 | 0.01 |" in card
    assert "| CC BY-NC 4.0 | no | 2 | 1 | 0.00 |" in card
    assert "a/b &lt;i>" in card
    assert "writes to rights@example.org" in card
    assert "license: other" in card
    rows = list(csv.DictReader((root / "licences.csv").open(newline="")))
    assert len(rows) == 14
    assert rows[0]["licence"] == "CC BY-NC 4.0"
    assert rows[0]["title"] == "'=cmd()", "spreadsheets must not run titles"
    assert "writes to rights@example.org" in write_card(root).read_text(), "a contact stays"


@pytest.mark.parametrize(
    ("licence", "is_it"),
    [
        ("CC0-1.0", True),
        ("CC-BY-4.0", True),
        ("CC BY-SA 3.0", True),
        ("Creative Commons Attribution license (reuse allowed)", True),
        ("MIT", True),
        ("CC-BY-NC-4.0", False),
        ("CC BY-NC-SA 4.0", False),
        ("CC-BY-ND-4.0", False),
        ("Creative Commons Attribution-NonCommercial", False),
        ("Standard YouTube License", False),
        ("not stated", False),
        ("permitted", False),
    ],
)
def test_open_licences_are_known(licence: str, is_it: bool) -> None:
    assert is_open(licence) is is_it


def test_a_contact_outlives_builds(built: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    build(config(root, count=2))
    write_card(root, contact="rights@example.org")
    build(config(root, count=3))
    assert json.loads((root / ACCOUNT_FILE).read_text())["contact"] == "rights@example.org"


def test_how_a_downloader_signs_in_is_not_told(tmp_path: Path) -> None:
    cookies = tmp_path / "cookies-of-mine.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n")
    (tmp_path / "ids.txt").write_text("dQw4w9WgXcQ\n")
    source = {
        "kind": "youtube",
        "ids": str(tmp_path / "ids.txt"),
        "download": {"cookies": str(cookies), "arguments": ["--proxy", "http://me:pass@host"]},
    }
    document = {"output": str(tmp_path / "set"), "source": source, "stages": []}
    root = tmp_path / "set"
    root.mkdir()
    write_account(from_mapping(BuildConfig, document, "test"), root)
    written = (root / ACCOUNT_FILE).read_text()
    assert "ids.txt" in written
    assert "cookies-of-mine" not in written
    assert "pass@host" not in written
    told = read_account(root)["source"]["download"]
    assert told["max_height"] == 1440, "other settings are told, defaults too"


def test_no_build_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no build\.json; build it with"):
        write_card(tmp_path)
