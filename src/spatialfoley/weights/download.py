"""Getting checkpoints over the network: resumable, and complete or not there."""

import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from spatialfoley.weights.errors import WeightsError
from spatialfoley.weights.model_info import ModelInfo

_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 30
_SMALL_PATTERNS = ["*.json", "*.txt", "*.md", "LICENSE*"]
_WEIGHT_PATTERNS = ["*.safetensors", "*.bin", "*.pth", "*.ckpt"]


def download_hub(model: ModelInfo, folder: Path) -> None:
    """Download a hub checkpoint into `folder`; an interrupted download goes on where it stopped.

    Raises:
        WeightsError: the hub cannot be reached or does not have it.
    """
    from huggingface_hub import HfApi, snapshot_download  # slow to import, seldom needed

    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        # Unlike listing the files, asking for the entry fails at once when there is no network.
        entry = HfApi(endpoint=endpoint).model_info(model.address, timeout=_TIMEOUT_S)
        names = [sibling.rfilename for sibling in entry.siblings or []]
        # Many repositories keep the same weights twice; safetensors are enough.
        twice = model.file is None and any(name.endswith(".safetensors") for name in names)
        doubled = ["*.bin", "*.pth", "*.ckpt"] if twice else []
        snapshot_download(
            model.address,
            endpoint=endpoint,
            local_dir=folder,
            allow_patterns=[model.file, *_SMALL_PATTERNS]
            if model.file
            else [*_WEIGHT_PATTERNS, *_SMALL_PATTERNS],
            ignore_patterns=[*doubled, "*.msgpack", "*.h5", "*.ot"],
        )
    except Exception as error:  # the client raises a dozen kinds for "not reachable"
        raise WeightsError(offline_message(model, error)) from error


def download_url(model: ModelInfo, url: str, file: Path) -> None:
    """Download one file; `file` grows in place and is continued on the next call.

    Raises:
        WeightsError: the address cannot be reached, or the connection broke.
    """
    have = file.stat().st_size if file.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            goes_on = answer.status == 206  # a server without ranges sends everything again
            expected = int(answer.headers.get("Content-Length") or 0) + (have if goes_on else 0)
            with file.open("ab" if goes_on else "wb") as out:
                while block := answer.read(_BLOCK_BYTES):
                    out.write(block)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing left to send: the file was complete
            return
        raise WeightsError(offline_message(model, error)) from error
    except (OSError, ValueError) as error:
        raise WeightsError(offline_message(model, error)) from error
    if expected and file.stat().st_size != expected:
        raise WeightsError(
            f"the download of {url} stopped at {file.stat().st_size} of {expected} bytes; "
            f"run `spatialfoley models fetch {model.name}` again, it goes on from there"
        )


def file_name(url: str) -> str:
    """Name of the file at an address, without its query and with its signs in clear."""
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])


def offline_message(model: ModelInfo, error: Exception) -> str:
    """One sentence for a machine that cannot reach the checkpoint."""
    reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
    direct = f" or {model.url}" if model.url else ""
    mirror = "" if model.place == "release" else "HF_ENDPOINT to a mirror or "
    return (
        f"{model.name} could not be downloaded ({reason}): on a machine with network get it from "
        f"{model.web_page}{direct}, copy it here and run `spatialfoley models import {model.name} FOLDER`, "
        f"or set {mirror}HTTPS_PROXY to your proxy and fetch again"
    )
