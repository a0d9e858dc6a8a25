"""A program with yt-dlp's interface that asks a site of a test: its options, its messages, its half files.

It says in yt-dlp's words what the site answers, downloads over HTTP as yt-dlp does, and goes on with a ".part".
"""

import argparse
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def fail(message: str) -> None:
    sys.stderr.write(f"ERROR: {message}\n")
    sys.exit(1)


def http_message(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP Error {error.code}: {error.reason} (caused by <HTTPError {error.code}: {error.reason}>)"
    return f"{getattr(error, 'reason', error)} (caused by TransportError('{error}'))"


def ask(url: str, client: str, cookies: str | None) -> dict:
    headers = {"X-Client": client}
    if cookies:
        headers["Cookie"] = Path(cookies).read_text().strip()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            said = json.load(answer)
    except (urllib.error.URLError, TimeoutError) as error:
        fail(f"[youtube] {url.rsplit('/')[-1]}: Unable to download API page: {http_message(error)}")
    for warning in said.get("warnings", []):
        sys.stderr.write(f"WARNING: [youtube] {warning}\n")
    if "error" in said:
        fail(f"[youtube] {said['id']}: {said['error']}")
    if "signal" in said:
        os.kill(os.getpid(), getattr(signal, said["signal"]))
    if "traceback" in said:
        raise KeyError(said["traceback"])
    if "hang_s" in said:
        time.sleep(said["hang_s"])
    return said


def download(info: dict, format_id: str, template: str) -> None:
    chosen = next((one for one in info["formats"] if one["format_id"] == format_id), None)
    if chosen is None:
        fail(f"[youtube] {info['id']}: Requested format is not available. Use --list-formats for a list")
    target = Path(template.replace("%(ext)s", chosen["ext"]))
    part = Path(f"{target}.part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(chosen["url"], headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer, part.open("ab") as file:
            more = int(answer.headers["Content-Length"])
            while block := answer.read1(1 << 16):
                file.write(block)
    except (urllib.error.URLError, OSError) as error:
        fail(f"unable to download video data: {http_message(error)}")
    got = part.stat().st_size - have
    if got < more:
        fail(
            f"\r[download] Got error: {got} bytes read, {more - got} more expected. Giving up after 2 retries"
        )
    part.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser()
    for flag in ("--ignore-config", "--no-playlist", "--no-progress", "--no-mtime", "--abort-on-error"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--abort-on-unavailable-fragments", action="store_true")
    for option in ("--fixup", "--retries", "--fragment-retries", "--extractor-retries", "--socket-timeout"):
        parser.add_argument(option)
    for option in (
        "--max-filesize",
        "--extractor-args",
        "--cookies",
        "--proxy",
        "--load-info-json",
        "-f",
        "-o",
    ):
        parser.add_argument(option)
    parser.add_argument("-J", action="store_true")
    parser.add_argument("url", nargs="?")
    options = parser.parse_args()
    client = (options.extractor_args or "youtube:player_client=none").split("=")[1]
    if options.J:
        print(json.dumps(ask(options.url, client, options.cookies)))
    else:
        download(json.loads(Path(options.load_info_json).read_text()), options.f, options.o)


if __name__ == "__main__":
    main()
