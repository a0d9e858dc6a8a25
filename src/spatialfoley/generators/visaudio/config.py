"""Settings of the MMAudio flow networks and of ViSAudio.

No code of ViSAudio is public. Where its paper leaves something open, the choice is a named setting here, in
`objective.ObjectiveSettings` or in `sampler.FlowSettings`, and the default is the reading that fits the paper
and the pretrained weights best. The other readings can be tried by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args

from spatialfoley.timeline import latent_frames, segment_count

JointTokens = Literal["sequence", "averaged"]
TokenUpdate = Literal["sequential", "first_branch"]
Sharing = Literal["shared", "per_branch"]
PatchReadout = Literal["flatten", "average"]
NullSpatial = Literal["learned", "zeros"]
BranchNoise = Literal["independent", "shared"]
SpacetimeInit = Literal["identity", "xavier"]
FinalCondition = Literal["global", "spacetime"]

_VERSION_1_TIMESTEP_WIDTH = 256


class SequenceLengths(NamedTuple):
    """Tokens of one clip.

    Attributes:
        latent: Latent frames of the sound.
        clip: Video frames seen by CLIP (and by the spatial encoder).
        sync: Tokens of the synchronisation encoder.
    """

    latent: int
    clip: int
    sync: int


@dataclass(frozen=True)
class MMAudioConfig:
    """Sizes and rates of an MMAudio flow network; the defaults are `large_44k_v2`."""

    latent_dim: int = 40
    """Channels of a latent frame."""
    clip_dim: int = 1024
    sync_dim: int = 768
    text_dim: int = 1024
    hidden_dim: int = 896
    depth: int = 21
    """Blocks of both kinds."""
    fused_depth: int = 14
    """Blocks that see the sound alone; the others, the joint ones, come first."""
    num_heads: int = 14
    text_tokens: int = 77
    v2: bool = True
    """Second version: SiLU after each first projection, and a timestep embedding as wide as the network."""
    sample_rate_hz: int = 44100
    hop_samples: int = 512
    """Samples of one mel frame."""
    latent_downsample: int = 2
    """Mel frames of one latent frame."""
    clip_rate_hz: float = 8.0
    sync_rate_hz: float = 25.0
    sync_segment_frames: int = 16
    sync_step_frames: int = 8
    sync_segment_tokens: int = 8
    """Tokens that the synchronisation encoder makes of one segment."""
    ffn_multiple: int = 256
    """The inner width of the feed-forward layers is rounded up to a multiple of this."""

    def __post_init__(self) -> None:
        """Check what no layer would check by itself.

        Raises:
            ValueError: If a size is not positive or two settings contradict each other.
        """
        for name, value in asdict(self).items():
            if name != "fused_depth" and not isinstance(value, bool) and value <= 0:
                raise ValueError(f"{name} is {value}, but must be greater than 0")
        if self.hidden_dim % self.num_heads or (self.hidden_dim // self.num_heads) % 2:
            raise ValueError(
                f"hidden_dim {self.hidden_dim} over num_heads {self.num_heads} must give an even head width"
            )
        if not 0 <= self.fused_depth < self.depth:
            raise ValueError(
                f"fused_depth is {self.fused_depth}, but must be 0 to depth - 1 = {self.depth - 1}"
            )

    @property
    def joint_depth(self) -> int:
        """Blocks in which sound, frames and text attend to each other."""
        return self.depth - self.fused_depth

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_dim // self.num_heads

    @property
    def ffn_dim(self) -> int:
        """Inner width of the gated feed-forward layers: two thirds of four times the width, rounded up."""
        return self.ffn_multiple * -(-int(2 * 4 * self.hidden_dim / 3) // self.ffn_multiple)

    @property
    def timestep_width(self) -> int:
        """Sines and cosines of the time."""
        return self.hidden_dim if self.v2 else _VERSION_1_TIMESTEP_WIDTH

    @property
    def timestep_max_period(self) -> float:
        """Longest period over 2 pi; the second version sees times 10000 times finer."""
        return 1.0 if self.v2 else 10000.0

    def lengths(self, duration_s: float) -> SequenceLengths:
        """Tokens of a clip.

        Raises:
            ValueError: If the clip is too short for one token of each kind.
        """
        latent = latent_frames(duration_s, self.sample_rate_hz, self.hop_samples, self.latent_downsample)
        frames = int(duration_s * self.sync_rate_hz)
        segments = segment_count(frames, self.sync_segment_frames, self.sync_step_frames)
        clip = int(duration_s * self.clip_rate_hz)
        if min(latent, clip, segments) < 1:
            least_s = max(self.sync_segment_frames / self.sync_rate_hz, 1 / self.clip_rate_hz)
            raise ValueError(
                f"duration_s is {duration_s:.4g}, but one segment of frames needs {least_s:g} s "
                f"({self.sync_segment_frames} frames at {self.sync_rate_hz:g} per second); give a longer clip"
            )
        return SequenceLengths(latent, clip, segments * self.sync_segment_tokens)

    @classmethod
    def named(cls, name: str, **changes: Any) -> MMAudioConfig:
        """A published network: small_16k, small_44k, medium_44k, large_44k or large_44k_v2.

        Raises:
            ValueError: If the name is unknown.
        """
        if name not in _PUBLISHED:
            raise ValueError(f"{name!r} is no MMAudio network; known are {', '.join(_PUBLISHED)}")
        return cls(**{**_PUBLISHED[name], **changes})

    @classmethod
    def tiny(cls, **changes: Any) -> MMAudioConfig:
        """A network small enough for tests, with the published structure."""
        small: dict[str, Any] = {
            "latent_dim": 5,
            "clip_dim": 12,
            "sync_dim": 10,
            "text_dim": 14,
            "hidden_dim": 16,
            "depth": 5,
            "fused_depth": 3,
            "num_heads": 2,
            "text_tokens": 7,
            "sample_rate_hz": 16000,
            "hop_samples": 256,
        }
        return cls(**{**small, **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MMAudioConfig:
        """Read settings by name.

        Raises:
            ValueError: If a name is unknown or a value impossible.
        """
        check_names(cls, values)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Settings as plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class VisaudioConfig:
    """ViSAudio: an MMAudio network whose single blocks are doubled, one row of them for each channel.

    The codes A1 to A20 number the places that the paper leaves open.
    """

    backbone: MMAudioConfig = field(default_factory=MMAudioConfig)
    branches: tuple[str, ...] = ("left", "right")
    """Channels, in the order in which the joint blocks update them (A9: left first)."""
    spacetime: bool = True
    """Whether the Conditional Spacetime Module exists; without it, "dual only" in the paper's ablation."""
    pe_dim: int = 1024
    """Channels of a patch of the spatial encoder."""
    pe_grid: int = 16
    """A1: patches along each side as Algorithm 1 gets them."""
    pe_pool: int = 1
    """A1: side of the patches averaged inside the network before Algorithm 1. The paper's text read literally
    is a grid of 8 with pooling 2; the storage it states fits pooling before the features are stored."""
    joint_tokens: JointTokens = "sequence"
    """A2: whether the joint blocks see all frames and words, as MMAudio does, or one average of each."""
    pe_projection: Sharing = "shared"
    """A3: whether the layers of Algorithm 1 are shared; only the position embedding is marked per ear."""
    pe_position_std: float = 0.02
    """A4: spread of the initial position embedding (1, 1, grid, grid, pe_dim), the same at all times."""
    pe_channel_kernel: int = 1
    """A5: width of the "channel-wise 1D convolution" over patches in raster order (7 as MMAudio's others)."""
    pe_downsample_kernel: int = 3
    """A6: side of the two strided convolutions."""
    pe_readout: PatchReadout = "flatten"
    """A7: whether the last patches become one vector by flattening (eq. 9) or by averaging."""
    latent_projection: Sharing = "shared"
    """A8: whether all branches enter by one projection."""
    token_update: TokenUpdate = "sequential"
    """A9: "sequential": each branch reads the frames and words as the branch before left them, and the next
    block gets them as the last branch left them. "first_branch": all read them as they came, and the next
    block gets those of the first branch."""
    final_layer: Sharing = "per_branch"
    """A10: whether each branch has its own last layer."""
    final_condition: FinalCondition = "global"
    """A11: what modulates the last layer; "global" as in MMAudio's weights."""
    spacetime_init: SpacetimeInit = "identity"
    """A12: start of the projection of eq. 10; "identity" starts at MMAudio's own condition."""
    branch_noise: BranchNoise = "independent"
    """A14: whether the branches of a clip start from the same noise."""
    null_spatial: NullSpatial = "learned"
    """A15: what replaces the patches when the video is dropped; the position embedding is still added."""
    spacetime_sees_time: bool = True
    """A20: whether the global condition of eq. 10 includes the timestep."""

    def __post_init__(self) -> None:
        """Check choices and sizes.

        Raises:
            ValueError: If a choice is unknown, a size impossible, or a branch named twice.
        """
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(choices)}"
                )
        if not self.branches or len(set(self.branches)) != len(self.branches):
            raise ValueError(f"branches {self.branches} must be one or more different names")
        if not all(name.isidentifier() for name in self.branches):
            raise ValueError(f"branches {self.branches} name tensors: letters, digits and underscores only")
        if self.pe_grid < 4 or self.pe_grid % 4:
            raise ValueError(f"pe_grid is {self.pe_grid}, but must be a multiple of 4: it is halved twice")
        for name in ("pe_channel_kernel", "pe_downsample_kernel"):
            if getattr(self, name) < 1 or getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be odd")
        if min(self.pe_dim, self.pe_pool) < 1:
            raise ValueError(f"pe_dim {self.pe_dim} and pe_pool {self.pe_pool} must be at least 1")
        if self.final_condition == "spacetime" and not self.spacetime:
            raise ValueError("final_condition is 'spacetime', but the module is off: set spacetime to True")

    @property
    def pe_input_grid(self) -> int:
        """Patches along each side of the features that the network is given."""
        return self.pe_grid * self.pe_pool

    @classmethod
    def tiny(cls, **changes: Any) -> VisaudioConfig:
        """A network small enough for tests, with the published structure."""
        small: dict[str, Any] = {"backbone": MMAudioConfig.tiny(), "pe_dim": 6, "pe_grid": 8}
        return cls(**{**small, **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VisaudioConfig:
        """Read settings by name; `backbone` holds those of the MMAudio network, or the name of a published one.

        Raises:
            ValueError: If a name is unknown or a value impossible.
        """
        check_names(cls, values)
        chosen = dict(values)
        backbone = chosen.get("backbone", {})
        if isinstance(backbone, str):
            chosen["backbone"] = MMAudioConfig.named(backbone)
        else:
            chosen["backbone"] = MMAudioConfig.from_dict(backbone)
        if "branches" in chosen:
            chosen["branches"] = tuple(chosen["branches"])
        return cls(**chosen)

    def to_dict(self) -> dict[str, Any]:
        """Settings as plain values, ready for JSON; `from_dict` reads them back."""
        return {**asdict(self), "branches": list(self.branches)}


def check_names(cls: type, values: Mapping[str, Any]) -> None:
    """Refuse settings that a dataclass does not have.

    Raises:
        ValueError: If there is one.
    """
    known = {entry.name for entry in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}")


_16K = {"latent_dim": 20, "sample_rate_hz": 16000, "hop_samples": 256}
_SMALL = {"v2": False, "hidden_dim": 448, "num_heads": 7, "depth": 12, "fused_depth": 8}
_PUBLISHED: dict[str, dict[str, Any]] = {
    "small_16k": {**_SMALL, **_16K},
    "small_44k": _SMALL,
    "medium_44k": {"v2": False, "depth": 12, "fused_depth": 8},
    "large_44k": {"v2": False},
    "large_44k_v2": {},
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "joint_tokens": get_args(JointTokens),
    "pe_projection": get_args(Sharing),
    "pe_readout": get_args(PatchReadout),
    "latent_projection": get_args(Sharing),
    "token_update": get_args(TokenUpdate),
    "final_layer": get_args(Sharing),
    "final_condition": get_args(FinalCondition),
    "spacetime_init": get_args(SpacetimeInit),
    "branch_noise": get_args(BranchNoise),
    "null_spatial": get_args(NullSpatial),
}
