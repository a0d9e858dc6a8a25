"""Ten deliberately bad variants of each kind through the screens: kind made beside reason found.

The good recordings they are made of are scenes of the synthetic world and, where ../shared/data is there,
recordings of an Eigenmike and recorded sounds in measured rooms with real 360° pictures. No good one may be left
out.

    .venv/bin/python benchmarks/screening_variants.py --variants 10 --json screening_variants.json
    .venv/bin/python benchmarks/screening_variants.py --codec opus --channel-kbps 128
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.dataset.screening.recordings import (  # noqa: E402
    microphone_recordings,
    room_recordings,
    world_recording,
)
from tests.media.tracks import write_track  # noqa: E402

from spatialfoley.dataset.screening.trial import Found, Trial, put_ears_through  # noqa: E402
from spatialfoley.dataset.screening.variants import COPIES, KINDS, SAME_EARS, Recording, copy_of  # noqa: E402

Row = tuple[str, str, list[Found]]
Coder = Callable[[Recording], Path | None]

CODECS = {"opus": ("libopus", "ambisonic 1", {"mapping_family": "2"}), "aac": ("aac", "4.0", {})}


def good_recordings(data: Path, worlds: int) -> list[Recording]:
    found = [world_recording(number) for number in range(worlds)]
    if data.is_dir():
        real = [*microphone_recordings(data), *room_recordings(data)]
        # Real and made ones in turn, so that the first ten of any choice have both.
        pairs = [one for pair in zip(real, found, strict=False) for one in pair]
        found = pairs + real[worlds:] + found[len(real) :]
    return found


def coder(name: str, channel_kbps: int, folder: Path) -> Coder:
    """What writes a field with a lossy codec; other channel counts go on as they are."""

    def coded(recording: Recording) -> Path | None:
        if name == "none" or len(recording.field) != 4:
            return None
        encoder, layout, options = CODECS[name]
        path = folder / "coded.mp4"
        return write_track(path, recording.field, encoder, layout, options=options, channel_kbps=channel_kbps)

    return coded


def rows(good: list[Recording], count: int, folder: Path, coded: Coder) -> Iterator[Row]:
    trial = Trial(folder / "good")
    yield "good", "kept", [trial.put_through(one, coded(one)) for one in good]
    for name, kind in KINDS.items():
        able = [one for one in good if one.exact or not kind.needs_exact]
        found = []
        for number in range(count):
            bad = kind.make(able[number % len(able)], np.random.default_rng(number), good)
            found.append(Trial(folder / "bad").put_through(bad, coded(bad)))
        yield name, kind.reason, found
    for way in COPIES:
        copies = [copy_of(good[number % len(good)], way) for number in range(count)]
        yield f"copy, {way}", "duplicate", [trial.put_through(one, coded(one)) for one in copies]
    ears = [put_ears_through(good[number % len(good)], folder / "ears") for number in range(count)]
    yield "rendered ears", "kept", [one["rendered"] for one in ears]
    for way in SAME_EARS:
        yield f"ears, {way}", "same_ears", [one[way] for one in ears]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", type=int, default=10, help="of each kind")
    parser.add_argument("--worlds", type=int, default=10, help="good recordings of the synthetic world")
    parser.add_argument(
        "--codec", choices=("none", *CODECS), default="none", help="between variant and screens"
    )
    parser.add_argument("--channel-kbps", type=int, default=128, help="of the codec")
    parser.add_argument("--json", type=Path, help="where to write all findings with their numbers")
    arguments = parser.parse_args()
    data = Path(os.environ.get("SPATIALFOLEY_SHARED_DIR", ROOT.parent / "shared")) / "data"
    if not data.is_dir():
        print("real recordings: not run, no folder ../shared/data (set SPATIALFOLEY_SHARED_DIR)")
    good = good_recordings(data, arguments.worlds)
    wrong, findings = 0, []
    print(f"{'kind made':24}{'has to be':20}reasons found")
    with TemporaryDirectory() as folder:
        coded = coder(arguments.codec, arguments.channel_kbps, Path(folder))
        for kind, reason, found in rows(good, arguments.variants, Path(folder), coded):
            counts = Counter(one.reason for one in found)
            wrong += sum(counts.values()) - counts[reason]
            said = ", ".join(f"{name} {number}" for name, number in counts.most_common())
            print(f"{kind:24}{reason:20}{said}", flush=True)
            for one in found:
                if one.reason != reason:
                    print(f"    {one.name}: {one.reason}: {one.sentence} {dict(one.numbers)}")
            findings += [{"kind": kind, "has_to_be": reason, **vars(one)} for one in found]
    print(f"{len(findings)} recordings, {wrong} under another reason than theirs")
    if arguments.json:
        arguments.json.write_text(json.dumps(findings, indent=1) + "\n")


if __name__ == "__main__":
    main()
