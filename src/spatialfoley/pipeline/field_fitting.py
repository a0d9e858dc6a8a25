"""Whether the parts of a ViSAGe model belong together: rates, sizes and tokens are compared before first use."""

from spatialfoley.codecs.codec import Codec
from spatialfoley.generators.visage.config import VisageConfig
from spatialfoley.pipeline.clip import Features


def refuse_misfits(config: VisageConfig, features: Features, codec: Codec) -> None:
    """Compare what parts must have in common.

    Raises:
        ValueError: If two differ; names the size and both parts.
    """
    for name, ours, theirs, part in (
        ("clip_frame_rate", config.clip_frame_rate, features.frame_rate_hz, "visual encoder"),
        ("dac_sample_rate", config.dac_sample_rate, codec.rate_hz, "codec"),
        ("dac_downsample_rate", config.dac_downsample_rate, codec.hop_samples, "codec"),
        ("num_rvq", config.num_rvq, codec.levels, "codec"),
    ):
        if ours != theirs:
            raise ValueError(
                f"config has {name} {ours}, but the {part} has {theirs}; use the files of one model"
            )
    _refuse_foreign_tokens(config, codec.vocabulary_size)


def _refuse_foreign_tokens(config: VisageConfig, codec_tokens: int) -> None:
    """What may be drawn must be known to the codec, and what the codec writes must have a row in the network."""
    allowed = config.layout.allowed
    end = config.dac_vocab_size if allowed is None else allowed.window.stop
    if end > codec_tokens:
        setting = "dac_vocab_size" if allowed is None else "token_ranges"
        raise ValueError(
            f"the generator draws tokens up to {end - 1} ({setting}), but the codec knows only 0 to "
            f"{codec_tokens - 1}; use the files of one model"
        )
    if config.dac_vocab_size < codec_tokens:
        raise ValueError(
            f"the generator knows the tokens 0 to {config.dac_vocab_size - 1} (dac_vocab_size), but the codec "
            f"writes 0 to {codec_tokens - 1}; use the files of one model"
        )
