"""What yt-dlp says when it fails, in kinds: what may go away by itself and what will not.

Its messages are the only interface for this: it ends with 1 whatever happened. They are those of yt-dlp 2026.10 and
of YouTube's answers that it hands on; an unknown message is a "bug", so that nobody waits for it to go away.
"""

from __future__ import annotations

import re

from spatialfoley.dataset.factory.stage import (
    ItemProblem,
    PermanentKind,
    TransientKind,
    TransientProblem,
)

_TRANSIENT: tuple[tuple[TransientKind, str], ...] = (
    ("disk", r"no space left|disk quota exceeded|input/output error"),
    ("rate", r"http error 429|too many requests|rate-?limited|not a bot|captcha|try again later"),
)
_PERMANENT: tuple[tuple[PermanentKind, str], ...] = (
    ("geo", r"in your country|from your location|geo.?restrict|in your region"),
    (
        "private",
        r"private|members-only|join this channel|members of this channel|confirm your age|age-restricted|"
        r"login required|only available for registered|premium|requires payment|purchase|rental",
    ),
    (
        "missing",
        r"has been removed|been terminated|no longer available|does not exist|video unavailable|"
        r"isn't available|is not available\b(?!.*format)|http error 40[04]|http error 410|incomplete youtube id",
    ),
    (
        "format",
        r"requested format is not available|no video formats found|drm protected|only images are available|"
        r"live event|premieres in|live stream|is live|processing this video|larger than max-filesize",
    ),
)
# Last, because other messages mention downloading too.
_NETWORK = (
    r"http error [45]\d\d|timed? ?out|connection|unreachable|resolve|getaddrinfo|name or service|refused|reset by|"
    r"ssl|certificate|remote end closed|incompleteread|more expected|bytes read|downloaded file is empty|"
    r"unable to download|fragment not found|giving up after|transporterror|proxy"
)

# Formats that are there and were not shown: nothing is proven by their absence.
_HIDDEN = re.compile(
    r"po token|challenge solving failed|no supported javascript|sabr|missing a url|signature extraction failed|"
    r"formats? may be missing|formats? have been skipped",
    re.IGNORECASE,
)

_LONGEST = 300
_KILLED = -9


def problem_of(stderr: str, code: int) -> TransientProblem | ItemProblem:
    """The problem that a failed call of yt-dlp had.

    Args:
        stderr: What it wrote.
        code: What it ended with; below 0 the signal that ended it.
    """
    message = error_message(stderr)
    if code == _KILLED:
        return TransientProblem(
            "memory", "yt-dlp was killed from outside, as systems do when memory is short"
        )
    if message is None:
        last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "nothing")
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ItemProblem("crash", f"yt-dlp ended with {how}; its last words: {_short(last)}")
    sentence = f"yt-dlp says: {_short(message)}"
    said = message.lower()
    for transient, pattern in _TRANSIENT:
        if re.search(pattern, said):
            return TransientProblem(transient, sentence)
    for permanent, pattern in _PERMANENT:
        if re.search(pattern, said):
            return ItemProblem(permanent, sentence)
    if re.search(_NETWORK, said):
        return TransientProblem("network", sentence)
    return ItemProblem("bug", sentence)


def error_message(stderr: str) -> str | None:
    """The last error that yt-dlp reported, without what stands before it; None for none."""
    # Not splitlines: a message of a broken download begins with a carriage return.
    lines = [line.split("ERROR:", 1)[1].strip() for line in stderr.split("\n") if "ERROR:" in line]
    return lines[-1] if lines else None


def hidden_formats(stderr: str) -> str | None:
    """The warning that formats exist which were not shown; None when all were."""
    lines = [line.split("WARNING:", 1)[1].strip() for line in stderr.split("\n") if "WARNING:" in line]
    return next((_short(line) for line in lines if _HIDDEN.search(line)), None)


def _short(message: str) -> str:
    """A message without the private part of addresses, and of bearable length."""
    open_part = re.sub(r"(https?://[^\s?]+)\?\S+", r"\1", message)
    one_line = " ".join(open_part.split())
    return one_line if len(one_line) <= _LONGEST else f"{one_line[: _LONGEST - 1]}…"
