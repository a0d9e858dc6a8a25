"""Every clip of a rendered world through an encoder, shard by shard, by one process or several."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import TypeVar

import torch

from spatialfoley.dataset.world_cache import WorldCache

S = TypeVar("S")
C = TypeVar("C")


def encoded_clips(
    encode: Callable[[tuple[S, int]], list[C]],
    settings: S,
    cache: WorldCache,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
    clips: int | None = None,
) -> Iterator[C]:
    """The clips of a cache in order.

    Args:
        encode: Makes the clips of one shard from `settings` and the shard's number; a function of a module, so that
            other processes find it.
        settings: What `encode` needs.
        cache: The rendered clips.
        workers: Processes.
        progress: Told how many clips are done, and of how many.
        clips: Only shards with some of the first so many clips are encoded; None for all. Of a shard that reaches
            beyond, `encode` leaves out the rest.
    """
    wanted = len(cache) if clips is None else clips
    jobs = [(settings, shard) for shard in range(cache.shards) if cache.clips_of(shard).start < wanted]
    with ExitStack() as stack:
        shards: Iterable[list[C]] = map(encode, jobs)
        if workers > 1:
            # One thread each: torch would otherwise take every core once per worker.
            pool = multiprocessing.get_context("spawn").Pool(
                workers, initializer=torch.set_num_threads, initargs=(1,)
            )
            shards = stack.enter_context(pool).imap(encode, jobs)
        done = 0
        for made in shards:
            yield from made
            done += len(made)
            if progress is not None:
                progress(done, wanted)
