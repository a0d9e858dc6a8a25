"""How fast a built set is read, checked and rid of recordings: clips and bytes per second of one core.

    python benchmarks/dataset_reading.py --clips 4000 --kilobytes 256

The set is made here, of noise that no disk compresses. Times are those of the processor, so that other work on the
machine counts little; on a cold disk its own speed is the limit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from spatialfoley.dataset.factory.index import write_index
from spatialfoley.dataset.factory.lists import manifest_line
from spatialfoley.dataset.factory.reader import BuiltSet
from spatialfoley.dataset.factory.records import FileRef, Record
from spatialfoley.dataset.factory.shard_list import ListedShard, write_shard_list
from spatialfoley.dataset.factory.shards import packed, shard_name, write_members
from spatialfoley.dataset.factory.takedown import take_down
from spatialfoley.dataset.factory.verify import check

CLIPS_PER_SHARD = 200


def make_set(root: Path, clips: int, size: int) -> None:
    """A finished build of `clips` clips with one file of `size` bytes each."""
    rng = np.random.default_rng(0)
    rows = []
    with (root / "manifest.jsonl").open("w") as manifest:
        for number in range(-(-clips // CLIPS_PER_SHARD)):
            name = shard_name("train", number)
            made = [
                clip_of(index, rng.bytes(size))
                for index in range(number * CLIPS_PER_SHARD, min(clips, (number + 1) * CLIPS_PER_SHARD))
            ]
            whole, length = write_members(root / name, members_of(made), len(made))
            rows.append(ListedShard(Path(name).name, "train", len(made), length, whole))
            manifest.writelines(manifest_line(record, "train", number) for record, _ in made)
    write_shard_list(root, rows)
    (root / "funnel.json").write_text(
        json.dumps({"recordings": clips, "clips": {"train": clips}, "stages": []})
    )
    (root / "rejected.jsonl").touch()
    (root / "failed.jsonl").touch()


def clip_of(index: int, content: bytes) -> tuple[Record, bytes]:
    ref = FileRef("x.foa.flac", hashlib.sha256(content).hexdigest(), len(content))
    facts = {
        "licence": "CC0-1.0",
        "duration_s": 5.0,
        "source": "noise",
        "azimuth_deg": 1.0,
        "elevation_deg": 1.0,
    }
    return packed(Record(f"r-{index:07d}-00000000", f"r-{index:07d}", {"foa": ref}, facts)), content


def members_of(made: list[tuple[Record, bytes]]) -> Iterator[tuple[str, bytes]]:
    for record, content in made:
        yield f"{record.id}.json", (record.to_json() + "\n").encode()
        yield record.file("foa").path, content


def timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=4000)
    parser.add_argument("--kilobytes", type=int, default=256)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    chosen = parser.parse_args()
    root = Path(mkdtemp())
    try:
        make_set(root, chosen.clips, chosen.kilobytes * 1024)
        dataset = BuiltSet(root)
        read = lambda: [clip.read("foa") is None for clip in dataset.stream(seed=1)]  # noqa: E731
        random = np.random.default_rng(1).integers(0, len(dataset), min(1000, chosen.clips))
        pick = lambda: [dataset[int(number)].read("foa") is None for number in random]  # noqa: E731
        gone = [f"r-{index:07d}" for index in range(0, chosen.clips, CLIPS_PER_SHARD * 4)]
        seconds = {
            "stream in a drawn order": (timed(read), chosen.clips),
            "any clip by its number": (timed(pick), len(random)),
            "write index.parquet": (timed(lambda: write_index(root)), chosen.clips),
            "check": (timed(lambda: check(root)), chosen.clips),
            f"take down {len(gone)} recordings": (timed(lambda: take_down(root, gone)), chosen.clips),
        }
        assert check(root).findings == []
    finally:
        shutil.rmtree(root)
    print(f"{chosen.clips} clips of {chosen.kilobytes} KiB in shards of {CLIPS_PER_SHARD}, one core")
    figures = {}
    for name, (spent_s, clips) in seconds.items():
        rate = clips / spent_s
        figures[name] = {"seconds": round(spent_s, 2), "clips_per_s": round(rate)}
        print(f"{name:32s} {spent_s:7.2f} s {rate:9.0f} clips/s {rate * chosen.kilobytes / 1024:8.0f} MB/s")
    if chosen.out:
        chosen.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
