"""A site of videos on this machine, over real HTTP: good recordings, and every way in which one cannot be had."""

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.media.audio import write_audio
from spatialfoley.media.mux import write_frames
from spatialfoley.spatial.signal import SpatialAudio

STAND_IN = Path(__file__).with_name("stand_in_yt_dlp.py")
SECONDS, RATE_HZ, FRAME_RATE_HZ = 4.0, 8000, 4

GOOD = {
    "title": "A street",
    "channel": "Somebody",
    "channel_id": "UC-0V6BpzC8qRrUEQTfZCWhg",
    "upload_date": "20190412",
    "license": "Creative Commons Attribution license (reuse allowed)",
    "duration": SECONDS,
}


@dataclass
class Site:
    """A site: answers by video, files by name, and what was asked of it."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    """By video: JSON, a status code, a list of these for one question after the other, or one by client."""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_once: set[str] = field(default_factory=set)
    """Files of which the first question gets half."""
    asked: Counter[str] = field(default_factory=Counter)
    clients: list[tuple[str, str]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    ranges: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, video: str, client: str) -> Any:
        """What is said of a video this time."""
        said = self.answers[video]
        if isinstance(said, list):
            said = said[min(self.asked[video], len(said) - 1)]
        if isinstance(said, dict) and client in said:
            said = said[client]
        self.asked[video] += 1
        self.clients.append((video, client))
        return said

    def panorama(self, picture: str = "pano.mp4", sound: str = "foa.wav", **changes: Any) -> dict[str, Any]:
        """What is said of a good recording."""
        formats = [
            {"format_id": "sb0", "ext": "mhtml", "vcodec": "none", "acodec": "none", "protocol": "mhtml"},
            self.sound("251", 2, "medium", "stereo.wav"),
            self.sound("338", 4, "medium, ambisonic_quad", sound),
            self.picture("133", 64, 32, "240p, equi", picture),
            self.picture("160", 32, 16, "144p, equi", picture),
            self.picture("313", 64, 36, "2160p, mesh", picture),
        ]
        return {**GOOD, "formats": formats, **changes}

    def sound(self, name: str, channels: int, note: str, file: str) -> dict[str, Any]:
        return {
            "format_id": name,
            "ext": file.split(".")[-1],
            "vcodec": "none",
            "acodec": "opus",
            "audio_channels": channels,
            "format_note": note,
            "protocol": "https",
            "url": f"{self.url}/files/{file}",
        }

    def picture(self, name: str, width: int, height: int, note: str, file: str) -> dict[str, Any]:
        return {
            "format_id": name,
            "ext": file.split(".")[-1],
            "vcodec": "avc1",
            "acodec": "none",
            "width": width,
            "height": height,
            "format_note": note,
            "protocol": "https",
            "url": f"{self.url}/files/{file}",
        }

    def download(self, program: Path, **changes: Any) -> dict[str, Any]:
        """Settings that fetch from here without waiting."""
        return {
            "yt_dlp": str(program),
            "url": f"{self.url}/watch/{{id}}",
            "min_height": 16,
            "pause_s": 0.0,
            "jitter_s": 0.0,
            "rate_pause_s": 0.0,
            **changes,
        }


def stand_in(folder: Path) -> Path:
    """The stand-in as a program that can be started."""
    path = folder / "yt-dlp"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {STAND_IN} "$@"\n')
    path.chmod(0o755)
    return path


def media(folder: Path) -> dict[str, bytes]:
    """Small files: a panorama, its field, the same in stereo, and spoilt ones."""
    frames = (np.full((32, 64, 3), 16 * number, np.uint8) for number in range(int(SECONDS * FRAME_RATE_HZ)))
    write_frames(folder / "pano.mp4", frames, FRAME_RATE_HZ)
    tone = np.sin(np.arange(int(SECONDS * RATE_HZ)) / 5).astype(np.float32) / 4
    write_audio(folder / "foa.wav", SpatialAudio(np.stack([tone, tone, 0 * tone, tone]), RATE_HZ, "foa"))
    write_audio(folder / "stereo.wav", SpatialAudio(np.stack([tone, -tone]), RATE_HZ, "stereo"))
    short = SpatialAudio(np.stack([tone] * 4)[:, :RATE_HZ], RATE_HZ, "foa")
    write_audio(folder / "short.wav", short)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".mp4", ".wav")}
    files["half.mp4"] = files["pano.mp4"][: len(files["pano.mp4"]) // 2]
    return files


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Open a site on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, name = self.path.strip("/").split("/", 1)
            if kind == "watch":
                self.watch(name)
            else:
                self.file(name)

        def watch(self, video: str) -> None:
            site.cookies.append(self.headers.get("Cookie", ""))
            said = site.answer(video, self.headers.get("X-Client", ""))
            if isinstance(said, int):
                self.send_error(said)
                return
            body = json.dumps({"id": video, **said}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def file(self, name: str) -> None:
            data = site.files[name]
            begin = int(self.headers.get("Range", "bytes=0-")[6:-1])
            site.ranges.append((name, self.headers.get("Range", "")))
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(data) - begin))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            end = len(data)
            if name in site.cut_once:
                site.cut_once.discard(name)
                end = len(data) // 2
            self.wfile.write(data[begin:end])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
