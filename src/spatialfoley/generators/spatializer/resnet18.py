"""The trunk of ResNet18 in torchvision's key layout: pictures to a grid of features.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, without the average pooling and
the classifier. A file such as resnet18-f37072fd.pth is read by `load_trunk`; torchvision itself is not used.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from spatialfoley.weights import load_state_dict

TRUNK_CHANNELS = 512
TRUNK_STRIDE = 32
"""Pixels for each place of the grid."""

IMAGE_MEAN, IMAGE_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures that published weights were trained on, red, green and blue in [0, 1]."""

_CLASSIFIER = ("fc.weight", "fc.bias")


class BasicBlock(nn.Module):
    """Two convolutions and a way round them."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C, H / stride, W / stride)."""
        way_round = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + way_round)


class ResNet18Trunk(nn.Module):
    """Pictures (B, 3, H, W), normalised, to features (B, 512, H / 32, W / 32), rounded up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """The features of the last stage."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(pictures))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def load_trunk(trunk: ResNet18Trunk, path: str | Path) -> None:
    """Fill a trunk from a ResNet18 file in torchvision's layout; its classifier is left out.

    Raises:
        ValueError: The file is no ResNet18, or cannot be read.
    """
    stored = {name: tensor for name, tensor in load_state_dict(Path(path)).items() if name not in _CLASSIFIER}
    wanted = trunk.state_dict()
    # Files older than the counter of batches lack it; it is not used.
    counters = {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked")}
    stored = {**counters, **stored}
    wrong = sorted(
        name
        for name in wanted.keys() | stored.keys()
        if name not in wanted or name not in stored or wanted[name].shape != stored[name].shape
    )
    if wrong:
        raise ValueError(
            f"{path} is no ResNet18 in torchvision's layout: {len(wrong)} tensors are missing, unknown or of "
            f"another shape, such as {', '.join(wrong[:3])}; give a file such as resnet18-f37072fd.pth"
        )
    trunk.load_state_dict(stored)
