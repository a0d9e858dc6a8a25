import pytest
import torch
from torch import Tensor

from spatialfoley.features.patch_saliency import energy_map, filtered_energy_map, patch_scores


def flat_scene(frames: int) -> Tensor:
    """Every patch alike."""
    return torch.tensor([1.0, 0.0, 0.0]).repeat(frames, 49, 1)


def test_equal_patches_score_nothing_and_share_equally() -> None:
    scores = patch_scores(flat_scene(3))
    assert float(scores.spatial.abs().max()) < 1e-6
    assert float(scores.temporal.abs().max()) < 1e-6
    torch.testing.assert_close(energy_map(scores), torch.full((3, 49), 1 / 49))


def test_opposite_patch_stands_out_and_takes_the_most() -> None:
    scene = flat_scene(3)
    scene[1, 24] = torch.tensor([-1.0, 0.0, 0.0])
    scores = patch_scores(scene)
    assert float(scores.spatial[1, 3, 3]) == pytest.approx(2.0)
    assert float(scores.temporal[1, 3, 3]) == pytest.approx(2.0)
    assert int(filtered_energy_map(scene)[1].argmax()) == 24


def test_right_angle_scores_root_of_two() -> None:
    scene = flat_scene(1)
    scene[0, 0] = torch.tensor([0.0, 1.0, 0.0])
    assert float(patch_scores(scene).spatial[0, 0, 0]) == pytest.approx(2**0.5)


def test_single_frame_scores_one_in_time() -> None:
    scene = torch.randn(1, 49, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(patch_scores(scene).temporal, torch.ones(1, 7, 7))


def test_first_frame_is_compared_with_the_second_only() -> None:
    scene = flat_scene(3)
    scene[1:] = torch.tensor([0.0, 1.0, 0.0])
    temporal = patch_scores(scene).temporal
    torch.testing.assert_close(temporal[0], torch.full((7, 7), 2**0.5))
    torch.testing.assert_close(temporal[2], torch.zeros(7, 7))


def test_filter_keeps_a_distribution_and_drops_the_least() -> None:
    scene = torch.randn(4, 49, 16, generator=torch.Generator().manual_seed(1))
    kept = filtered_energy_map(scene)
    whole = energy_map(patch_scores(scene))
    torch.testing.assert_close(kept.sum(dim=1), torch.ones(4))
    dropped = kept == 0
    assert dropped.any()
    assert bool((torch.where(dropped, whole, 0).sum(dim=1) <= 0.3 + 1e-6).all())
    assert bool((whole.masked_fill(~dropped, -1).amax(1) <= whole.masked_fill(dropped, 2).amin(1)).all())


def test_score_ignores_the_size_of_all_features() -> None:
    scene = torch.randn(2, 49, 16, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(filtered_energy_map(scene * 7.0), filtered_energy_map(scene))


def test_other_grids_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"patches has the shape \(2, 50, 8\), but must be \(frames, 49, d\)"
    ):
        patch_scores(torch.zeros(2, 50, 8))
