"""The autoencoder of the MMAudio family: log-mel spectrogram to latents at half its rate, and back.

Its convolutions keep magnitudes (Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion
Models", 2024): every filter has unit norm, every sum is divided by the expected growth, there is no bias.
Checkpoints store the raw filters; their norm is forced once, when they are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from spatialfoley.weights import compare_keys

_NORM_OFFSET = 1e-4
_RESIDUAL_SHARE = 0.3
_SILU_MAGNITUDE = 0.596
_ACTIVATION_LIMIT = 256.0
_LOG_VARIANCE_RANGE = (-30.0, 20.0)


@dataclass(frozen=True)
class MelVaeConfig:
    """Sizes of the autoencoder.

    Attributes:
        mel_bands: Bands of the spectrogram.
        latent_dim: Width of a latent.
        hidden_dim: Channels of the first level.
        channel_multipliers: Channels of each level, in units of hidden_dim.
        blocks_per_level: Residual blocks of an encoder level; a decoder level has one more.
        halved_levels: Levels after which the encoder halves the time axis; the decoder doubles it again at
            the end of the next one.
    """

    mel_bands: int
    latent_dim: int
    hidden_dim: int
    channel_multipliers: tuple[int, ...] = (1, 2, 4)
    blocks_per_level: int = 2
    halved_levels: tuple[int, ...] = (0,)

    @classmethod
    def mmaudio_16k(cls) -> MelVaeConfig:
        """The published autoencoder of the 16 kHz models (171.7 M parameters)."""
        return cls(mel_bands=80, latent_dim=20, hidden_dim=384)

    @classmethod
    def mmaudio_44k(cls) -> MelVaeConfig:
        """The published autoencoder of the 44.1 kHz models (305.5 M parameters)."""
        return cls(mel_bands=128, latent_dim=40, hidden_dim=512)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.hidden_dim * multiplier for multiplier in self.channel_multipliers)

    @property
    def frames_per_latent(self) -> int:
        """Mel frames that one latent covers."""
        return 2 ** len(self.halved_levels)


@dataclass(frozen=True)
class LatentPosterior:
    """Independent normal distributions of latents.

    Attributes:
        mean: Any shape.
        log_variance: The same shape, within -30 to 20.
    """

    mean: Tensor
    log_variance: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviations, of the shape of `mean`."""
        return torch.exp(0.5 * self.log_variance)

    def sample(self, noise: Tensor) -> Tensor:
        """Latents for standard normal `noise` of the shape of `mean`."""
        return self.mean + self.std * noise


class MelVae(nn.Module):
    """The autoencoder in the published key layout.

    Its parameters are the weights as they are applied, norm already forced. Build it by `from_state`; a
    checkpoint loaded by `load_state_dict` must have gone through `force_unit_norm` first.
    """

    data_mean: Tensor
    data_std: Tensor

    def __init__(self, config: MelVaeConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("data_mean", torch.zeros(1, config.mel_bands, 1))
        self.register_buffer("data_std", torch.ones(1, config.mel_bands, 1))
        self.encoder = _Encoder(config)
        self.decoder = _Decoder(config)

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], config: MelVaeConfig, source: str = "the autoencoder's checkpoint"
    ) -> MelVae:
        """Build the autoencoder from weights as published (raw), or as `state_dict` of this class returns them.

        Raises:
            ValueError: If keys or shapes do not fit; they are listed.
        """
        with torch.device("meta"):
            network = cls(config)
        compare_keys({key: tuple(value.shape) for key, value in network.state_dict().items()}, state, source)
        folded = force_unit_norm({key: value.float() for key, value in state.items()})
        network.load_state_dict(folded, assign=True)
        return network.eval()

    def encode(self, mel: Tensor) -> LatentPosterior:
        """Distribution of the latents of a log-mel spectrogram.

        Args:
            mel: (B, mel_bands, T), T at least `frames_per_latent`; a rest of the last latent is dropped.

        Returns:
            Mean and log variance, each (B, latent_dim, T // frames_per_latent).

        Raises:
            ValueError: If the bands are not those of the network, or it is too short.
        """
        config = self.config
        if mel.ndim != 3 or mel.shape[1] != config.mel_bands or mel.shape[2] < config.frames_per_latent:
            raise ValueError(
                f"mel has the shape {tuple(mel.shape)}, but must be (batch, {config.mel_bands}, at least "
                f"{config.frames_per_latent} frames)"
            )
        mean, log_variance = self.encoder((mel - self.data_mean) / self.data_std).chunk(2, dim=1)
        return LatentPosterior(mean, log_variance.clamp(*_LOG_VARIANCE_RANGE))

    def decode(self, latents: Tensor) -> Tensor:
        """Log-mel spectrogram (B, mel_bands, T · frames_per_latent) of latents (B, latent_dim, T).

        Raises:
            ValueError: If the width is not that of the network, or there is no latent.
        """
        return self.decode_normalised(latents) * self.data_std + self.data_mean

    def decode_normalised(self, latents: Tensor) -> Tensor:
        """As `decode`, in units of the training data's deviation from its mean, band by band."""
        width = self.config.latent_dim
        if latents.ndim != 3 or latents.shape[1] != width or latents.shape[2] == 0:
            raise ValueError(
                f"latents have the shape {tuple(latents.shape)}, but must be (batch, {width}, at least 1 step)"
            )
        return self.decoder(latents)


