import pytest
import torch

from spatialfoley.codecs.weight_norm import fold_weight_norm

OLD = ("weight_g", "weight_v")
NEW = ("parametrizations.weight.original0", "parametrizations.weight.original1")


@pytest.mark.parametrize("names", [OLD, NEW], ids=["weight_g", "parametrizations"])
def test_gain_times_direction(names: tuple[str, str]) -> None:
    state = {
        f"layer.{names[0]}": torch.tensor([[[10.0]], [[2.0]]]),
        f"layer.{names[1]}": torch.tensor([[[3.0, 4.0]], [[0.0, -7.0]]]),
        "layer.bias": torch.tensor([1.0, 2.0]),
    }
    folded = fold_weight_norm(state)
    assert set(folded) == {"layer.weight", "layer.bias"}
    torch.testing.assert_close(folded["layer.weight"], torch.tensor([[[6.0, 8.0]], [[0.0, -2.0]]]))
    assert torch.equal(folded["layer.bias"], state["layer.bias"])


@pytest.mark.parametrize("names", [OLD, NEW], ids=["weight_g", "parametrizations"])
def test_folding_again_changes_nothing(names: tuple[str, str]) -> None:
    state = {f"a.{names[0]}": torch.rand(3, 1, 1), f"a.{names[1]}": torch.randn(3, 4, 5)}
    once = fold_weight_norm(state)
    assert torch.equal(fold_weight_norm(once)["a.weight"], once["a.weight"])


@pytest.mark.parametrize("layer", [torch.nn.Conv1d(3, 5, 4), torch.nn.ConvTranspose1d(3, 5, 4)])
def test_agrees_with_torch_for_plain_and_transposed_convolutions(layer: torch.nn.Module) -> None:
    wrapped = torch.nn.utils.parametrizations.weight_norm(layer)
    network = torch.nn.Sequential(wrapped)
    with torch.no_grad():
        wrapped.parametrizations.weight.original0.mul_(1.7)
    torch.testing.assert_close(fold_weight_norm(network.state_dict())["0.weight"], wrapped.weight)


@pytest.mark.parametrize("kept", OLD + NEW)
def test_half_a_pair_is_refused(kept: str) -> None:
    with pytest.raises(ValueError, match=rf"holds a\.{kept} but not a\.(weight_|parametrizations)"):
        fold_weight_norm({f"a.{kept}": torch.ones(2, 1, 1)})
