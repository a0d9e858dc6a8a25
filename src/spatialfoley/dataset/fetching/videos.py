"""A recording brought here: asked for with one client after the other, chosen, downloaded, checked."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.stage import ItemProblem, Outcome, Passed, Rejected, Workspace
from spatialfoley.dataset.fetching.offers import FIELD_CHANNELS, Choice, Offer, Wanted, choose
from spatialfoley.dataset.fetching.program import PART_SUFFIXES, Answer, ask, download, only_one
from spatialfoley.dataset.fetching.settings import FetchSettings
from spatialfoley.dataset.fetching.whole import Measured, measure

NOT_STATED = "not stated; YouTube's standard terms"
_PICTURE_ROLE: dict[Wanted, str] = {"field": "panorama", "view": "view"}


def fetch_video(
    settings: FetchSettings, record: Record, space: Workspace, video: str, wanted: Wanted
) -> Outcome:
    """Fetch a recording: "panorama" (or "view") and "sound", with what its site says of it.

    What was downloaded stays when the network fails, and the next attempt goes on with it. What the list of the
    source says of a recording is kept where the site says otherwise.

    Args:
        settings: How.
        record: The recording.
        space: Where files are made.
        video: Its id at the site.
        wanted: What it has to offer.

    Raises:
        TransientProblem, ItemProblem, MediaError: It cannot be had.
    """
    found = _find(settings, video, wanted)
    if isinstance(found, Rejected):
        return found
    answer, choice, client = found
    folder = space.root / "work" / space.stage / "downloads" / record.id
    with only_one(folder) as lock:

        def have(offer: Offer, name: str) -> Path:
            # A format of its own has a name of its own: nobody goes on with the half of another one.
            target = folder / f"{name}-{re.sub(r'[^A-Za-z0-9]+', '_', offer.id)}"
            whole = [path for path in folder.glob(f"{target.name}.*") if path.suffix not in PART_SUFFIXES]
            return (
                whole[0] if whole else download(settings, video, client, answer.info, offer.id, target, lock)
            )

        picture = have(choice.picture, "picture")
        sound = None if choice.sound is None else have(choice.sound, "sound")
        try:
            measured = measure(picture, sound, answer.info.get("duration"))
            refused = _other_than_offered(measured, choice, wanted)
            files = {} if refused else _kept(record, space, picture, sound, wanted)
        finally:
            # Whole or spoilt, it is of no use for another attempt.
            shutil.rmtree(folder, ignore_errors=True)
    if refused is not None:
        return refused
    facts = {**_facts(answer.info, choice, measured, client, settings.address(video)), **record.facts}
    return Passed((record.with_(files, facts),))


def _find(settings: FetchSettings, video: str, wanted: Wanted) -> tuple[Answer, Choice, str] | Rejected:
    """The first client's answer that offers what is wanted."""
    refused: Rejected | None = None
    hidden: str | None = None
    problem: ItemProblem | None = None
    for client in settings.clients:
        try:
            answer = ask(settings, video, client)
        except ItemProblem as failed:
            # Some clients are told less than others; what is private or gone is so for all.
            if failed.kind not in ("format", "bug", "crash"):
                raise
            problem = problem or failed
            continue
        choice = choose(answer.info, wanted, settings)
        if isinstance(choice, Choice):
            return answer, choice, client
        refused = refused or choice
        hidden = hidden or answer.hidden
    if hidden is not None:
        raise ItemProblem("format", f"not all of its formats could be seen ({hidden})")
    if refused is None:
        assert problem is not None  # there is at least one client
        raise problem
    return refused


def _other_than_offered(measured: Measured, choice: Choice, wanted: Wanted) -> Rejected | None:
    if wanted == "view" or measured.channels in FIELD_CHANNELS:
        return None
    stated = choice.sound.channels if choice.sound is not None else 0
    return Rejected(
        "format",
        f"its sound has {measured.channels} channels, though {stated} were offered",
        {"channels": measured.channels, "stated": stated},
    )


def _kept(
    record: Record, space: Workspace, picture: Path, sound: Path | None, wanted: Wanted
) -> dict[str, FileRef]:
    files = {}
    for role, path in ((_PICTURE_ROLE[wanted], picture), ("sound", sound)):
        if path is not None:
            with space.new_file(record.id, role, path.suffix) as new:
                path.replace(new.path)
            files[role] = new.ref
    return files


def _facts(
    info: dict[str, Any], choice: Choice, measured: Measured, client: str, address: str
) -> dict[str, Any]:
    """What the site says of the recording, and how it came here."""
    said = {
        "title": info.get("title"),
        "channel": info.get("channel") or info.get("uploader"),
        "channel_id": info.get("channel_id"),
        "upload_date": info.get("upload_date"),
        "url": info.get("webpage_url") or address,
        "licence": info.get("license") or NOT_STATED,
        "fetched_client": client,
        "picture_format": choice.picture.described(),
        "sound_format": choice.sound.described() if choice.sound is not None else None,
        "projection": choice.picture.projection,
    }
    return {
        **{name: value for name, value in said.items() if value},
        "duration_s": round(measured.duration_s, 6),
        "width": measured.width,
        "height": measured.height,
    }
