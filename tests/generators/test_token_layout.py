import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.generators.visage.token_layout import Pattern, TokenLayout

SINGLE: tuple[Pattern, ...] = ("delay", "parallel", "interleave")
LAYOUTS = st.one_of(
    st.builds(TokenLayout, st.integers(2, 6), st.sampled_from([1, 4]), st.just(10**6)),
    st.builds(
        TokenLayout, st.integers(1, 3), st.sampled_from([1, 4]), st.just(10**6), st.sampled_from(SINGLE)
    ),
)


GROUPED = st.builds(
    lambda levels, frames, channels, pattern: TokenLayout(
        levels * frames, channels, 10**6, pattern, None, frames
    ),
    st.integers(2, 3),
    st.integers(1, 4),
    st.sampled_from([1, 4]),
    st.sampled_from(("residual", *SINGLE)),
)
LAYOUTS = st.one_of(LAYOUTS, GROUPED)


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


def test_levels_count_within_their_own_codec_frame() -> None:
    """Two frames of two levels in a row: the finer ones of Y, Z, X are every other codebook, and come late."""
    layout = TokenLayout(levels=4, channels=4, pad_id=99, frames_per_row=2)
    assert layout.spatial_fine == (5, 7, 9, 11, 13, 15)
    assert layout.offsets[:8] == (0, 1, 0, 1, 1, 2, 1, 2)
    assert TokenLayout(3, 4, 99, "delay", None, 3).spatial_fine == ()


@pytest.mark.parametrize(("levels", "frames"), [(3, 2), (4, 0)])
def test_levels_of_half_a_codec_frame_are_refused(levels: int, frames: int) -> None:
    with pytest.raises(ValueError, match=f"frames_per_row is {frames}, but must .* divide levels {levels}"):
        TokenLayout(levels, pattern="delay", frames_per_row=frames)


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


def test_delay_hears_w_of_a_frame_before_y_z_x_of_it() -> None:
    layout = TokenLayout(levels=1, channels=4, pad_id=99, pattern="delay")
    pad = 99
    assert layout.interleave(distinct_codes(layout, 3))[0].tolist() == [
        [0, pad, pad, pad],
        [4, 1, 2, 3],
        [8, 5, 6, 7],
        [pad, 9, 10, 11],
    ]
    assert layout.row_count(375) == 376


def test_delay_of_two_codes_per_channel() -> None:
    layout = TokenLayout(levels=2, channels=4, pad_id=99, pattern="delay")
    pad = 99
    assert layout.interleave(distinct_codes(layout, 2))[0].tolist() == [
        [0, 1, pad, pad, pad, pad, pad, pad],
        [8, 9, 2, 3, 4, 5, 6, 7],
        [pad, pad, 10, 11, 12, 13, 14, 15],
    ]


def test_parallel_rows_are_the_frames() -> None:
    layout = TokenLayout(levels=1, channels=4, pad_id=99, pattern="parallel")
    codes = distinct_codes(layout, 3)
    assert torch.equal(layout.interleave(codes), codes)


def test_interleave_takes_w_then_y_z_x() -> None:
    layout = TokenLayout(levels=1, channels=4, pad_id=99, pattern="interleave")
    pad = 99
    assert layout.interleave(distinct_codes(layout, 2))[0].tolist() == [
        [0, pad, pad, pad],
        [pad, 1, 2, 3],
        [4, pad, pad, pad],
        [pad, 5, 6, 7],
    ]


@pytest.mark.parametrize("pattern", SINGLE)
def test_mono_takes_one_row_per_frame_without_residuals(pattern: Pattern) -> None:
    layout = TokenLayout(levels=1, channels=1, pad_id=9, pattern=pattern)
    assert layout.interleave(torch.tensor([[[3], [4]]]))[0].tolist() == [[3], [4]]


@settings(deadline=None, max_examples=100)
@given(layout=LAYOUTS, frames=st.integers(1, 9))
def test_there_and_back(layout: TokenLayout, frames: int) -> None:
    codes = distinct_codes(layout, frames)
    rows = layout.interleave(codes)
    assert rows.shape[1] == layout.row_count(frames)
    assert layout.frame_count(rows.shape[1]) == frames
    assert layout.frame_limit(rows.shape[1]) == frames
    assert layout.frame_limit(rows.shape[1] - 1) == frames - 1
    assert torch.equal(layout.deinterleave(rows), codes)


@settings(deadline=None, max_examples=100)
@given(layout=LAYOUTS, frames=st.integers(1, 9))
def test_every_code_stands_in_one_cell(layout: TokenLayout, frames: int) -> None:
    rows = layout.interleave(distinct_codes(layout, frames))
    assert sorted(rows[rows != layout.pad_id].tolist()) == list(range(frames * layout.codebooks))


@settings(deadline=None, max_examples=100)
@given(layout=LAYOUTS, frames=st.integers(1, 9))
def test_no_row_holds_a_later_frame(layout: TokenLayout, frames: int) -> None:
    """Nor one that an earlier row went beyond: codes of a channel and level come in the order of time."""
    rows = layout.interleave(distinct_codes(layout, frames))[0]
    for index, row in enumerate(rows):
        held = row[row != layout.pad_id] // layout.codebooks
        assert int(held.max()) <= layout.frame_at(index)
        assert int(held.min()) >= layout.frame_at(index) - 1
    for codebook in range(layout.codebooks):
        column = rows[:, codebook]
        column = column[column != layout.pad_id]
        assert torch.equal(column, column.sort().values)


@settings(deadline=None, max_examples=100)
@given(layout=LAYOUTS, frames=st.integers(1, 9))
def test_active_codebooks_are_the_filled_cells_and_one_end_of_their_group(
    layout: TokenLayout, frames: int
) -> None:
    rows = layout.interleave(distinct_codes(layout, frames))[0]
    last = len(rows) - 1
    for index, row in enumerate(rows):
        filled = tuple((row != layout.pad_id).nonzero().flatten().tolist())
        assert layout.active_codebooks(index, last) == filled
        group = layout.groups[index % layout.period]
        if 0 < index < last:
            assert filled == group
        ends = (group[: len(filled)],) if index == 0 else (group[-len(filled) :],)
        assert filled in ends


@settings(deadline=None, max_examples=100)
@given(layout=LAYOUTS, frames=st.integers(2, 9), data=st.data())
def test_rows_that_a_prefix_fills(layout: TokenLayout, frames: int, data: st.DataObject) -> None:
    prefix = data.draw(st.integers(1, frames - 1))
    codes = distinct_codes(layout, frames)
    whole, begun = layout.interleave(codes)[0], layout.interleave(codes[:, :prefix])[0]
    known = layout.known_rows(prefix)
    assert torch.equal(begun[:known], whole[:known])
    late = begun[known:]
    assert torch.equal(late[late != layout.pad_id], whole[known : len(begun)][late != layout.pad_id])
    # The next row holds something new.
    assert bool((whole[known] // layout.codebooks == prefix).any())


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
    delay = TokenLayout(levels=1, channels=4, pattern="delay")
    with pytest.raises(ValueError, match="rows is 1, but 4 channels take at least 2 rows"):
        delay.deinterleave(torch.zeros(1, 1, 4, dtype=torch.long))
    with pytest.raises(
        ValueError, match="pattern is 'flat', but must be one of residual, delay, parallel, interleave"
    ):
        TokenLayout(levels=2, pattern="flat")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="levels is 0, but the pattern 'delay' needs at least 1"):
        TokenLayout(levels=0, pattern="delay")
    with pytest.raises(ValueError, match="levels is 1, but the pattern 'residual' needs at least 2"):
        TokenLayout(levels=1)
