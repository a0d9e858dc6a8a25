"""The trunk against torchvision's key layout and against another implementation of the same network."""

from pathlib import Path

import pytest
import torch

from spatialfoley.generators.spatializer.resnet18 import ResNet18Trunk, load_trunk


def random_trunk(seed: int) -> ResNet18Trunk:
    torch.manual_seed(seed)
    trunk = ResNet18Trunk()
    with torch.no_grad():
        for name, tensor in trunk.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1)
    return trunk.eval()


def test_key_layout_is_torchvisions_without_the_classifier() -> None:
    state = random_trunk(0).state_dict()
    assert len(state) == 120  # 122 with fc.weight and fc.bias
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer4.1.bn2.running_var"].shape == (512,)
    assert (
        sum(t.numel() for name, t in state.items() if not name.endswith("num_batches_tracked")) == 11_186_112
    )
    assert not any(name.startswith("layer1") and "downsample" in name for name in state)


def test_a_file_with_classifier_and_without_counters_is_read(tmp_path: Path) -> None:
    published, trunk = random_trunk(1), random_trunk(2)
    stored = {k: v for k, v in published.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(
        {**stored, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, tmp_path / "r.pth"
    )
    load_trunk(trunk, tmp_path / "r.pth")
    pictures = torch.randn(1, 3, 64, 64)
    assert torch.equal(trunk(pictures), published(pictures))


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    stored = random_trunk(1).state_dict()
    del stored["layer3.0.conv1.weight"]
    torch.save(stored, tmp_path / "other.pth")
    with pytest.raises(
        ValueError, match=r"other.pth is no ResNet18 .* 1 tensors .* such as layer3.0.conv1.weight"
    ):
        load_trunk(random_trunk(0), tmp_path / "other.pth")


def test_features_are_those_of_the_network_in_transformers() -> None:
    from transformers import ResNetConfig, ResNetModel

    trunk = random_trunk(3)
    config = ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic"
    )
    other = ResNetModel(config).eval()
    names = {}
    for name in trunk.state_dict():
        stage, _, rest = name.partition(".")
        kind = "convolution" if "conv" in name else "normalization"
        if stage in ("conv1", "bn1"):
            names[name] = f"embedder.embedder.{kind}.{rest}"
            continue
        block, part, tail = rest.split(".", 2)
        base = f"encoder.stages.{int(stage[-1]) - 1}.layers.{block}"
        if part == "downsample":
            index, tail = tail.split(".")
            names[name] = f"{base}.shortcut.{('convolution', 'normalization')[int(index)]}.{tail}"
        else:
            names[name] = f"{base}.layer.{int(part[-1]) - 1}.{kind}.{tail}"
    other.load_state_dict({names[name]: tensor for name, tensor in trunk.state_dict().items()})
    pictures = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        expected = other(pictures).last_hidden_state
        made = trunk(pictures)
    assert made.shape == (2, 512, 3, 2)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)
