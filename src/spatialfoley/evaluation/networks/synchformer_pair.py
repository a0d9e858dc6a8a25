"""The whole Synchformer: how far sound and picture of a clip are apart in time.

Iashin et al., "Synchformer: Efficient Synchronization from Sparse Cues", ICASSP 2024. Both branches describe
segments of 0.64 s every 0.32 s; a small transformer reads [OFF, picture, MOD, sound] of 14 segments and says which
of 21 offsets it is. Parameter names are those of the published checkpoint.

The order of tokens, the 8 heads of that transformer, its epsilons (1e-5) and the exact GELU are those of the
published code and settings, read and implemented anew; names and shapes alone would not tell them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spatialfoley import weights
from spatialfoley.evaluation.metrics.synchrony import (
    OFFSETS_S,
    WINDOW_SEGMENTS,
    DesyncScore,
    offsets_s,
    window_starts,
)
from spatialfoley.evaluation.networks.synchformer_sound import (
    PUBLISHED_RATE_HZ,
    SEGMENT_SAMPLES,
    SEGMENT_STEP_SAMPLES,
    SoundBranch,
    SoundConfig,
    attend,
    log_mel_segments,
    segment_count,
)
from spatialfoley.features.synchformer import (
    PUBLISHED_FRAME_RATE_HZ,
    SEGMENT_STEP_FRAMES,
    SynchformerConfig,
    SynchformerFeatures,
    SynchformerVisual,
)
from spatialfoley.media.audio import resample

_SILENT_PEAK = 1e-6
_WINDOWS_KEPT = 2
"""Of a long clip the two ends are looked at."""


@dataclass(frozen=True)
class PairConfig:
    """Sizes of the whole network; the defaults are the published ones.

    Attributes:
        visual: Of the branch that sees.
        sound: Of the branch that hears.
        width: Channels of the transformer that compares.
        layers: Its blocks.
        heads: Its heads.
        segments: Segments compared at once.
        offsets: Classes.
    """

    visual: SynchformerConfig = field(default_factory=SynchformerConfig)
    sound: SoundConfig = field(default_factory=SoundConfig)
    width: int = 768
    layers: int = 3
    heads: int = 8
    segments: int = WINDOW_SEGMENTS
    offsets: int = len(OFFSETS_S)

    @property
    def tokens(self) -> int:
        """Length of what the transformer reads."""
        return 2 + self.segments * (self.visual.segment_tokens + self.sound.segment_tokens)

    def __post_init__(self) -> None:
        """Check that the heads divide the width."""
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads ({self.heads})")


class SynchformerPair(nn.Module):
    """Both branches and the transformer that compares what they found."""

    def __init__(self, config: PairConfig) -> None:
        super().__init__()
        self.config = config
        self.vfeat_extractor = SynchformerVisual(config.visual).vfeat_extractor
        self.afeat_extractor = SoundBranch(config.sound)
        self.vproj = nn.Linear(config.visual.width, config.width)
        self.aproj = nn.Linear(config.sound.width, config.width)
        self.transformer = _GlobalTransformer(config)

    def forward(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Logits (B, offsets) of `config.segments` segments (B, S, tokens, width) of both branches.

        Raises:
            ValueError: If the number of segments differs from the network's.
        """
        found = (seen.shape[1], heard.shape[1])
        if found != (self.config.segments, self.config.segments):
            raise ValueError(
                f"seen has {found[0]} segments and heard {found[1]}; give {self.config.segments} of each, for "
                "which the network has learned positions"
            )
        return self.transformer(self.vproj(seen).flatten(1, 2), self.aproj(heard).flatten(1, 2))


