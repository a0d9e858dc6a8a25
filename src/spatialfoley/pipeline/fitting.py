"""Whether the parts of an MMAudio or ViSAudio model belong together: their sizes are compared before first use."""

from spatialfoley.codecs.mel_vae_codec import MelVaeCodec
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from spatialfoley.generators.visaudio.spatial_head import SpatialHead
from spatialfoley.pipeline.flow_clip import FlowEncoders
from spatialfoley.spatial.parametric import BANDS


def refuse_misfits(
    network: MMAudioNetwork | VisaudioNetwork,
    encoders: FlowEncoders,
    codec: MelVaeCodec,
    head: SpatialHead | None = None,
) -> None:
    """Compare the sizes that parts must have in common.

    Raises:
        ValueError: If two differ; names the size and both parts.
    """
    sizes, clip, sync = network.sizes, encoders.clip.model.config, encoders.sync.model.config
    pairs = [
        ("latent_dim", sizes.latent_dim, codec.latent_dim, "autoencoder"),
        ("sample_rate_hz", sizes.sample_rate_hz, codec.rate_hz, "codec"),
        ("clip_dim", sizes.clip_dim, clip.projection_dim, "CLIP"),
        ("text_dim", sizes.text_dim, clip.text_config.hidden_size, "CLIP"),
        ("text_tokens", sizes.text_tokens, encoders.clip.context_length, "CLIP"),
        ("sync_dim", sizes.sync_dim, sync.width, "Synchformer"),
        ("sync_segment_tokens", sizes.sync_segment_tokens, sync.segment_tokens, "Synchformer"),
    ]
    if encoders.patches is not None and isinstance(network, VisaudioNetwork):
        ours = network.config
        pairs.append(("pe_dim", ours.pe_dim, encoders.patches.model.config.width, "PE-Spatial"))
        pairs.append(("pe_input_grid", ours.pe_input_grid, _grid(encoders), "PE-Spatial"))
    _compare("network", pairs)
    if head is not None:
        _refuse_head(head, network, encoders)


def _refuse_head(
    head: SpatialHead, network: MMAudioNetwork | VisaudioNetwork, encoders: FlowEncoders
) -> None:
    if isinstance(network, VisaudioNetwork):
        raise ValueError(
            "a spatial head places the sound of one channel, but ViSAudio makes two ears; take MMAudio"
        )
    if encoders.patches is None:
        raise ValueError("a spatial head reads patches, but no PE-Spatial is given; load it too")
    c = head.config
    _compare(
        "spatial head",
        [
            ("latent_dim", c.latent_dim, network.sizes.latent_dim, "network"),
            ("frames_per_token", c.frames_per_token, 1, "network"),
            ("bands", c.bands, BANDS, "synthesis"),
            ("sync_dim", c.sync_dim, encoders.sync.model.config.width, "Synchformer"),
            ("pe_dim", c.pe_dim, encoders.patches.model.config.width, "PE-Spatial"),
            ("pe_grid", c.pe_grid, _grid(encoders), "PE-Spatial"),
        ],
    )


def _grid(encoders: FlowEncoders) -> int:
    """Patches along each side, as the encoder gives them."""
    assert encoders.patches is not None
    patches = encoders.patches
    return int(patches.size_px // patches.model.config.patch_size // patches.pool)


def _compare(what: str, pairs: list[tuple[str, int, int, str]]) -> None:
    for name, wanted, given, part in pairs:
        if wanted != given:
            raise ValueError(
                f"the {what} has {name} {wanted}, but the {part} has {given}; use files that belong together"
            )
