"""Settings of the ViSAGe network, under their published names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

from spatialfoley.generators.visage.allowed_tokens import AllowedTokens
from spatialfoley.generators.visage.token_layout import (
    Pattern,
    TokenLayout,
    check_frames_per_row,
    check_pattern,
)

FieldFrame = Literal["world", "camera"]

_EMBEDDING_ROW_MULTIPLE = 64
_HOP_SAMPLES_OF_RATE_HZ = {44100: 512, 24000: 320, 16000: 320}

# Written by the transformers library beside the settings that shape the network; none of them is read.
# fmt: off
_UNUSED_PUBLISHED_KEYS = frozenset({
    "_attn_implementation", "_attn_implementation_autoset", "_name_or_path",
    "add_bias_logits", "add_cross_attention",
    "add_final_layer_norm", "architectures", "attn_implementation", "bad_words_ids",
    "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward", "classifier_dropout",
    "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty", "do_sample", "dtype",
    "early_stopping", "encoder_no_repeat_ngram_size", "eos_token_id", "exponential_decay_length_penalty",
    "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "gradient_checkpointing", "id2label",
    "is_decoder", "is_encoder_decoder", "label2id", "length_penalty", "max_length",
    "max_position_embeddings", "min_length", "model_type", "no_repeat_ngram_size", "normalize_before",
    "normalize_embedding", "num_beam_groups", "num_beams", "num_hidden_layers", "num_labels",
    "num_return_sequences", "output_attentions", "output_hidden_states", "output_scores", "pad_token_id",
    "prefix", "problem_type", "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict",
    "return_dict_in_generate", "scale_embedding", "sep_token_id", "suppress_tokens",
    "task_specific_params", "temperature", "tf_legacy_loss", "tie_encoder_decoder", "tie_word_embeddings",
    "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers_version", "typical_p",
    "use_bfloat16", "use_cache", "vocab_size",
})
# fmt: on


@dataclass(frozen=True)
class VisageConfig:
    """Sizes and rates of a ViSAGe network; the defaults are the published effective configuration.

    The fields from `num_channels` on are ours, and their defaults reproduce the published network.
    """

    d_model: int = 1024
    encoder_layers: int = 6
    decoder_layers: int = 12
    encoder_attention_heads: int = 16
    decoder_attention_heads: int = 16
    encoder_ffn_dim: int = 4096
    decoder_ffn_dim: int = 4096
    activation_function: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    encoder_layerdrop: float = 0.0
    decoder_layerdrop: float = 0.0
    init_std: float = 0.02
    num_rvq: int = 9
    """Codebooks of one audio channel."""
    dac_vocab_size: int = 1024
    dac_pad_token_id: int = 1024
    d_clip: int = 512
    """Width of a frame embedding."""
    max_source_length: int = 20
    """Video frames that have a position."""
    max_target_length: int = 861
    """Decoder rows that have a position."""
    dac_sample_rate: int = 44100
    dac_downsample_rate: int = 512
    dac_frame_rate: int = 86
    """Nominal codec frames per second (published: 44100 / 512 = 86.13 cut to 86)."""
    clip_frame_rate: int = 4
    """Video frames per second."""
    classifier_free_guidance: bool = True
    cfg_dropout_prob: float = 0.1
    cfg_guidance_scale: float = 2.5
    cfg_spatial_guidance_scale: float = 2.5
    label_smoothing: float = 0.0
    num_channels: int = 4
    """Audio channels: 4 for ambisonics (W, Y, Z, X), 1 for mono pre-training."""
    unfed_codebooks: tuple[int, ...] = ()
    """Codebooks whose tokens never enter the decoder, so that only the conditions can tell them."""
    aligned_conditions: bool = False
    """Whether each decoder position also gets the encoder state of the video frame on screen at its time."""
    field_frame: FieldFrame = "world"
    """Axes of the generated field; with "camera" the network always sees the direction front."""
    pattern: Pattern = "residual"
    """How decoder rows are filled, see `token_layout`; all but "residual" also take one codebook per channel."""
    token_ranges: tuple[tuple[int, int], ...] = ()
    """Tokens that may be drawn, as (first, end): one range for all codebooks, one per level, or one per codebook;
    empty for all. UniCodec's tokens of sounds that are neither speech nor music are ((8192, 16384),)."""
    frames_per_row: int = 1
    """Codec frames that count as one: num_rvq, hop and frame rate are those of a group (`codecs.grouped`)."""
    unit_direction: bool = False
    """Whether an untrained network hears of the direction as loudly as of the picture. With init_std (published) it
    is a hundredth of a frame's state at first, and a small network does not find it within hundreds of steps."""

    def __post_init__(self) -> None:
        """Check what no layer would check by itself.

        Raises:
            ValueError: If a size is not positive or two settings contradict each other.
        """
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, but must be greater than 0")
        for side in ("encoder", "decoder"):
            heads = getattr(self, f"{side}_attention_heads")
            if self.d_model % heads:
                raise ValueError(
                    f"d_model {self.d_model} cannot be split over {side}_attention_heads {heads}"
                )
        if self.activation_function != "gelu":
            raise ValueError(
                f"activation_function is {self.activation_function!r}, but only 'gelu' is published"
            )
        if self.encoder_layerdrop or self.decoder_layerdrop:
            raise ValueError(
                "encoder_layerdrop and decoder_layerdrop must be 0: dropping layers is not built"
            )
        check_frames_per_row(self.frames_per_row, "num_rvq", self.num_rvq)
        check_pattern(self.pattern, "num_rvq", self.num_rvq // self.frames_per_row)
        if self.dac_downsample_rate % self.frames_per_row:
            raise ValueError(
                f"dac_downsample_rate is {self.dac_downsample_rate}, but must be the samples of "
                f"{self.frames_per_row} codec frames (frames_per_row)"
            )
        if not self.dac_vocab_size <= self.dac_pad_token_id < self.embedding_rows:
            raise ValueError(
                f"dac_pad_token_id is {self.dac_pad_token_id}, but must lie outside the codes and inside the "
                f"embedding: {self.dac_vocab_size} to {self.embedding_rows - 1}"
            )
        if self.num_channels not in (1, 4):
            raise ValueError(f"num_channels is {self.num_channels}, but must be 4 (ambisonics) or 1 (mono)")
        if any(not 0 <= codebook < self.codebooks for codebook in self.unfed_codebooks):
            raise ValueError(f"unfed_codebooks {self.unfed_codebooks} must lie in 0 to {self.codebooks - 1}")
        if len(set(self.unfed_codebooks)) == self.codebooks:
            raise ValueError("unfed_codebooks leaves no codebook to feed; the decoder needs at least one")
        if self.field_frame not in ("world", "camera"):
            raise ValueError(f"field_frame is {self.field_frame!r}, but must be 'world' or 'camera'")
        levels = self.num_rvq // self.frames_per_row
        if len(self.token_ranges) not in (0, 1, levels, self.num_rvq, self.codebooks):
            raise ValueError(
                f"token_ranges has {len(self.token_ranges)} ranges, but must have none, 1, {levels} (one per "
                f"level) or {self.codebooks} (one per codebook)"
            )
        if any(not 0 <= first < end <= self.dac_vocab_size for first, end in self.token_ranges):
            raise ValueError(
                f"token_ranges {self.token_ranges} must be (first, end) within 0 to dac_vocab_size "
                f"{self.dac_vocab_size}, each with a token"
            )

    @property
    def codebooks(self) -> int:
        """Codebooks of all channels, K."""
        return self.num_rvq * self.num_channels

    @cached_property
    def layout(self) -> TokenLayout:
        """Where each codebook stands, and what it may hold."""
        ranges = self.token_ranges
        allowed = None
        if ranges:
            copies = self.codebooks // len(ranges)
            allowed = AllowedTokens(tuple(ranges) * copies)
        return TokenLayout(
            self.num_rvq, self.num_channels, self.dac_pad_token_id, self.pattern, allowed, self.frames_per_row
        )

    @cached_property
    def longest_frames(self) -> int:
        """Codec frames of the longest clip that has positions in the decoder."""
        return self.layout.frame_limit(self.max_target_length)

    @property
    def embedding_rows(self) -> int:
        """Rows of one token embedding table: codes and pad, rounded up."""
        multiple = _EMBEDDING_ROW_MULTIPLE
        return -(-(self.dac_vocab_size + 1) // multiple) * multiple

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VisageConfig:
        """Read the settings of a published `config.json`.

        Args:
            values: Settings by published name. Hop and frame rate of the codec follow from its sample rate
                when they are missing. Settings that the network never reads are ignored.

        Raises:
            ValueError: If a name is unknown or a value impossible.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known - _UNUSED_PUBLISHED_KEYS)
        if unknown:
            raise ValueError(f"unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        chosen = {name: value for name, value in values.items() if name in known}
        rate_hz = chosen.get("dac_sample_rate", cls.dac_sample_rate)
        if "dac_downsample_rate" not in chosen:
            if rate_hz not in _HOP_SAMPLES_OF_RATE_HZ:
                raise ValueError(f"dac_sample_rate {rate_hz} has no known hop: set dac_downsample_rate")
            chosen["dac_downsample_rate"] = _HOP_SAMPLES_OF_RATE_HZ[rate_hz]
        chosen.setdefault("dac_frame_rate", rate_hz // chosen["dac_downsample_rate"])
        if "unfed_codebooks" in chosen:
            chosen["unfed_codebooks"] = tuple(int(codebook) for codebook in chosen["unfed_codebooks"])
        if "token_ranges" in chosen:
            chosen["token_ranges"] = _pairs(chosen["token_ranges"])
        return cls(**chosen)

    def to_dict(self) -> dict[str, Any]:
        """Settings as plain values, ready for JSON; `from_dict` reads them back."""
        return {
            **asdict(self),
            "unfed_codebooks": list(self.unfed_codebooks),
            "token_ranges": [list(pair) for pair in self.token_ranges],
        }

    @classmethod
    def single_codebook(cls, frames_per_row: int = 1, **changes: Any) -> VisageConfig:
        """ViSAGe-SC as we read its slides: ViSAGe's network on UniCodec's tokens, five seconds in 376 rows.

        Slides: one codebook of 16384 per channel, "no residual dependency", about half the rows. Ours: the
        pattern, the rates, that no size of the network changes, and several codec frames in a row.

        Args:
            frames_per_row: 3 gives 126 rows, 5 gives 76.
            changes: Settings that differ.
        """
        ours: dict[str, Any] = {
            "pattern": "delay",
            "num_rvq": frames_per_row,
            "dac_vocab_size": 16384,
            "dac_pad_token_id": 16384,
            "dac_sample_rate": 24000,
            "dac_downsample_rate": 320 * frames_per_row,
            "dac_frame_rate": 75 // frames_per_row,
            "max_target_length": 375 // frames_per_row + 1,
            "frames_per_row": frames_per_row,
        }
        return cls(**{**ours, **changes})

    @classmethod
    def tiny(cls, **changes: Any) -> VisageConfig:
        """A network small enough for tests, with the published structure."""
        small: dict[str, Any] = {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "num_rvq": 3,
            "dac_vocab_size": 64,
            "dac_pad_token_id": 64,
            "d_clip": 16,
            "dac_sample_rate": 16000,
            "dac_downsample_rate": 320,
            "dac_frame_rate": 50,
            "max_target_length": 501,
        }
        return cls(**{**small, **changes})


def _pairs(ranges: Any) -> tuple[tuple[int, int], ...]:
    """Token ranges as read from JSON or YAML.

    Raises:
        ValueError: If they are not a list of pairs.
    """
    try:
        return tuple((int(first), int(end)) for first, end in ranges)
    except (TypeError, ValueError):
        raise ValueError(f"token_ranges is {ranges!r}, but must be a list of pairs (first, end)") from None


_POSITIVE = (
    "d_model",
    "encoder_layers",
    "decoder_layers",
    "encoder_attention_heads",
    "decoder_attention_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "dac_vocab_size",
    "d_clip",
    "max_source_length",
    "max_target_length",
    "dac_sample_rate",
    "dac_downsample_rate",
    "dac_frame_rate",
    "clip_frame_rate",
)
