"""The Descript Audio Codec (DAC), run by `transformers`, from either published file layout.

Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN", 2023. The original files keep weight
norm as (`weight_g`, `weight_v`) under names of their own; those for `transformers` hold the product.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional
from transformers import DacConfig, DacModel

from spatialfoley.codecs.weight_norm import fold_weight_norm
from spatialfoley.weights import compare_keys, load_state_dict

_SNAKES_AND_CONVOLUTIONS = ("snake1", "conv1", "snake2", "conv2")


class DacCodec:
    """Tokens of audio channels and back, each channel coded by itself.

    Attributes:
        model: The network, in evaluation mode.
        rate_hz: Sample rate.
        hop_samples: Samples of one codec frame.
        frame_rate_hz: Nominal codec frames per second, cut to an integer as ViSAGe counts them.
        levels: Codebooks of one channel.
        vocabulary_size: Entries of each codebook.
    """

    def __init__(self, model: DacModel) -> None:
        self.model = model.eval()
        self.rate_hz: int = model.config.sampling_rate
        self.hop_samples: int = model.config.hop_length
        self.frame_rate_hz: int = self.rate_hz // self.hop_samples
        self.levels: int = model.config.n_codebooks
        self.vocabulary_size: int = model.config.codebook_size

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> DacCodec:
        """Read a checkpoint.

        Args:
            path: A folder with config.json and model.safetensors or pytorch_model.bin (`transformers`
                layout), or a `.pth` or `.safetensors` file in the original layout.
            device: Where to run.

        Raises:
            ValueError: If files are missing, the layout is unknown, or keys do not fit; the keys are listed.
        """
        if path.is_dir():
            settings, state = _read_folder(path)
        else:
            settings, state = _read_file(path)
        return cls.from_state(state, settings, str(path)).to(device)

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], settings: Mapping[str, Any], source: str) -> DacCodec:
        """Build the codec from weights in either layout.

        Args:
            state: Weights by key.
            settings: `transformers` settings, or at least `sample_rate` for the original layout.
            source: What to name in errors.

        Raises:
            ValueError: If the keys do not fit; they are listed.
        """
        if any(key.startswith("decoder.model.") for key in state):
            try:
                blocks = _block_count(state)
                state = convert_original(state)
                config = _config_of_weights(state, blocks, int(settings.get("sample_rate", 44100)))
            except KeyError as missing:
                raise ValueError(
                    f"{source} does not look like a DAC checkpoint: {missing} is missing"
                ) from None
        else:
            config = DacConfig(**{name: settings[name] for name in _CONFIG_NAMES if name in settings})
            # The class derives it from the width; the 16 kbit/s model has another one.
            config.hidden_size = settings.get("hidden_size", config.hidden_size)
        with torch.device("meta"):
            model = DacModel(config)
        compare_keys({key: tuple(value.shape) for key, value in model.state_dict().items()}, state, source)
        model.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
        return cls(model)

    def to(self, device: str | torch.device) -> DacCodec:
        """Move the network; returns this codec."""
        self.model.to(device)
        return self

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Tokens of audio.

        Args:
            samples: (B, C, N), at `rate_hz`. Filled with silence up to a whole codec frame.

        Returns:
            Codes (B, S, C · levels), int64, S = ceil(N / hop); all levels of a channel stand together.

        Raises:
            ValueError: If the shape is not (B, C, N) or a sample is not finite.
        """
        if samples.ndim != 3 or samples.shape[-1] == 0:
            raise ValueError(
                f"samples has the shape {tuple(samples.shape)}, but must be (batch, channels, N)"
            )
        if not torch.isfinite(samples).all():
            raise ValueError("samples holds NaN or infinite values; repair the audio before encoding")
        batch = len(samples)
        padded = functional.pad(samples, (0, -samples.shape[-1] % self.hop_samples)).flatten(0, 1)[:, None]
        device = next(self.model.parameters()).device
        codes = [self.model.encode(part.to(device)).audio_codes for part in self._parts(padded)]
        return torch.cat(codes).unflatten(0, (batch, -1)).permute(0, 3, 1, 2).flatten(2)

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Audio of tokens.

        Args:
            codes: (B, S, C · levels), as `encode` returns them.

        Returns:
            Samples (B, C, S · hop), float32. A codec with an odd stride yields a few samples less; these are
            silence at the end.

        Raises:
            ValueError: If the codebooks are not a multiple of `levels` or a token is out of range.
        """
        if codes.ndim != 3 or codes.shape[1] == 0 or codes.shape[2] % self.levels:
            raise ValueError(
                f"codes has the shape {tuple(codes.shape)}, but must be (batch, at least 1 frame, "
                f"a multiple of {self.levels})"
            )
        largest = self.vocabulary_size - 1
        if int(codes.min()) < 0 or int(codes.max()) > largest:
            raise ValueError(
                f"codes must lie in 0 to {largest}, but span {int(codes.min())} to {int(codes.max())}"
            )
        batch, frames = codes.shape[:2]
        channels = codes.unflatten(2, (-1, self.levels)).permute(0, 2, 3, 1).flatten(0, 1)
        device = next(self.model.parameters()).device
        audio = torch.cat(
            [self.model.decode(audio_codes=part.to(device)).audio_values for part in self._parts(channels)]
        )
        missing = frames * self.hop_samples - audio.shape[-1]
        return functional.pad(audio, (0, missing)).unflatten(0, (batch, -1))

    def _parts(self, channels: Tensor) -> tuple[Tensor, ...]:
        """One channel at a time on a CPU (same speed, a fraction of the memory), all at once elsewhere."""
        on_cpu = next(self.model.parameters()).device.type == "cpu"
        return channels.split(1 if on_cpu else len(channels))


def convert_original(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the original layout under the `transformers` keys, weight norm multiplied out."""
    plain = fold_weight_norm(state)
    blocks = _block_count(plain)
    return {_converted_key(key, blocks): value for key, value in plain.items()}


