"""BigVGAN: log-mel spectrogram to waveform, in the published key layout (first version and v2).

Lee et al., "BigVGAN: A Universal Neural Vocoder with Large-Scale Training", ICLR 2023. Periodic activations
run at twice the rate between low-pass filters, so that the harmonics they create do not alias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.codecs.weight_norm import fold_weight_norm
from spatialfoley.weights import compare_keys

_FILTER_TAPS = 12
_SNAKE_OFFSET = 1e-9


@dataclass(frozen=True)
class BigVganConfig:
    """Settings of the network, under their published names."""

    num_mels: int
    upsample_rates: tuple[int, ...]
    upsample_kernel_sizes: tuple[int, ...]
    upsample_initial_channel: int = 1536
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5),) * 3
    activation: Literal["snake", "snakebeta"] = "snakebeta"
    snake_logscale: bool = True
    """Whether the stored alpha and beta are logarithms."""
    use_tanh_at_final: bool = True
    """The first version ends in a tanh, v2 is clipped to -1 to 1."""
    use_bias_at_final: bool = True

    def __post_init__(self) -> None:
        if self.activation not in ("snake", "snakebeta"):
            raise ValueError(f"activation is {self.activation!r}; it must be 'snake' or 'snakebeta'")
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes):
            raise ValueError(
                f"upsample_rates has {len(self.upsample_rates)} entries and upsample_kernel_sizes "
                f"{len(self.upsample_kernel_sizes)}; each rate needs its kernel"
            )
        for rate, kernel in zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(
                    f"an upsample kernel of {kernel} does not fit the rate {rate}; it must be larger by an "
                    "even number, so that each frame becomes exactly rate samples"
                )
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            raise ValueError(
                f"resblock_kernel_sizes has {len(self.resblock_kernel_sizes)} entries and "
                f"resblock_dilation_sizes {len(self.resblock_dilation_sizes)}; each kernel needs its dilations"
            )

    @classmethod
    def mmaudio_16k(cls) -> BigVganConfig:
        """The published vocoder of the 16 kHz models (112.2 M parameters)."""
        return cls(80, (4, 4, 2, 2, 2, 2), (8, 8, 4, 4, 4, 4))

    @classmethod
    def v2_44k(cls) -> BigVganConfig:
        """bigvgan_v2_44khz_128band_512x (122.2 M parameters)."""
        rates, kernels = (8, 4, 2, 2, 2, 2), (16, 8, 4, 4, 4, 4)
        return cls(128, rates, kernels, use_tanh_at_final=False, use_bias_at_final=False)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> BigVganConfig:
        """Read a published config.json; its settings of the training and of the data are passed over.

        Raises:
            ValueError: If a size is missing, or the residual block is the second kind, which no published
                checkpoint of this family uses.
        """
        if str(settings.get("resblock", "1")) != "1":
            raise ValueError(f"resblock is {settings['resblock']!r}; only '1' is supported")
        missing = [
            name for name in ("num_mels", "upsample_rates", "upsample_kernel_sizes") if name not in settings
        ]
        if missing:
            raise ValueError(f"the settings of the vocoder lack {', '.join(missing)}; give its config.json")
        known = {field.name: settings[field.name] for field in fields(cls) if field.name in settings}
        return cls(**{name: _as_tuple(value) for name, value in known.items()})

    @property
    def hop_samples(self) -> int:
        """Samples that one mel frame becomes."""
        return math.prod(self.upsample_rates)


class BigVgan(nn.Module):
    """The vocoder; its weights are plain, weight norm is multiplied out when they are read."""

    def __init__(self, config: BigVganConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.upsample_initial_channel >> level for level in range(len(config.upsample_rates) + 1)]
        self.conv_pre = nn.Conv1d(config.num_mels, widths[0], 7, padding=3)
        stages = zip(widths, widths[1:], config.upsample_kernel_sizes, config.upsample_rates, strict=False)
        # A list in a list: the published keys are ups.<level>.0.
        self.ups = nn.ModuleList(
            nn.ModuleList([nn.ConvTranspose1d(wide, narrow, kernel, rate, (kernel - rate) // 2)])
            for wide, narrow, kernel, rate in stages
        )
        self.resblocks = nn.ModuleList(
            _ResidualBlock(config, width, kernel, dilations)
            for width in widths[1:]
            for kernel, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            )
        )
        self.activation_post = AliasFreeSnake(config, widths[-1])
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3, bias=config.use_bias_at_final)

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], config: BigVganConfig, source: str = "the vocoder's checkpoint"
    ) -> BigVgan:
        """Build the vocoder from weights with or without weight norm, in any of the three spellings.

        Raises:
            ValueError: If keys or shapes do not fit; they are listed.
        """
        with torch.device("meta"):
            network = cls(config)
        folded = fold_weight_norm(state)
        compare_keys({key: tuple(value.shape) for key, value in network.state_dict().items()}, folded, source)
        network.load_state_dict({key: value.float() for key, value in folded.items()}, assign=True)
        return network.eval()

    def forward(self, mel: Tensor) -> Tensor:
        """Waveform of a log-mel spectrogram.

        Args:
            mel: (B, num_mels, T).

        Returns:
            (B, 1, T · hop_samples), within -1 to 1.

        Raises:
            ValueError: If the bands are not those of the vocoder, or there is no frame.
        """
        wave = self.wave_before_limit(mel)
        return torch.tanh(wave) if self.config.use_tanh_at_final else wave.clamp(-1.0, 1.0)

    def wave_before_limit(self, mel: Tensor) -> Tensor:
        """The waveform (B, 1, T · hop_samples) before the final tanh or clipping."""
        if mel.ndim != 3 or mel.shape[1] != self.config.num_mels or mel.shape[2] == 0:
            raise ValueError(
                f"mel has the shape {tuple(mel.shape)}, but must be (batch, {self.config.num_mels}, "
                "at least 1 frame)"
            )
        hidden = self.conv_pre(mel)
        branches = len(self.config.resblock_kernel_sizes)
        for level, stage in enumerate(self.ups):
            hidden = stage[0](hidden)  # type: ignore[index]
            blocks = self.resblocks[level * branches : (level + 1) * branches]
            total = blocks[0](hidden)
            for block in blocks[1:]:
                total = total + block(hidden)
            hidden = total / branches
        return self.conv_post(self.activation_post(hidden))


class AliasFreeSnake(nn.Module):
    """A periodic activation between a rise to twice the rate and the fall back (the paper's AMP)."""

    def __init__(self, config: BigVganConfig, channels: int) -> None:
        super().__init__()
        self.act = _Snake(channels, config.activation, config.snake_logscale)
        self.upsample = _Upsample()
        self.downsample = _Downsample()

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T)."""
        return self.downsample(self.act(self.upsample(hidden)))


class _Snake(nn.Module):
    """x + sin²(αx) / β per channel; β is α in the plain form."""

    def __init__(self, channels: int, kind: str, logscale: bool) -> None:
        super().__init__()
        self.logscale = logscale
        neutral = torch.zeros(channels) if logscale else torch.ones(channels)
        self.alpha = nn.Parameter(neutral)
        self.beta = nn.Parameter(neutral.clone()) if kind == "snakebeta" else None

    def forward(self, hidden: Tensor) -> Tensor:
        alpha = self.alpha[:, None]
        beta = alpha if self.beta is None else self.beta[:, None]
        if self.logscale:
            alpha, beta = alpha.exp(), beta.exp()
        return torch.addcmul(hidden, torch.sin(hidden * alpha).square(), 1.0 / (beta + _SNAKE_OFFSET))


class _Upsample(nn.Module):
    """Twice the rate by a 12-tap low-pass.

    Each output sample meets only every other tap: six for the even, six for the odd samples. The two phases
    are what the published transposed convolution amounts to, without its products with zero.
    """

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", _low_pass_filter().clone()[None, None])

    def forward(self, hidden: Tensor) -> Tensor:
        channels = hidden.shape[1]
        taps = 2.0 * self.filter.flip(-1).expand(channels, -1, -1)
        padded = functional.pad(hidden, (3, 3), mode="replicate")
        even = functional.conv1d(padded[..., :-1], taps[..., 0::2], groups=channels)
        odd = functional.conv1d(padded[..., 1:], taps[..., 1::2], groups=channels)
        return torch.stack([even, odd], dim=-1).flatten(2)


class _Downsample(nn.Module):
    """Half the rate, every other sample of the 12-tap low-pass."""

    def __init__(self) -> None:
        super().__init__()
        self.lowpass = _LowPass()

    def forward(self, hidden: Tensor) -> Tensor:
        channels = hidden.shape[1]
        padded = functional.pad(hidden, (_FILTER_TAPS // 2 - 1, _FILTER_TAPS // 2), mode="replicate")
        # Channel by channel (depthwise): on a CPU several times faster than the channels as a batch.
        taps = self.lowpass.filter.expand(channels, -1, -1)
        return functional.conv1d(padded, taps, stride=2, groups=channels)


class _LowPass(nn.Module):
    """Holder of the filter, so that its key is `lowpass.filter`."""

    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", _low_pass_filter().clone()[None, None])


class _ResidualBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each after its own activation."""

    def __init__(self, config: BigVganConfig, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def same(dilation: int) -> nn.Conv1d:
            return nn.Conv1d(
                channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2
            )

        self.convs1 = nn.ModuleList(same(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(same(1) for _ in dilations)
        self.activations = nn.ModuleList(AliasFreeSnake(config, channels) for _ in range(2 * len(dilations)))

    def forward(self, hidden: Tensor) -> Tensor:
        for index, (dilated, plain) in enumerate(zip(self.convs1, self.convs2, strict=True)):
            change = dilated(self.activations[2 * index](hidden))
            hidden = hidden + plain(self.activations[2 * index + 1](change))
        return hidden


@cache
def _low_pass_filter() -> Tensor:
    """Kaiser-windowed sinc of 12 taps and unit sum: cutoff at 1/4 of the rate, transition 0.3 on each side.

    The window's shape follows from the stop-band attenuation by Kaiser's design formulas (1974).
    """
    cutoff, half_width = 0.25, 0.3
    attenuation_db = 2.285 * (_FILTER_TAPS / 2 - 1) * math.pi * 4 * half_width + 7.95
    if attenuation_db > 50:
        shape = 0.1102 * (attenuation_db - 8.7)
    else:
        shape = 0.5842 * (attenuation_db - 21) ** 0.4 + 0.07886 * (attenuation_db - 21)
    # On the CPU even while a network is laid out without memory: the taps do not depend on a checkpoint.
    window = torch.kaiser_window(_FILTER_TAPS, periodic=False, beta=shape, device="cpu")
    times = torch.arange(_FILTER_TAPS, device="cpu") - (_FILTER_TAPS - 1) / 2
    taps = window * torch.sinc(2 * cutoff * times)
    return taps / taps.sum()


def _as_tuple(value: Any) -> Any:
    """Lists of a JSON file as the tuples that a frozen configuration holds."""
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value
