"""ViSAGe and ViSAGe-SC with their codecs and their visual encoder."""

from spatialfoley.weights.model_info import NOT_STATED, on_hub, unpublished

_DAC_RELEASES = "https://github.com/descriptinc/descript-audio-codec/releases/download"

VISAGE_MODELS = (
    on_hub(
        "visage",
        "generator",
        "jaeyeonkim99/visage",
        "The published ViSAGe checkpoint. Its file list is not documented: config.json and weights (safetensors or "
        ".bin) are expected, in the top folder or in one sub-folder.",
        NOT_STATED,
        "unknown",
    ),
    unpublished(
        "visage-sc",
        "ViSAGe-SC, one code per channel and step. No weights are published: train them "
        "(recipes/visage_sc_vggsound.yaml, then visage_sc_ytambigen.yaml) and import the folder of the run "
        "(config.json, model.safetensors). It also needs unicodec and clip-vit-b-32.",
        "none: its authors published no weights; the licence of UniCodec, its codec, is not stated",
    ),
    on_hub(
        "dac_44khz",
        "codec",
        "descript/dac_44khz",
        "Descript audio codec, 44.1 kHz, 9 codebooks. The hub layout (weight norm folded) and the original .pth "
        "both load.",
        url=f"{_DAC_RELEASES}/0.0.1/weights.pth",
    ),
    on_hub(
        "dac_16khz",
        "codec",
        "descript/dac_16khz",
        "Descript audio codec, 16 kHz, 12 codebooks.",
        url=f"{_DAC_RELEASES}/0.0.5/weights_16khz.pth",
    ),
    on_hub(
        "unicodec",
        "codec",
        "Yidiii/UniCodec_ckpt",
        "UniCodec, 24 kHz, one codebook of 16384, 75 tokens a second: the codec of ViSAGe-SC. Neither its code nor "
        "its checkpoint comes with a licence, so bring your own copy: `models import unicodec unicode.ckpt`. Only "
        "the weights are read.",
        NOT_STATED,
        "unknown",
        files=(),
        file="unicode.ckpt",
    ),
    on_hub(
        "clip-vit-b-32",
        "features",
        "openai/clip-vit-base-patch32",
        "The image encoder that ViSAGe sees through.",
    ),
)
