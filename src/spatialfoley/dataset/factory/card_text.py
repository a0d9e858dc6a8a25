"""Sentences of every card: conventions, files, how to load, what to mind."""

ROLES = {
    "view": "picture of the camera's view",
    "foa": "sound field, AmbiX (W, Y, Z, X; SN3D)",
    "binaural": "sound at two ears",
    "frames": "pictures of the view without loss, uint8 (time, height, width, RGB)",
    "truth": "exact truth of a synthetic scene",
    "panorama": "equirectangular picture",
    "sound": "sound as the source has it",
    "tiny-frames": "training array: pictures, uint8 (time, height, width, RGB)",
    "tiny-foa": "training array: field around the camera, int16",
    "tiny-level": "training array: level of each class",
    "tiny-vectors": "training array: direction of each class, from the camera",
    "tiny-in_view": "training array: whether each class is in view",
}

CONVENTIONS = """## Conventions

- Axes: x front, y left, z up. Azimuth in degrees from the front, left positive; elevation up positive.
- Fields are AmbiX: channels W, Y, Z, X (ACN), SN3D. The fact `field_frame` says whether a clip's field is that of
  the panorama (`world`) or turned with the camera (`camera`).
- Cameras: yaw left positive, pitch up positive, roll positive with the right side of the view down; `camera` lists
  the poses of one that turns, `azimuth_deg` and `elevation_deg` where a fixed one looks.
- Shards are tar files in WebDataset's naming: `<clip id>.json` is the clip's record, `<clip id>.<role>.<suffix>`
  its files. Checksum, size and place of each lie beside the shard; `shards.jsonl` has those of all shards."""

LOADING = """## Reading it

```python
from pathlib import Path
from spatialfoley.dataset.factory.reader import BuiltSet

for clip in BuiltSet(Path("."), "train").stream(seed=1, epoch=0):
    clip.id, clip.record.facts, clip.read("{role}")
```

`spatialfoley dataset check .` compares every file with its checksum; `index.parquet` has one row for every clip."""

CAVEATS = (
    "Directions come from first-order fields: a loud sound hides others, and reverberation blurs its place.",
    "Recordings of one place or maker may be alike; splits keep recordings apart, not places or makers.",
    "What screening measures, it measures on the sound as uploaded: services compress and some re-order channels.",
)
