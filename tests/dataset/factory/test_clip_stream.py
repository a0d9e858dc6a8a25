"""Torch's loaders over a built set: real workers, in order, resumed with others."""

import pytest
from torch.utils.data import DataLoader

from spatialfoley.dataset.factory.clip_stream import ClipStream
from spatialfoley.dataset.factory.reader import BuiltSet, Clip
from spatialfoley.dataset.factory.runner import build

from .test_runner import config


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> BuiltSet:
    """Forty-eight clips in shards of at most ten."""
    root = tmp_path_factory.mktemp("built") / "set"
    build(config(root, count=24))
    return BuiltSet(root)


def id_of(clip: Clip) -> str:
    return clip.id


def batches(stream: ClipStream, workers: int) -> list[list[str]]:
    loader: DataLoader = DataLoader(
        stream, batch_size=stream.batch_size, num_workers=workers, collate_fn=list
    )
    return list(loader)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2, 3])
def test_batches_come_in_the_order_of_the_set(clips: BuiltSet, workers: int) -> None:
    """Nine whole batches of five, also where workers do not get the same number of them."""
    order = [clip.id for clip in clips.stream(seed=5, epoch=2)]
    stream = ClipStream(clips, id_of, batch_size=5, seed=5)
    stream.begin(2)
    assert len(stream) == 45
    assert batches(stream, workers) == [order[first : first + 5] for first in range(0, 45, 5)]


def test_a_run_goes_on_after_any_batch_with_other_ranks_and_workers(clips: BuiltSet) -> None:
    order = [clip.id for clip in clips.stream(seed=5)]
    ranks = [ClipStream(clips, id_of, batch_size=4, seed=5, rank=rank, ranks=2) for rank in range(2)]
    before = [batch for step in range(3) for batch in (batches(rank, 2)[step] for rank in ranks)]
    after = ClipStream(clips, id_of, batch_size=8, seed=5)
    after.begin(0, ranks[0].position(3))
    taken = [clip for batch in [*before, *batches(after, 0)] for clip in batch]
    assert taken == order


def test_impossible_shares_are_refused(clips: BuiltSet) -> None:
    with pytest.raises(ValueError, match="batch_size is 0; it must be at least 1"):
        ClipStream(clips, id_of, batch_size=0)
    with pytest.raises(ValueError, match="rank is 2 of 2; it must be from 0 to 1"):
        ClipStream(clips, id_of, batch_size=1, rank=2, ranks=2)
    with pytest.raises(ValueError, match="block is 0; it must be at least 1"):
        next(clips.stream(block=0))
