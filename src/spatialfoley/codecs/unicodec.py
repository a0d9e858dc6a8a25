"""UniCodec: one token of 16384 for every 1/75 s of a channel at 24 kHz.

The network and its sources are in `unicodec_network`. The codebook has parts for speech, music and other sound;
decoding reads the codebook through its learned projection, whichever part a token is from.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from spatialfoley.codecs.unicodec_config import domain_tokens
from spatialfoley.codecs.unicodec_network import UniCodecNetwork
from spatialfoley.codecs.unicodec_packed import Kernel, packed_backbone
from spatialfoley.weights import load_state_dict


class UniCodec:
    """Tokens of audio channels and back, each channel coded by itself.

    Attributes:
        network: In evaluation mode.
        domain: The part of the codebook that `encode` takes tokens from where it is not told.
        rate_hz: Sample rate.
        hop_samples: Samples of one token.
        frame_rate_hz: Tokens of a channel per second.
        levels: Codebooks of one channel: 1.
        vocabulary_size: Entries of the codebook.
    """

    levels = 1

    def __init__(self, network: UniCodecNetwork, domain: str = "audio", kernel: Kernel = "plain") -> None:
        """Use a network.

        Args:
            network: As read from weights.
            domain: "speech", "music", "audio" (other sound), or "all"; the published numbers "0" to "3" too.
            kernel: "bfloat16" decodes twice as fast on a CPU that has it, see `unicodec_packed`.

        Raises:
            ValueError: If the domain is unknown or the kernel does not run here.
        """
        self.network = network.eval()
        self.domain = domain
        self.rate_hz: int = network.config.rate_hz
        self.hop_samples: int = network.config.hop_samples
        self.frame_rate_hz: int = self.rate_hz // self.hop_samples
        self.vocabulary_size: int = network.config.codebook_size
        domain_tokens(domain, self.vocabulary_size)
        with torch.inference_mode():
            self._entries = network.codebook.entries()
        self._backbone = packed_backbone(network.backbone, kernel)

    @classmethod
    def load(
        cls, path: Path, device: str = "cpu", domain: str = "audio", kernel: Kernel = "plain"
    ) -> UniCodec:
        """Read a checkpoint in the published layout.

        Args:
            path: `unicode.ckpt` as a trainer wrote it (only its weights are read, no code runs), a safetensors
                file with the same keys, or the folder of either.
            device: Where to run.
            domain: As for the constructor.
            kernel: As for the constructor.

        Raises:
            ValueError: If keys or shapes do not fit; they are listed.
        """
        network = UniCodecNetwork.from_state(load_state_dict(path), source=str(path))
        return cls(network.to(device), domain, kernel)

    def to(self, device: str | torch.device) -> UniCodec:
        """Move the network; returns this codec. Away from a CPU it computes as its weights are."""
        self.network.to(device)
        self._entries = self._entries.to(device)
        if self._entries.device.type != "cpu":
            self._backbone = self.network.backbone
        return self

    @torch.inference_mode()
    def encode(self, samples: Tensor, domain: str | None = None) -> Tensor:
        """Tokens of audio.

        Args:
            samples: (B, C, N), at `rate_hz`, of any length from one sample on: what is short of a whole token
                is mirrored, as published.
            domain: The part of the codebook to take tokens from; None for the codec's own.

        Returns:
            Codes (B, S, C), int64, S = ceil(N / hop).

        Raises:
            ValueError: If the shape is not (B, C, N), a sample is not finite, or the domain is unknown.
        """
        if samples.ndim != 3 or 0 in samples.shape:
            raise ValueError(
                f"samples has the shape {tuple(samples.shape)}, but must be (batch, channels, N)"
            )
        if not torch.isfinite(samples).all():
            raise ValueError("samples holds NaN or infinite values; repair the audio before encoding")
        allowed = domain_tokens(self.domain if domain is None else domain, self.vocabulary_size)
        channels = samples.to(self._entries.device, torch.float32).flatten(0, 1)
        codes = [
            self.network.tokens(part, [allowed] * len(part), self._entries) for part in self._parts(channels)
        ]
        return torch.cat(codes).unflatten(0, (len(samples), -1)).transpose(1, 2).contiguous()

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Audio of tokens.

        Args:
            codes: (B, S, C), as `encode` returns them.

        Returns:
            Samples (B, C, S · hop), float32.

        Raises:
            ValueError: If the shape is another one or a token is out of range.
        """
        if codes.ndim != 3 or 0 in codes.shape:
            raise ValueError(
                f"codes has the shape {tuple(codes.shape)}, but must be (batch, at least 1 frame, channels)"
            )
        largest = self.vocabulary_size - 1
        if int(codes.min()) < 0 or int(codes.max()) > largest:
            raise ValueError(
                f"codes must lie in 0 to {largest}, but span {int(codes.min())} to {int(codes.max())}"
            )
        channels = codes.to(self._entries.device).transpose(1, 2).flatten(0, 1)
        bandwidth = torch.zeros(1, dtype=torch.long, device=channels.device)
        audio = [
            self.network.head(self._backbone(self._entries[part], bandwidth))
            for part in self._parts(channels)
        ]
        return torch.cat(audio).unflatten(0, (len(codes), -1))

    def _parts(self, channels: Tensor) -> tuple[Tensor, ...]:
        """One channel at a time on a CPU (same speed, a fraction of the memory), all at once elsewhere."""
        return channels.split(1 if self._entries.device.type == "cpu" else len(channels))
