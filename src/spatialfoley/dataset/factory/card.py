"""``card.md``: what a data set is, how it was made, whose it is and what to mind, with a head that hubs read.

Everything in it is read from the folder: the manifest, the funnel, how it was built, what was taken down.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from spatialfoley.dataset.factory.account import read_account, state_contact
from spatialfoley.dataset.factory.card_text import CAVEATS, CONVENTIONS, LOADING, ROLES
from spatialfoley.dataset.factory.holdings import (
    LICENCES_FILE,
    Holdings,
    Share,
    count_holdings,
    is_open,
    write_licences,
)
from spatialfoley.dataset.factory.lists import FUNNEL_FILE
from spatialfoley.dataset.factory.taken_down import TAKEDOWN_FILE, read_taken_down
from spatialfoley.media.atomic import atomic_path

CARD_FILE = "card.md"
_MOST_ROWS = 20
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_HUB_LICENCES = {"mit": "mit", "cc0-1.0": "cc0-1.0", "cc-by-4.0": "cc-by-4.0", "cc-by-sa-4.0": "cc-by-sa-4.0"}
_PICTURES = ("stats.html", "captions.html")


def write_card(root: Path, contact: str | None = None) -> Path:
    """Write the card and the licence of every clip.

    Args:
        root: The build folder.
        contact: Whom people write to who want something taken down; kept for later cards. None: as stated before.

    Returns:
        The card.

    Raises:
        ValueError: The folder holds no finished build.
    """
    if contact is not None:
        state_contact(root, contact)
    account, holdings = read_account(root), count_holdings(root)
    write_licences(root)
    parts = [
        f"---\n{yaml.safe_dump(_head(account, holdings), sort_keys=False, allow_unicode=True)}---",
        f"# {_title(root, account)}",
        account.get("description") or "No description was given in the settings of the build.",
        _holds(holdings),
        _made(account),
        _funnel(root),
        _whose(holdings),
        CONVENTIONS,
        LOADING.format(role=next(iter(sorted(holdings.files)), "foa")),
        _caveats(root, account, holdings),
        _pictures(root),
        _versions(account),
    ]
    with atomic_path(root / CARD_FILE) as path:
        path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return root / CARD_FILE


def _title(root: Path, account: dict[str, Any]) -> str:
    return account.get("title") or root.resolve().name


def _head(account: dict[str, Any], holdings: Holdings) -> dict[str, Any]:
    """The YAML that hubs of data sets read."""
    clips = holdings.whole.clips
    licences = {_HUB_LICENCES.get(licence.lower(), "other") for licence in holdings.licences}
    return {
        "pretty_name": account.get("title") or "unnamed",
        "license": licences.pop() if len(licences) == 1 else "other",
        **({"language": ["en"]} if holdings.facts["caption"] else {}),
        "size_categories": [next((name for limit, name in _SIZES if clips < limit), "n>10M")],
        "task_categories": ["other"],
        "tags": ["spatial-audio", "ambisonics", "video-to-audio", "360-video", "webdataset"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": _hub_split(split), "path": f"shards/{split}-*.tar"}
                    for split in sorted(holdings.splits)
                ],
            }
        ],
    }


def _hub_split(split: str) -> str:
    return {"valid": "validation"}.get(split, split)


def _holds(holdings: Holdings) -> str:
    rows = [
        [name, share.clips, len(share.recordings), _hours(share)]
        for name, share in sorted(holdings.splits.items())
    ]
    rows.append(["all", holdings.whole.clips, len(holdings.whole.recordings), _hours(holdings.whole)])
    files = [
        [f"`{role}{kind.suffix}`", kind.files, f"{kind.size / 1e6:.1f} MB", ROLES.get(role, "")]
        for role, kind in sorted(holdings.files.items())
    ]
    captioned = holdings.facts["caption"]
    without = ", ".join(f"{reason} ({count})" for reason, count in sorted(holdings.missing_captions.items()))
    captions = f"{captioned} of {holdings.whole.clips} clips have a caption" + (
        f"; without: {without}." if without else "."
    )
    if holdings.writers:
        captions += f" Written by, with the licence of the weights: {', '.join(sorted(holdings.writers))}."
    unknown = holdings.missing_durations
    lengths = f" The length of {unknown} clips is not stated and counts as none." if unknown else ""
    return "\n\n".join(
        [
            "## What it holds",
            "A recording is in one split with all its clips." + lengths,
            _table(["split", "clips", "recordings", "hours"], rows),
            _table(["file of a clip", "clips with it", "size", "what it is"], files),
            captions,
        ]
    )


def _hours(share: Share) -> str:
    return f"{share.seconds / 3600:.2f}"


def _made(account: dict[str, Any]) -> str:
    rows = [
        [stage["stage"], stage["version"], _settings(stage["settings"])]
        for stage in account.get("stages", ())
    ]
    splits = _settings(account.get("splits", {}))
    return "\n\n".join(
        [
            "## How it was made",
            f"Source: {_settings(account['source'])}. Splits: {splits}.",
            _table(["stage", "version", "settings"], rows),
        ]
    )


def _settings(values: dict[str, Any]) -> str:
    said = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return f"`{said}`" if said else "–"


def _funnel(root: Path) -> str:
    path = root / FUNNEL_FILE
    if not path.is_file():
        return ""
    document = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        [
            stage["stage"],
            stage["records"],
            stage["passed"],
            _counts(stage["rejected"]),
            _counts(stage["failed"]),
        ]
        for stage in document["stages"]
    ]
    return "\n\n".join(
        [
            "## What was left out, and why",
            f"{document['recordings']} recordings were listed by the source. Each record that was left out is in "
            "`rejected.jsonl` or `failed.jsonl` with its reason and what was measured.",
            _table(["stage", "records in", "records out", "rejected", "failed"], rows),
        ]
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "–"


def _whose(holdings: Holdings) -> str:
    licences = sorted(holdings.licences.items(), key=lambda item: (-item[1].clips, item[0]))
    rows = [
        [_plain(name), "yes" if is_open(name) else "no", share.clips, len(share.recordings), _hours(share)]
        for name, share in licences[:_MOST_ROWS]
    ]
    channels = [[_plain(name), clips] for name, clips in holdings.channels.most_common(_MOST_ROWS)]
    return "\n\n".join(
        part
        for part in [
            "## Whose it is",
            f"Source, address, title, channel and licence of every clip are in `{LICENCES_FILE}`; the licence is "
            "as the source states it.",
            _table(["licence", "open", "clips", "recordings", "hours"], rows) + _more(len(licences)),
            f"{len(holdings.channels)} channels are named." if channels else "",
            _table(["channel", "clips"], channels) + _more(len(holdings.channels)) if channels else "",
        ]
        if part
    )


def _more(count: int) -> str:
    return f"\n\n{count - _MOST_ROWS} more are in `{LICENCES_FILE}`." if count > _MOST_ROWS else ""


def _caveats(root: Path, account: dict[str, Any], holdings: Holdings) -> str:
    closed = {name: share for name, share in holdings.licences.items() if not is_open(name)}
    clips = sum(share.clips for share in closed.values())
    lines = list(CAVEATS)
    if clips:
        lines.insert(
            0,
            f"{clips} of {holdings.whole.clips} clips are not under a licence that is known to be open "
            f"({_plain(', '.join(sorted(closed)[:5]))}). They remain their authors'; do not pass them on, and "
            "use them only as the law of your country allows for research.",
        )
    contact = account.get("contact")
    lines.append(
        f"Who wants a recording taken down writes to {contact}; `spatialfoley dataset takedown` takes it out."
        if contact
        else "No contact for takedowns is stated: state one with `spatialfoley dataset card DIR --contact ADDRESS` "
        "before this set is passed on."
    )
    gone = read_taken_down(root)
    if gone:
        lines.append(
            f"{len(gone)} recordings or clips were taken down (`{TAKEDOWN_FILE}`); delete older copies."
        )
    return "## What to mind\n\n" + "\n".join(f"- {line}" for line in lines)


def _pictures(root: Path) -> str:
    there = [name for name in _PICTURES if (root / name).is_file()]
    return f"## Pictures\n\n{', '.join(f'[{name}]({name})' for name in there)}" if there else ""


def _versions(account: dict[str, Any]) -> str:
    rows = [[name, version] for name, version in account.get("versions", {}).items()]
    return "## Versions\n\n" + _table(["program", "version"], rows)


def _table(head: list[str], rows: Iterable[list[Any]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Other people's words as plain text of one line."""
    words = " ".join(text.split()).replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in "\\`*_[]#" else sign for sign in words)
