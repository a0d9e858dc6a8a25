"""Clips for torch's loaders: every rank and every worker takes its share, and a stopped run goes on where it was.

    stream = ClipStream(BuiltSet(root, "train"), decode, batch_size=16, seed=1, rank=rank, ranks=ranks)
    for epoch in range(epochs):
        stream.begin(epoch)
        for batch in DataLoader(stream, batch_size=16, num_workers=4, drop_last=True):
            ...

Batches come in the order of the data set, whatever the number of workers. After n batches of an epoch all ranks
together took `stream.position(n)` clips: ``stream.begin(epoch, position)`` goes on there, with any number of ranks
and workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from spatialfoley.dataset.factory.reader import BuiltSet, Clip


class ClipStream(IterableDataset):
    """One rank's share of a built set.

    Args:
        clips: The set.
        decode: Makes of a clip what a batch is made of; it has to be importable by name where workers are spawned.
        batch_size: That of the loader.
        seed: Draws the order; None keeps that of the shards.
        rank: Number of this process among those that train together.
        ranks: How many they are.
        window: Shards whose clips are mixed.
    """

    def __init__(
        self,
        clips: BuiltSet,
        decode: Callable[[Clip], Any],
        batch_size: int,
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
        window: int = 4,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        if not 0 <= rank < ranks:
            raise ValueError(f"rank is {rank} of {ranks}; it must be from 0 to {ranks - 1}")
        self.clips, self.decode, self.batch_size, self.seed = clips, decode, batch_size, seed
        self.rank, self.ranks, self.window = rank, ranks, window
        self.begin(0)

    def begin(self, epoch: int, position: int = 0) -> None:
        """Set the epoch, and how many of its clips all ranks together took before."""
        self.epoch, self.first = epoch, position

    def position(self, batches: int) -> int:
        """Clips of the epoch that are taken when every rank has had so many batches since `begin`."""
        return self.first + batches * self.batch_size * self.ranks

    def __len__(self) -> int:
        """Clips of this rank that are left in the epoch: whole batches, as many as every rank has."""
        return (len(self.clips) - self.first) // (self.batch_size * self.ranks) * self.batch_size

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        # Loaders take one batch of each worker in turn, so that blocks of batches are in the order of the set.
        shares = self.clips.stream(
            self.seed,
            self.epoch,
            consumer=self.rank + self.ranks * worker,
            consumers=self.ranks * workers,
            position=self.first,
            window=self.window,
            block=self.batch_size,
            stop=self.first + len(self) * self.ranks,
        )
        return map(self.decode, shares)
