import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.generators.visage.token_layout import TokenLayout


def distinct_codes(layout: TokenLayout, frames: int) -> torch.Tensor:
    """Codes (1, S, K) in which every cell is another number, below the pad."""
    return torch.arange(frames * layout.codebooks).view(1, frames, layout.codebooks)


def test_published_rows_hold_what_the_paper_says() -> None:
    layout = TokenLayout(levels=9, channels=4, pad_id=10**6)
    codes = distinct_codes(layout, 430)
    rows = layout.interleave(codes)[0]
    assert rows.shape == (861, 36)
    filled = rows != layout.pad_id
    assert filled[0].nonzero().flatten().tolist() == [0]
    assert filled[1].nonzero().flatten().tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 27]
    fine = [*range(10, 18), *range(19, 27), *range(28, 36)]
    assert filled[2].nonzero().flatten().tolist() == [0, *fine]
    assert filled[860].nonzero().flatten().tolist() == fine
    assert int(filled.sum()) == 36 * 430


def test_each_cell_comes_from_its_frame() -> None:
    layout = TokenLayout(levels=2, channels=4, pad_id=99)
    codes = distinct_codes(layout, 2)
    pad = 99
    assert layout.interleave(codes)[0].tolist() == [
        [0, pad, pad, pad, pad, pad, pad, pad],
        [pad, 1, 2, pad, 4, pad, 6, pad],
        [8, pad, pad, 3, pad, 5, pad, 7],
        [pad, 9, 10, pad, 12, pad, 14, pad],
        [pad, pad, pad, 11, pad, 13, pad, 15],
    ]


def test_mono_takes_two_rows_per_frame() -> None:
    layout = TokenLayout(levels=3, channels=1, pad_id=9)
    assert layout.interleave(torch.tensor([[[0, 1, 2], [3, 4, 5]]]))[0].tolist() == [
        [0, 9, 9],
        [9, 1, 2],
        [3, 9, 9],
        [9, 4, 5],
    ]


@settings(deadline=None, max_examples=50)
@given(levels=st.integers(2, 6), channels=st.sampled_from([1, 4]), frames=st.integers(1, 9))
def test_there_and_back(levels: int, channels: int, frames: int) -> None:
    layout = TokenLayout(levels, channels, pad_id=10**6)
    codes = distinct_codes(layout, frames)
    rows = layout.interleave(codes)
    assert rows.shape[1] == layout.row_count(frames)
    assert layout.frame_count(rows.shape[1]) == frames
    assert torch.equal(layout.deinterleave(rows), codes)


@settings(deadline=None, max_examples=50)
@given(levels=st.integers(2, 6), channels=st.sampled_from([1, 4]), frames=st.integers(1, 9))
def test_active_codebooks_are_the_filled_cells(levels: int, channels: int, frames: int) -> None:
    layout = TokenLayout(levels, channels, pad_id=10**6)
    rows = layout.interleave(distinct_codes(layout, frames))[0]
    for index, row in enumerate(rows):
        filled = tuple((row != layout.pad_id).nonzero().flatten().tolist())
        assert layout.active_codebooks(index, len(rows) - 1) == filled


def test_padded_frames_have_no_labels() -> None:
    layout = TokenLayout(levels=2, channels=4, pad_id=64)
    codes = torch.full((1, 3, 8), 64)
    codes[:, 0] = 5
    labels = layout.labels(layout.interleave(codes))
    assert int((labels != -100).sum()) == 8
    assert bool((labels[:, 3:] == -100).all())


def test_wrong_shapes_are_refused() -> None:
    layout = TokenLayout(levels=2, channels=4)
    with pytest.raises(ValueError, match=r"codes has the shape \(1, 3, 7\).*4 channels of 2 levels"):
        layout.interleave(torch.zeros(1, 3, 7, dtype=torch.long))
    with pytest.raises(ValueError, match="rows is 4, but 4 channels take an odd number of rows"):
        layout.deinterleave(torch.zeros(1, 4, 8, dtype=torch.long))
    with pytest.raises(ValueError, match="levels is 1, but the layout needs at least 2"):
        TokenLayout(levels=1)