def force_unit_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that the network applies, from the raw weights of a checkpoint.

    Each filter is divided by its magnitude and by the growth its fan-in causes:
    w / (1e-4 + |w| / √fan_in) / √fan_in, |w| over inputs and kernel. The offset makes a second pass shrink the
    filters (by 0.8 % at 6144 inputs), so weights whose norm is already forced are recognised by it and
    returned as they are.

    Args:
        state: Weights by key; convolutions have three dimensions and a key that ends in `.weight`.
    """
    filters = {key: value for key, value in state.items() if key.endswith(".weight") and value.ndim == 3}
    norms = {key: value.flatten(1).norm(dim=1) for key, value in filters.items()}
    # A raw filter of a trained checkpoint has a norm near √fan_in, which is nowhere near 1.
    if filters and all(bool(((norm > 0.99) & (norm <= 1.0 + 1e-5)).all()) for norm in norms.values()):
        return dict(state)
    folded = dict(state)
    for key, value in filters.items():
        growth = math.sqrt(value[0].numel())
        folded[key] = value / (_NORM_OFFSET + norms[key] / growth)[:, None, None] / growth
    return folded


class _Encoder(nn.Module):
    def __init__(self, config: MelVaeConfig) -> None:
        super().__init__()
        widths = config.widths
        self.learnable_gain = nn.Parameter(torch.zeros(()))
        self.conv_in = _convolution(config.mel_bands, config.hidden_dim, 3)
        self.down = nn.ModuleList()
        width = config.hidden_dim
        for level, wider in enumerate(widths):
            blocks = [
                _ResidualBlock(width if i == 0 else wider, wider) for i in range(config.blocks_per_level)
            ]
            change = _Halve(wider) if level in config.halved_levels else None
            self.down.append(_Level(blocks, "downsample", change))
            width = wider
        self.mid = _Middle(width)
        self.conv_out = _convolution(width, 2 * config.latent_dim, 3)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.conv_in(hidden)
        for level in self.down:
            hidden = level(hidden)
        return self.conv_out(_silu(self.mid(hidden))) * (1.0 + self.learnable_gain)


class _Decoder(nn.Module):
    def __init__(self, config: MelVaeConfig) -> None:
        super().__init__()
        width = config.widths[-1]
        self.learnable_gain = nn.Parameter(torch.zeros(()))
        self.conv_in = _convolution(config.latent_dim, width, 3)
        self.mid = _Middle(width)
        levels: list[_Level] = []
        for level, narrower in reversed(list(enumerate(config.widths))):
            count = config.blocks_per_level + 1
            blocks = [_ResidualBlock(width if i == 0 else narrower, narrower) for i in range(count)]
            change = _Double(narrower) if level - 1 in config.halved_levels else None
            levels.append(_Level(blocks, "upsample", change))
            width = narrower
        # Stored by level, run from the last to the first.
        self.up = nn.ModuleList(reversed(levels))
        self.conv_out = _convolution(width, config.mel_bands, 3)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.mid(self.conv_in(hidden))
        for level in reversed(self.up):
            hidden = level(hidden)
        return self.conv_out(_silu(hidden)) * (1.0 + self.learnable_gain)


class _Level(nn.Module):
    """Residual blocks of one width, then perhaps a change of the time axis."""

    def __init__(self, blocks: list[_ResidualBlock], change_name: str, change: nn.Module | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        if change is not None:
            self.add_module(change_name, change)
        self._change = change_name if change is not None else None

    def forward(self, hidden: Tensor) -> Tensor:
        for block in self.block:
            hidden = block(hidden)
        return hidden if self._change is None else self.get_submodule(self._change)(hidden)


class _Middle(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.block_1 = _ResidualBlock(width, width)
        self.attn_1 = _Attention(width)
        self.block_2 = _ResidualBlock(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(hidden)))


class _ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; both start from the input brought to unit magnitude."""

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(width, out_width, 3)
        self.conv2 = _convolution(out_width, out_width, 3)
        self.nin_shortcut = _convolution(width, out_width, 1) if width != out_width else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = _unit_magnitude(hidden, dim=1)
        change = self.conv2(_silu(self.conv1(_silu(hidden))))
        total = _weighted_sum(self.nin_shortcut(hidden), change)
        return total.clamp(-_ACTIVATION_LIMIT, _ACTIVATION_LIMIT)


class _Attention(nn.Module):
    """Self-attention over time with one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = _convolution(width, 3 * width, 1)
        self.proj_out = _convolution(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        # Channel c of query, key and value stand beside each other: index 3c + {0, 1, 2}.
        parts = _unit_magnitude(self.qkv(hidden).unflatten(1, (-1, 3)), dim=1)
        query, key, value = (part.mT[:, None] for part in parts.unbind(2))
        mixed = functional.scaled_dot_product_attention(query, key, value)[:, 0].mT
        return _weighted_sum(hidden, self.proj_out(mixed))


class _Halve(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(width, width, 1)
        self.conv2 = _convolution(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.conv2(functional.avg_pool1d(self.conv1(hidden), 2))


class _Double(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _convolution(width, width, 3)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.conv(hidden.repeat_interleave(2, dim=-1))


def _convolution(width: int, out_width: int, kernel: int) -> nn.Conv1d:
    return nn.Conv1d(width, out_width, kernel, padding=kernel // 2, bias=False)


def _unit_magnitude(hidden: Tensor, dim: int) -> Tensor:
    """Divide by the root mean square over one dimension."""
    rms = hidden.norm(dim=dim, keepdim=True) / math.sqrt(hidden.shape[dim])
    return hidden / (rms + _NORM_OFFSET)


def _silu(hidden: Tensor) -> Tensor:
    """SiLU scaled to keep the magnitude of standard normal input."""
    return functional.silu(hidden) / _SILU_MAGNITUDE


def _weighted_sum(skip: Tensor, change: Tensor) -> Tensor:
    """0.7 skip + 0.3 change, scaled to keep the magnitude of uncorrelated input."""
    keep = 1.0 - _RESIDUAL_SHARE
    return (keep * skip + _RESIDUAL_SHARE * change) / math.hypot(keep, _RESIDUAL_SHARE)
