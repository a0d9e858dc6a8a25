"""Covariances told from features: white there and back, the likelihood finds a known covariance."""

import pytest
import torch

from spatialfoley.generators.visaudio.spectral_prior import (
    SpectralPrior,
    SpectralPriorConfig,
    colour,
    prior_loss,
    whiten,
)
from spatialfoley.generators.visaudio.twin import twin_features

SIZES = SpectralPriorConfig(shape_dim=3, sync_dim=6, text_dim=2, hidden_dim=8, depth=1)


def _features(words: torch.Tensor, frames: int = 10):  # type: ignore[no-untyped-def]
    batch = len(words)
    return twin_features(torch.zeros(batch, frames, 6), torch.full((batch, frames, 49), 1 / 49), words)


def test_colouring_undoes_whitening() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(2, 7, 3, 3, generator=generator).tril(-1) + 2 * torch.eye(3)
    shape = torch.randn(2, 4, 7, 3, generator=generator)
    assert torch.allclose(colour(whiten(shape, factor), factor), shape, atol=1e-5)


def test_whitening_is_odd_and_linear() -> None:
    factor = torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0, 0.5]]).expand(1, 5, 3, 3)
    shape = torch.randn(1, 2, 5, 3)
    assert torch.allclose(whiten(-2 * shape, factor), -2 * whiten(shape, factor), atol=1e-6)


def test_a_prior_that_has_learnt_nothing_is_nearly_white() -> None:
    prior = SpectralPrior(SIZES)
    factor = prior(_features(torch.zeros(1, 2)), 25)
    assert factor.shape == (1, 25, 3, 3)
    assert torch.allclose(factor, torch.eye(3).expand_as(factor), atol=0.3)
    assert not factor.triu(1).any()


def test_the_likelihood_finds_the_covariance_that_goes_with_a_word() -> None:
    torch.manual_seed(0)
    prior = SpectralPrior(SIZES)
    true = torch.tensor([[[0.2, 0, 0], [0, 1, 0], [0, 0.5, 1]], [[1.5, 0, 0], [1, 0.3, 0], [0, 0, 1]]])
    features, heard = _features(torch.eye(2)), torch.ones(2, 1, 50, dtype=torch.bool)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.01)
    for _ in range(200):
        shape = torch.einsum("bij,bnsj->bnsi", true, torch.randn(2, 1, 50, 3))
        loss = prior_loss(shape, prior(features, 50), heard)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    factor = prior(features, 50).mean(dim=1)
    assert torch.allclose(factor, true, atol=0.2)


def test_frames_that_are_not_heard_do_not_count() -> None:
    factor = torch.eye(3).expand(1, 4, 3, 3)
    shape = torch.ones(1, 1, 4, 3)
    shape[:, :, 2:] = 100
    heard = torch.tensor([[[True, True, False, False]]])
    assert prior_loss(shape, factor, heard).item() == pytest.approx(0.5)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel is 4, but must be odd"):
        SpectralPriorConfig(kernel=4)
    with pytest.raises(ValueError, match="unknown settings width; known are depth"):
        SpectralPriorConfig.from_dict({"width": 3})


def test_words_replace_the_picture() -> None:
    prior = SpectralPrior(SIZES)
    one, other = _features(torch.tensor([[1.0, 0]])), _features(torch.tensor([[1.0, 0]]))
    other.sync.add_(torch.randn(1, 10, 6, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(prior(one, 25), prior(other, 25))
    one.text.zero_()
    other.text.zero_()
    assert not torch.equal(prior(one, 25), prior(other, 25))
