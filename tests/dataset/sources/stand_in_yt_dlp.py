"""A program with yt-dlp's interface that asks a site of a test: its options, its messages, its half files.

It says in yt-dlp's words what the site answers, downloads over HTTP as yt-dlp does, and goes on with a ".part". It
is started often, so it imports little and speaks HTTP by itself.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path

FLAGS = {
    *("--ignore-config", "--no-playlist", "--no-progress", "--no-mtime", "--abort-on-error", "-J"),
    "--abort-on-unavailable-fragments",
}
OPTIONS = {
    *(
        "--fixup",
        "--retries",
        "--fragment-retries",
        "--extractor-retries",
        "--socket-timeout",
        "--max-filesize",
    ),
    *("--extractor-args", "--cookies", "--proxy", "--load-info-json", "-f", "-o"),
}


class HttpError(Exception):
    """Said as yt-dlp says it."""


def fail(message: str) -> None:
    sys.stderr.write(f"ERROR: {message}\n")
    sys.exit(1)


def parsed(arguments: list[str]) -> dict[str, str]:
    options = {}
    rest = iter(arguments)
    for word in rest:
        if word in OPTIONS:
            options[word] = next(rest)
        elif word in FLAGS:
            options[word] = ""
        elif word.startswith("-"):
            sys.stderr.write(f"yt-dlp: error: no such option: {word}\n")
            sys.exit(2)
        else:
            options["url"] = word
    return options


def get(url: str, **headers: str):
    """The body as it comes, and how much of it there should be."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, port = host.split(":")
    connection = socket.create_connection((name, int(port)), timeout=5)
    lines = [
        f"GET /{path} HTTP/1.0",
        *(f"{key.replace('_', '-')}: {value}" for key, value in headers.items()),
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = connection.makefile("rb")
    _, status, reason = answer.readline().decode().strip().split(" ", 2)
    length = 0
    while line := answer.readline().decode().strip():
        if line.lower().startswith("content-length:"):
            length = int(line.split(":")[1])
    if status not in ("200", "206"):
        raise HttpError(f"HTTP Error {status}: {reason} (caused by <HTTPError {status}: {reason}>)")
    return answer, length


def ask(url: str, client: str, cookies: str) -> dict:
    headers = {}
    if cookies:
        headers["Cookie"] = Path(cookies).read_text().strip()
    try:
        answer, _ = get(url, X_Client=client, **headers)
    except (HttpError, OSError) as problem:
        fail(f"[youtube] {url.rsplit('/', 1)[-1]}: Unable to download API page: {problem}")
    said = json.loads(answer.read())
    for warning in said.get("warnings", []):
        sys.stderr.write(f"WARNING: [youtube] {warning}\n")
    if "error" in said:
        fail(f"[youtube] {said['id']}: {said['error']}")
    if "signal" in said:
        os.kill(os.getpid(), said["signal"])
    if "traceback" in said:
        raise KeyError(said["traceback"])
    time.sleep(said.get("hang_s", 0))
    return said


def download(info: dict, format_id: str, template: str) -> None:
    chosen = next((one for one in info["formats"] if one["format_id"] == format_id), None)
    if chosen is None:
        fail(f"[youtube] {info['id']}: Requested format is not available. Use --list-formats for a list")
    target = Path(template.replace("%(ext)s", chosen["ext"]))
    part = Path(f"{target}.part")
    have = part.stat().st_size if part.exists() else 0
    try:
        answer, more = get(chosen["url"], **({"Range": f"bytes={have}-"} if have else {}))
    except (HttpError, OSError) as problem:
        fail(f"unable to download video data: {problem}")
    got = 0
    with part.open("ab") as file:
        while block := answer.read(1 << 16):
            got += file.write(block)
    if got < more:
        fail(
            f"\r[download] Got error: {got} bytes read, {more - got} more expected. Giving up after 2 retries"
        )
    part.rename(target)


if __name__ == "__main__":
    options = parsed(sys.argv[1:])
    if "-J" in options:
        client = options.get("--extractor-args", "youtube:player_client=none").split("=")[1]
        print(json.dumps(ask(options["url"], client, options.get("--cookies", ""))))
    else:
        answered = json.loads(Path(options["--load-info-json"]).read_text())
        download(answered, options["-f"], options["-o"])
