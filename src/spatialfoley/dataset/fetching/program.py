"""yt-dlp as a program of its own: its crashes and its hanging are its own too.

It is polite: one process never asks more often than the settings allow, and waits longer once it was told that it
asks too often. Cookies are lent as a copy, because yt-dlp writes them back and several processes use them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spatialfoley.dataset.factory.stage import ItemProblem, TransientProblem, seed_of
from spatialfoley.dataset.fetching.failures import hidden_formats, problem_of
from spatialfoley.dataset.fetching.settings import FetchSettings

PART_SUFFIXES = (".part", ".ytdl")
"""Of what is not whole yet."""

_ALWAYS = (
    "--ignore-config",
    "--no-playlist",
    "--no-progress",
    "--no-mtime",
    "--abort-on-error",
    "--abort-on-unavailable-fragments",
    "--fixup",
    "never",
    "--retries",
    "2",
    "--fragment-retries",
    "2",
    "--extractor-retries",
    "1",
)


@dataclass(frozen=True)
class Answer:
    """What a site says of a recording.

    Attributes:
        info: yt-dlp's description, formats included.
        hidden: Its warning that there are formats which it cannot show; None for none.
    """

    info: dict[str, Any]
    hidden: str | None


def find_program(settings: FetchSettings) -> tuple[str, ...]:
    """How yt-dlp is started.

    Raises:
        ValueError: It is not there.
    """
    if not settings.yt_dlp:
        if find_spec("yt_dlp") is None:
            raise ValueError(
                "yt-dlp is not installed; install spatialfoley[fetch], or give its path as download.yt_dlp"
            )
        return (sys.executable, "-m", "yt_dlp")
    found = shutil.which(settings.yt_dlp)
    if found is None:
        raise ValueError(f"download.yt_dlp is {settings.yt_dlp}, which is no program; give its path or name")
    return (str(Path(found).absolute()),)


def ask(settings: FetchSettings, video: str, client: str) -> Answer:
    """What a site offers to one client, nothing downloaded.

    Raises:
        TransientProblem, ItemProblem: It says nothing, or nothing that can be read.
    """
    said, complained = _call(settings, video, client, ["-J", settings.address(video)])
    try:
        info = json.loads(said)
    except ValueError:
        raise ItemProblem(
            "crash", "yt-dlp did not answer in JSON; look at what download.yt_dlp starts"
        ) from None
    if not isinstance(info, dict):
        raise ItemProblem("format", f"yt-dlp found no recording at the address of {video}")
    return Answer(info, hidden_formats(complained))


def download(
    settings: FetchSettings,
    video: str,
    client: str,
    info: dict[str, Any],
    format_id: str,
    target: Path,
    lock: int | None = None,
) -> Path:
    """Download one format to `target` with its ending added; a part that is there is gone on with.

    Args:
        settings: How.
        video: Id of the recording.
        client: The one that was asked.
        info: What it answered.
        format_id: The format.
        target: Path of the file without its ending.
        lock: Descriptor that yt-dlp keeps open as long as it runs, of `only_one`.

    Raises:
        TransientProblem, ItemProblem: It cannot be had.
    """
    with TemporaryDirectory(prefix="spatialfoley-") as folder:
        # The answer holds signed addresses: nobody else may read it, and it does not outlive the download.
        answer = Path(folder) / "info.json"
        answer.write_text(json.dumps(info), encoding="utf-8")
        arguments = ["--load-info-json", str(answer), "-f", format_id, "-o", f"{target.name}.%(ext)s"]
        _call(settings, video, client, arguments, target.parent, lock)
    found = [path for path in target.parent.glob(f"{target.name}.*") if path.suffix not in PART_SUFFIXES]
    if len(found) != 1:
        raise ItemProblem("crash", f"yt-dlp ended well, but format {format_id} is not there")
    return found[0]


def _call(
    settings: FetchSettings,
    video: str,
    client: str,
    arguments: Sequence[str],
    folder: Path | None = None,
    lock: int | None = None,
) -> tuple[str, str]:
    """One call of yt-dlp, after the pause that is due: what it wrote to its two outputs."""
    pacer().wait(settings, video)
    with _lent_cookies(settings) as cookies:
        command = [
            *find_program(settings),
            *_ALWAYS,
            "--socket-timeout",
            f"{settings.socket_timeout_s:g}",
            "--max-filesize",
            str(round(settings.max_gb * 1e9)),
            *(["--extractor-args", f"youtube:player_client={client}"] if client else []),
            *cookies,
            *settings.arguments,
            *arguments,
        ]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                pass_fds=() if lock is None else (lock,),
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=settings.call_limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TransientProblem(
                "network", f"yt-dlp was stopped after download.call_limit_s = {settings.call_limit_s:g} s"
            ) from None
    # Not text=True, which makes a new line of each carriage return.
    said, complained = (output.decode("utf-8", "replace") for output in (done.stdout, done.stderr))
    complained = _without_secrets(complained, settings, cookies)
    if "larger than max-filesize" in said + complained:
        raise ItemProblem("format", f"a file of it is larger than download.max_gb = {settings.max_gb:g} GB")
    if done.returncode != 0:
        problem = problem_of(complained, done.returncode)
        if problem.kind == "rate":
            pacer().slow_down(settings)
        raise problem
    return said, complained


@contextmanager
def _lent_cookies(settings: FetchSettings) -> Iterator[list[str]]:
    """The option with a private copy of the cookies."""
    if settings.cookies is None:
        yield []
        return
    with TemporaryDirectory(prefix="spatialfoley-") as folder:
        copy = Path(folder) / "cookies.txt"
        shutil.copyfile(settings.cookies, copy)
        copy.chmod(0o600)
        yield ["--cookies", str(copy)]


def _without_secrets(text: str, settings: FetchSettings, cookies: Sequence[str]) -> str:
    """A text without what the options of cookies and arguments hold."""
    for argument in (settings.cookies or "", *cookies[1:], *settings.arguments):
        secret = argument.partition("=")[2] if argument.startswith("-") else argument
        if secret:
            text = text.replace(secret, "…")
    return text


class Pacer:
    """Keeps a process from asking too often."""

    def __init__(self) -> None:
        self.next_s = 0.0
        self.asked = 0

    def wait(self, settings: FetchSettings, video: str) -> None:
        """Wait until the next request is due."""
        time.sleep(max(0.0, self.next_s - time.monotonic()))
        draw = seed_of("pause", settings.seed, video, self.asked) / 2**63
        self.asked += 1
        self.next_s = time.monotonic() + settings.pause_s + settings.jitter_s * draw

    def slow_down(self, settings: FetchSettings) -> None:
        """Wait longer this time."""
        self.next_s = max(self.next_s, time.monotonic() + settings.rate_pause_s)


@cache
def pacer() -> Pacer:
    """The one of this process."""
    return Pacer()


@contextmanager
def only_one(folder: Path) -> Iterator[int | None]:
    """Hold a folder of downloads; a yt-dlp whose build was killed holds it until it has ended.

    Yields:
        The descriptor to hand to yt-dlp; None where there are no such locks.

    Raises:
        TransientProblem: Something else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        yield None
        return
    import fcntl

    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TransientProblem("network", "an earlier download of it is still running") from None
        yield lock.fileno()
