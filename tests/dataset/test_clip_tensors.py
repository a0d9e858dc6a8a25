"""Clip tensors on disk: written as a stream, whole or not at all."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spatialfoley.dataset.clip_tensors import ClipArrays, ClipTensors, write_clip_tensors


def clip(number: int, frames: int = 5) -> ClipArrays:
    rng = np.random.default_rng(number)
    return ClipArrays(
        codes=rng.integers(-1, 1024, (2, frames, 6)),
        embedding=rng.standard_normal((2, 3, 4)).astype(np.float16),
        energy_map=rng.random((2, 3, 49)).astype(np.float16),
        direction=rng.standard_normal((2, 3)).astype(np.float32),
    )


def test_there_and_back(tmp_path: Path) -> None:
    write_clip_tensors(tmp_path, (clip(number) for number in range(3)), 3)
    opened = ClipTensors(tmp_path)
    assert (len(opened), opened.variants) == (3, 2)
    taken = opened.take(np.array([2, 0]), np.array([1, 0]))
    for name in ("codes", "embedding", "energy_map", "direction"):
        expected = np.stack([getattr(clip(2), name)[1], getattr(clip(0), name)[0]])
        assert np.array_equal(getattr(taken, name), expected)


def test_what_all_variants_share_is_stored_once(tmp_path: Path) -> None:
    whole = clip(0)
    write_clip_tensors(tmp_path, [dataclasses.replace(whole, embedding=whole.embedding[:1])], 1)
    opened = ClipTensors(tmp_path)
    assert opened.variants == 2
    taken = opened.take(np.array([0, 0]), np.array([1, 0]))
    assert np.array_equal(taken.embedding, np.stack([whole.embedding[0]] * 2))
    assert np.array_equal(taken.codes, whole.codes[::-1])


def failing() -> Iterator[ClipArrays]:
    yield clip(0)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("clips", "count", "problem", "message"),
    [
        (iter([clip(0)]), 2, ValueError, "count is 2, but there are only 1 clips"),
        (iter([clip(0), clip(1)]), 1, ValueError, "count is 1, but there are more clips"),
        (
            iter([clip(0), clip(1, frames=4)]),
            2,
            ValueError,
            r"clip 1 has codes of shape \(2, 4, 6\).*first has",
        ),
        (iter([]), 0, ValueError, "count is 0; clip tensors need at least 1 clip"),
        (failing(), 2, KeyboardInterrupt, None),
    ],
)
def test_what_does_not_fit_leaves_nothing(
    tmp_path: Path, clips: Iterator[ClipArrays], count: int, problem: type[BaseException], message: str | None
) -> None:
    with pytest.raises(problem, match=message):
        write_clip_tensors(tmp_path, clips, count)
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    write_clip_tensors(tmp_path, [clip(0)], 1)
    (tmp_path / "codes.npy").unlink()
    with pytest.raises(ValueError, match=r"lacks codes\.npy; make them with 'spatialfoley dataset prepare'"):
        ClipTensors(tmp_path)
    write_clip_tensors(tmp_path, [clip(0)], 1)
    np.save(tmp_path / "codes.npy", np.zeros((2, 2, 5, 6), np.int16))
    with pytest.raises(ValueError, match="arrays of different numbers of clips"):
        ClipTensors(tmp_path)
