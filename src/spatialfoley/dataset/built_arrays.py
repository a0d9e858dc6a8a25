"""Arrays of the clips of a built data set, mapped into memory where they lie in its shards: nothing is unpacked.

Tar keeps its members as they are, each from a multiple of 512 bytes on, and ``.npy`` is a head and plain numbers:
an array is a view of the mapped shard. Whatever is rewritten in the set, such as by a takedown, is rewritten here.
"""

from __future__ import annotations

import io
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np

from spatialfoley.dataset.factory.reader import Member, read_members
from spatialfoley.dataset.factory.shard_list import SHARD_LIST_FILE, read_shard_list
from spatialfoley.dataset.factory.shards import FOLDER

ROLE = "tiny-"
"""Before the names of arrays; the rest of a role is the array's name."""
NAMES = ("frames", "foa", "level", "vectors", "in_view")
_LONGEST_HEAD = 1024


def is_built(folder: Path) -> bool:
    """Whether a folder is that of a finished build."""
    return (folder / SHARD_LIST_FILE).is_file()


class BuiltArrays:
    """The arrays of one split.

    Args:
        root: The build folder.
        split: Whose clips.

    Raises:
        ValueError: There is no clip, one has no arrays, or they have different shapes.
    """

    def __init__(self, root: Path, split: str = "train") -> None:
        rows = [row for row in read_shard_list(root) if row.split == split]
        if not rows:
            raise ValueError(f"{root} holds no clip of split {split!r}; build more recordings into it")
        self._paths = [root / FOLDER / row.shard for row in rows]
        self._bounds = [0, *accumulate(row.clips for row in rows)]
        members = [clip for path in self._paths for clip in read_members(path).values()]
        for clip in members:
            if f"{ROLE}{NAMES[0]}" not in clip:
                raise ValueError(
                    f"clip {clip[''].clip} of {root} has no arrays; build the set with the stage tiny_arrays"
                )
        self._offsets = {
            name: np.array([clip[ROLE + name].offset for clip in members], np.int64) for name in NAMES
        }
        self._kinds = {name: self._kind(name, [clip[ROLE + name] for clip in members]) for name in NAMES}
        self._maps: dict[int, np.memmap] = {}

    def __len__(self) -> int:
        return self._bounds[-1]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self._paths)

    def clips_of(self, shard: int) -> range:
        """Numbers of the clips of a shard."""
        return range(*list(pairwise(self._bounds))[shard])

    def take(self, name: str, clip: int) -> np.ndarray:
        """An array of a clip, read-only."""
        shard = int(np.searchsorted(self._bounds, clip, side="right")) - 1
        if shard not in self._maps:
            self._maps[shard] = np.memmap(self._paths[shard], np.uint8, "r")
        head, kind, shape = self._kinds[name]
        first = int(self._offsets[name][clip]) + head
        content = self._maps[shard][first : first + kind.itemsize * int(np.prod(shape))]
        return content.view(kind).reshape(shape)

    def _kind(self, name: str, members: list[Member]) -> tuple[int, np.dtype, tuple[int, ...]]:
        """Length of the head, type and shape, which all clips share."""
        sizes = {member.size for member in members}
        if len(sizes) != 1:
            raise ValueError(
                f"the arrays {name!r} have different sizes, {min(sizes)} to {max(sizes)} bytes; build the set with "
                "one setting of tiny_arrays"
            )
        with self._paths[0].open("rb") as file:
            file.seek(members[0].offset)
            head = io.BytesIO(file.read(min(_LONGEST_HEAD, members[0].size)))
        np.lib.format.read_magic(head)
        shape, _, kind = np.lib.format.read_array_header_1_0(head)
        return head.tell(), kind, shape
