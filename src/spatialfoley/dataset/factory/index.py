"""``index.parquet``: one row for every clip, for those who look before they load.

    import pyarrow.parquet as pq
    pq.read_table("index.parquet", filters=[("licence", "=", "CC-BY-4.0"), ("peak_elevation_deg", ">", 30)])

Where each file lies in its shard is in the column ``members``, so that any program can read it with one seek.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from spatialfoley.dataset.factory.lists import read_manifest
from spatialfoley.dataset.factory.reader import read_members
from spatialfoley.dataset.factory.shards import FOLDER
from spatialfoley.media.atomic import atomic_path

INDEX_FILE = "index.parquet"
TEXTS = ("source", "title", "channel", "url", "licence", "convention", "caption")
NUMBERS = (
    "start_s",
    "duration_s",
    "rate_hz",
    "azimuth_deg",
    "elevation_deg",
    "peak_azimuth_deg",
    "peak_elevation_deg",
)
_ROWS_AT_ONCE = 4096
WITHOUT_PYARROW = (
    f"{INDEX_FILE} was not written: it needs pyarrow; install it with pip install 'spatialfoley[data]'"
)


def write_index(root: Path) -> str:
    """Write the index of a build; without pyarrow there is none.

    Args:
        root: The build folder.

    Returns:
        Why there is none; empty when it is written.
    """
    target = root / INDEX_FILE
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        # An index of an earlier build would tell of clips that are elsewhere now.
        target.unlink(missing_ok=True)
        return WITHOUT_PYARROW
    schema = _schema()
    with (
        atomic_path(target) as path,
        pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        rows = index_rows(root)
        while part := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(part, schema=schema))
    return ""


def index_rows(root: Path) -> Iterator[dict[str, Any]]:
    """The rows of the index, in the manifest's order."""
    # Neighbours of the manifest lie in the shards of one number, at most one for each split.
    members_of = lru_cache(maxsize=8)(read_members)
    for clip in read_manifest(root):
        facts = clip["facts"]
        members = members_of(root / FOLDER / clip["shard"])[clip["id"]]
        yield {
            **{name: clip[name] for name in ("id", "recording", "split", "shard")},
            **{name: _text(facts.get(name)) for name in TEXTS},
            **{name: _number(facts.get(name)) for name in NUMBERS},
            "facts": json.dumps(facts, sort_keys=True, ensure_ascii=False),
            "members": [{**vars(member), "role": role} for role, member in members.items()],
        }


def read_index(root: Path) -> Iterator[dict[str, Any]]:
    """The rows of a written index.

    Raises:
        ValueError: pyarrow is missing, or the index is missing or damaged.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ValueError(
            f"{INDEX_FILE} needs pyarrow to be read; install it with pip install 'spatialfoley[data]'"
        ) from None
    try:
        with pq.ParquetFile(root / INDEX_FILE, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                yield from batch.to_pylist()
    except FileNotFoundError:
        raise ValueError(f"{root} holds no {INDEX_FILE}; build it again with pyarrow installed") from None
    except (pa.ArrowException, OSError) as problem:
        raise ValueError(f"{root / INDEX_FILE} cannot be read ({problem})") from None


def _schema() -> Any:
    import pyarrow as pa

    member = pa.struct(
        [
            ("role", pa.string()),
            ("name", pa.string()),
            ("offset", pa.int64()),
            ("size", pa.int64()),
            ("sha256", pa.string()),
        ]
    )
    return pa.schema(
        [
            *((name, pa.string()) for name in ("id", "recording", "split", "shard", *TEXTS)),
            *((name, pa.float64()) for name in NUMBERS),
            ("facts", pa.string()),
            ("members", pa.list_(member)),
        ]
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> float | None:
    """The number of a fact; None for what is no number, which `facts` still tells."""
    return float(value) if isinstance(value, int | float) else None