_CONFIG_NAMES = (
    "encoder_hidden_size",
    "downsampling_ratios",
    "decoder_hidden_size",
    "n_codebooks",
    "codebook_size",
    "codebook_dim",
    "sampling_rate",
)


def _block_count(state: Mapping[str, Tensor]) -> int:
    """Strided blocks of the encoder: block 0 is a convolution, two more layers follow the last."""
    last = max(
        (int(found[1]) for key in state if (found := re.match(r"encoder\.block\.(\d+)\.", key))), default=0
    )
    return last - 2


def _converted_key(key: str, blocks: int) -> str:
    """Name of an original key in `transformers`."""
    found = re.fullmatch(r"(encoder\.block|decoder\.model)\.(\d+)\.(.+)", key)
    if found is None:
        return key
    half, index, rest = found[1].split(".")[0], int(found[2]), found[3]
    if index == 0:
        return f"{half}.conv1.{rest}"
    if index > blocks:
        return f"{half}.{'snake1' if index == blocks + 1 else 'conv2'}.{rest}"
    inner = re.fullmatch(r"block\.(\d+)\.(?:block\.(\d+)\.)?(\w+)", rest)
    if inner is None:
        return key
    place, name = int(inner[1]), inner[3]
    block = f"{half}.block.{index - 1}"
    if inner[2] is not None:
        unit = place + 1 if half == "encoder" else place - 1
        return f"{block}.res_unit{unit}.{_SNAKES_AND_CONVOLUTIONS[int(inner[2])]}.{name}"
    own = {3: "snake1", 4: "conv1"} if half == "encoder" else {0: "snake1", 1: "conv_t1"}
    return f"{block}.{own[place]}.{name}"


def _config_of_weights(state: Mapping[str, Tensor], blocks: int, rate_hz: int) -> DacConfig:
    """Every size read off converted weights; a strided convolution is twice as long as its stride."""
    strides = [state[f"encoder.block.{i}.conv1.weight"].shape[-1] // 2 for i in range(blocks)]
    levels = {found[1] for key in state if (found := re.match(r"quantizer\.quantizers\.(\d+)\.", key))}
    codebook = state["quantizer.quantizers.0.codebook.weight"]
    config = DacConfig(
        encoder_hidden_size=len(state["encoder.conv1.bias"]),
        downsampling_ratios=strides,
        decoder_hidden_size=len(state["decoder.conv1.bias"]),
        n_codebooks=len(levels),
        codebook_size=codebook.shape[0],
        codebook_dim=codebook.shape[1],
        sampling_rate=rate_hz,
    )
    config.hidden_size = len(state["encoder.conv2.bias"])
    return config


def _read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    config = folder / "config.json"
    if not config.is_file():
        raise ValueError(
            f"{folder} has no config.json; name a DAC checkpoint folder or an original .pth file"
        )
    return json.loads(config.read_text(encoding="utf-8")), load_state_dict(folder)


def _read_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise ValueError(f"{path} is no file; name a DAC checkpoint folder or an original .pth file")
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as stored:
            settings = json.loads((stored.metadata() or {}).get("config", "{}"))
            return settings, {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    state = load_state_dict(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    return content.get("metadata", {}).get("kwargs", {}), state
