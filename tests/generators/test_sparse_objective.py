"""The loss that learns the finer levels of Y, Z, X on some frames only."""

import torch

from spatialfoley.generators.visage.conditions import VisageConditions
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.generators.visage.model import VisageModel
from spatialfoley.generators.visage.objective import codebook_loss, sparse_codebook_loss


def test_all_frames_give_the_published_loss_and_some_frames_only_change_the_fine_levels() -> None:
    torch.manual_seed(0)
    model = VisageModel(VisageConfig.tiny()).eval()
    layout = model.layout
    rows = layout.interleave(torch.randint(0, 64, (2, 12, layout.codebooks)))
    conditions = VisageConditions(
        torch.randn(2, 4, 16), torch.rand(2, 4, 49), torch.tensor([[0.0, 0, 1]] * 2)
    )
    hidden = model.decode_teacher(rows[:, :-1], model.encode(conditions))
    labels = layout.labels(rows)
    whole = codebook_loss(model.row_logits(hidden), labels, layout)
    same = sparse_codebook_loss(model, hidden, labels, torch.arange(12))
    assert torch.allclose(same.per_codebook, whole.per_codebook, atol=1e-5)
    part = sparse_codebook_loss(model, hidden, labels, torch.tensor([3, 7]))
    changed = (part.per_codebook - whole.per_codebook).abs() > 1e-4
    assert changed.nonzero()[:, 0].tolist() == list(layout.spatial_fine)
