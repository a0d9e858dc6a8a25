"""UniCodec's backbone with its products in bfloat16 and laid out for a CPU: twice as fast, to be run only."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

from spatialfoley.codecs.unicodec_decoder import UniCodecBackbone
from spatialfoley.kernels.packed import PackedFrames, unavailable_reason

Kernel = Literal["plain", "bfloat16"]
"""How the products of the decoder are computed: as the weights are, or in bfloat16 on a CPU that has it, which with
random weights of the published size leaves an error of -43 dB in the sound."""


def packed_backbone(backbone: UniCodecBackbone, kernel: Kernel) -> UniCodecBackbone:
    """A backbone that shares the given one's small weights and holds its large ones packed.

    Raises:
        ValueError: If the kernel is unknown or does not run on this machine.
    """
    if kernel == "plain":
        return backbone
    if kernel != "bfloat16":
        raise ValueError(f"kernel is {kernel!r}; give plain or bfloat16")
    device = backbone.embed.weight.device
    on_cpu = device.type == "cpu"
    reason = unavailable_reason(torch.bfloat16) if on_cpu else f"it runs on a CPU, not on {device}"
    if reason:
        raise ValueError(f"kernel {kernel!r} is not available: {reason}; use 'plain'")
    return _with_packed_layers(backbone)  # type: ignore[return-value]


def _with_packed_layers(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.Linear):
        return _PackedLinear(PackedFrames(module.weight, module.bias, torch.bfloat16))
    if isinstance(module, nn.Conv1d) and module.groups == 1:
        return _PackedConvolution(PackedFrames(module.weight, module.bias, torch.bfloat16))
    shell = copy.copy(module)
    shell._modules = {
        name: None if child is None else _with_packed_layers(child) for name, child in module._modules.items()
    }
    return shell


class _PackedLinear(nn.Module):
    def __init__(self, product: PackedFrames) -> None:
        super().__init__()
        self.product = product

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, S, inputs) to (B, S, outputs), float32."""
        return self.product(tokens.to(torch.bfloat16).contiguous()).float()


class _PackedConvolution(_PackedLinear):
    def forward(self, hidden: Tensor) -> Tensor:
        """(B, inputs, S) to (B, outputs, S), float32."""
        return super().forward(hidden.mT).mT
