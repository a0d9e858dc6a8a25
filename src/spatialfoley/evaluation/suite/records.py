"""Scores of clips on disk, each system in its own folder: an interrupted run goes on, another system joins later.

A system's folder holds `system.json` (its name and label), `clips.jsonl` (all scores of a clip in a line, as they
come; the last line of a clip counts) and `embeddings/` (what distances between sets are made of). The folder's name
ends in a hash of the label, so other weights under the same name begin anew and nothing is mixed.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from spatialfoley.evaluation.suite.scores import ClipEmbeddings
from spatialfoley.media.atomic import atomic_path

Record = dict[str, Any]


class SystemRecords:
    """Records of one system by the number of the clip."""

    def __init__(self, folder: Path, name: str, label: str) -> None:
        """Open the records of a system below `folder`, or begin them."""
        mark = hashlib.sha256(label.encode()).hexdigest()[:8]
        self.folder = folder / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name).strip('-')}-{mark}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.folder / "system.json") as path:
            path.write_text(json.dumps({"name": name, "label": label}, indent=2) + "\n", encoding="utf-8")
        self.records = _read_lines(self.folder / "clips.jsonl")

    def is_done(self, index: int) -> bool:
        """Whether a clip has been scored without an error."""
        record = self.records.get(index)
        return record is not None and record["error"] is None and self._embeddings_file(index).exists()

    def add(self, record: Record, embeddings: ClipEmbeddings | None) -> None:
        """Keep the scores of a clip; of a failed one, whose record holds its error, there are no embeddings."""
        index = record["index"]
        if embeddings is not None:
            path = self._embeddings_file(index)
            path.parent.mkdir(exist_ok=True)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **_halves(embeddings))
        with (self.folder / "clips.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        self.records[index] = record

    def embeddings(self, index: int) -> ClipEmbeddings:
        """What was kept of a clip."""
        with np.load(self._embeddings_file(index)) as file:
            found = {name: file[name].astype(np.float32) for name in file.files}
        return ClipEmbeddings(found["ears"], found.get("channels"), found["logits"])

    def _embeddings_file(self, index: int) -> Path:
        return self.folder / "embeddings" / f"{index:05d}.npz"


def claim_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Write what a run's scores depend on, or see that a folder's earlier run had the same.

    Args:
        folder: Of the results.
        identity: Settings that all records of the folder share; plain values.

    Raises:
        ValueError: The folder holds scores of other settings.
    """
    path = folder / "suite.json"
    identity = json.loads(json.dumps(identity))
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in identity if earlier.get(key) != identity[key]]
        if changed:
            raise ValueError(
                f"{folder} holds a run with other {', '.join(changed)} "
                f"({', '.join(str(earlier.get(key)) for key in changed)}); give an empty folder"
            )
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")


def _read_lines(path: Path) -> dict[int, Record]:
    """Records of an earlier run; a line cut off by an interruption is dropped."""
    records: dict[int, Record] = {}
    if not path.exists():
        return records
    complete, _, rest = path.read_text(encoding="utf-8").rpartition("\n")
    if rest:
        path.write_text(complete + "\n" if complete else "", encoding="utf-8")
    for line in complete.splitlines():
        record = json.loads(line)
        records[record["index"]] = record
    return records


def _halves(embeddings: ClipEmbeddings) -> dict[str, Any]:
    """Embeddings in half precision, which is far finer than their spread; logits as they are."""
    values: dict[str, Any] = {"ears": embeddings.ears.astype(np.float16), "logits": embeddings.logits}
    if embeddings.channels is not None:
        values["channels"] = embeddings.channels.astype(np.float16)
    return values