class _GlobalTransformer(nn.Module):
    def __init__(self, config: PairConfig) -> None:
        super().__init__()
        width = config.width
        self.OFF_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.MOD_tok = nn.Parameter(torch.zeros(1, 1, width))
        self.vis_in_lnorm, self.aud_in_lnorm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.pos_emb_cfg = nn.ParameterDict({"pos_emb": nn.Parameter(torch.zeros(1, config.tokens, width))})
        self.blocks = nn.ModuleList(_Block(width, config.heads) for _ in range(config.layers))
        self.ln_f = nn.LayerNorm(width)
        self.off_head = nn.Linear(width, config.offsets)

    def forward(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Logits [B, offsets] of projected tokens [B, S v, D] and [B, S a, D]."""
        off, mod = (token.expand(len(seen), -1, -1) for token in (self.OFF_tok, self.MOD_tok))
        x = torch.cat([off, self.vis_in_lnorm(seen), mod, self.aud_in_lnorm(heard)], dim=1)
        x = x + self.pos_emb_cfg["pos_emb"]
        for block in self.blocks:
            x = block(x)
        return self.off_head(self.ln_f(x[:, 0]))


class _Block(nn.Module):
    """Attention, then a perceptron, each on normed input and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.ModuleDict(
            {part: nn.Linear(width, width) for part in ("key", "query", "value", "proj")}
        )
        # The activation between has no parameters, but a place in the published names.
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        normed, attn = self.ln1(x), self.attn
        attended = attend(attn["query"](normed), attn["key"](normed), attn["value"](normed), self.heads)
        x = x + attn["proj"](attended)
        return x + self.mlp(self.ln2(x))


class SyncScorer:
    """DeSync of clips: frames and sound in, seconds out.

    Attributes:
        model: The network, in evaluation mode.
        weights_sha256: Hash of its weights, part of every result; "" for a network built in memory.
        frame_rate_hz: Frames per second that it was trained on.
        size_px: Side of the square that it sees; larger frames are resized.
    """

    def __init__(self, model: SynchformerPair, weights_sha256: str = "") -> None:
        self.model = model.eval()
        self.weights_sha256 = weights_sha256
        self.frame_rate_hz = PUBLISHED_FRAME_RATE_HZ
        self.size_px = model.config.visual.size_px
        with torch.device("meta"):
            visual = SynchformerVisual(model.config.visual)
        visual.vfeat_extractor = model.vfeat_extractor
        self._visual = SynchformerFeatures(visual)
        self._seen: dict[str, Tensor] = {}

    @classmethod
    def load(
        cls,
        source: str | Path = "synchformer",
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        config: PairConfig | None = None,
    ) -> SyncScorer:
        """Read the published weights.

        Args:
            source: Name of a known model, or a file or folder.
            device: Where to run.
            dtype: Of the visual branch, which takes nearly all of the time; the rest stays float32.
            config: Sizes, if they are not the published ones.

        Raises:
            WeightsError: If the weights are missing or do not fit; it says what to do.
        """
        path = _place(source)
        state = weights.load_state_dict(path)
        with torch.device("meta"):
            model = SynchformerPair(config or PairConfig())
        expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        weights.compare_keys(expected, state, str(path))
        model.load_state_dict(
            {key: value.to(device, torch.float32) for key, value in state.items()}, assign=True
        )
        if dtype != torch.float32:
            model.vfeat_extractor.to(dtype)
        if dtype == torch.bfloat16:
            model.vfeat_extractor.pack()
        return cls(model, weights.sha256_of(path))

    def __call__(self, frames: NDArray[np.uint8], mono: NDArray[np.floating], rate_hz: int) -> DesyncScore:
        """Score one clip.

        Args:
            frames: uint8 RGB (T, H, W, 3) at 25 frames per second, of any size.
            mono: (N,) sound of the same clip: the mean of its channels, W of a field.
            rate_hz: Its rate; it is resampled to 16 kHz.

        Raises:
            ValueError: If picture or sound is shorter than 4.8 s, silent, not finite or of another form.
        """
        sound = _checked(mono, rate_hz)
        step, length = SEGMENT_STEP_FRAMES, self.model.config.visual.segment_frames
        count = max(0, min((len(frames) - length) // step + 1, segment_count(sound.shape[1])))
        starts = window_starts(count)
        # Of a long clip only its two ends are looked at.
        apart = starts[1] >= WINDOW_SEGMENTS
        parts = [(start, WINDOW_SEGMENTS) for start in starts] if apart else [(0, count)]
        seen, heard = [], []
        for start, segments in parts:
            last = start + segments - 1
            seen.append(self.see(frames[start * step : last * step + length]))
            cut = sound[0, start * SEGMENT_STEP_SAMPLES : last * SEGMENT_STEP_SAMPLES + SEGMENT_SAMPLES]
            heard.append(self.hear(cut, PUBLISHED_RATE_HZ))
        return self.compare(torch.cat(seen), torch.cat(heard))

    @torch.inference_mode()
    def see(self, frames: NDArray[np.uint8]) -> Tensor:
        """Picture features (S, 8, width) of all segments of frames (T, H, W, 3) at 25 per second.

        They take nearly all of the time, so those of the last clip are kept, by the content of its frames.
        """
        content = hashlib.sha256(repr((frames.shape, frames.dtype)).encode())
        content.update(np.ascontiguousarray(frames).data)
        key = content.hexdigest()
        if key not in self._seen:
            features = self._visual(frames).unflatten(0, (-1, self.model.config.visual.segment_tokens))
            if len(self._seen) == _WINDOWS_KEPT:
                self._seen.pop(next(iter(self._seen)))
            self._seen[key] = features
        return self._seen[key]

    @torch.inference_mode()
    def hear(self, mono: NDArray[np.floating], rate_hz: int) -> Tensor:
        """Sound features (S, 6, width) of all segments of a waveform (N,)."""
        sound = torch.from_numpy(resample(mono[None], rate_hz, PUBLISHED_RATE_HZ)[0])
        spectrograms = log_mel_segments(sound.to(self.model.aproj.weight.device), self.model.config.sound)
        return self.model.afeat_extractor(spectrograms[None])[0]

    def compare(self, seen: Tensor, heard: Tensor) -> DesyncScore:
        """Score of features (S, 8, width) and (S, 6, width); more segments on one side are left out at its end.

        Raises:
            ValueError: If there are fewer than 14 segments.
        """
        first, last = (float(offset) for offset in offsets_s(self.logits(seen, heard)))
        return DesyncScore(first, last)

    @torch.inference_mode()
    def logits(self, seen: Tensor, heard: Tensor) -> NDArray[np.float32]:
        """Logits (2, 21) of the first and the last 14 segments, as `compare` reads them."""
        starts = window_starts(min(len(seen), len(heard)))
        windows = (
            torch.stack([part[start : start + WINDOW_SEGMENTS] for start in starts]) for part in (seen, heard)
        )
        return self.model(*windows).float().cpu().numpy()


def _place(source: str | Path) -> Path:
    """Where the weights lie: a path, or the name of a known model."""
    if isinstance(source, Path) or source not in {model.name for model in weights.list_models()}:
        return Path(source)
    found = weights.locate(source)
    if found is None:
        raise weights.WeightsError(
            f"{source} is not on this machine, and DeSync needs it; 'spatialfoley models fetch {source}' gets it, "
            f"'spatialfoley models import {source} FILE' takes a copy that you have"
        )
    return found


def _checked(mono: NDArray[np.floating], rate_hz: int) -> NDArray[np.float32]:
    """The sound (1, N) at 16 kHz."""
    if mono.ndim != 1:
        raise ValueError(f"mono has shape {mono.shape}; give one waveform (N,), the mean of the channels")
    bad = int(mono.size - np.count_nonzero(np.isfinite(mono)))
    if bad:
        raise ValueError(f"mono holds {bad} NaN or infinite samples; DeSync is defined for finite sound")
    if mono.size and np.max(np.abs(mono)) <= _SILENT_PEAK:
        raise ValueError(
            f"mono is silent (no sample beyond {_SILENT_PEAK:g}); DeSync is not defined for silence, leave the "
            "clip out and say so"
        )
    return resample(mono[None].astype(np.float32), rate_hz, PUBLISHED_RATE_HZ)
