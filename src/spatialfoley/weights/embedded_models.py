"""Models that come with the package, all trained on its synthetic world."""

from spatialfoley.weights.model_info import embedded

EMBEDDED_MODELS = (
    embedded(
        "tiny-visage",
        "Trained on the synthetic world of this project; works offline in seconds, knows no real sounds.",
    ),
    embedded(
        "tiny-visage-sc",
        "ViSAGe-SC in small: one scale and one shape token per channel and step, on the visual encoder of "
        "tiny-visage. Trained on the synthetic world, knows no real sounds.",
    ),
    embedded(
        "tiny-visaudio",
        "Two ears from picture and words; trained on the synthetic world, knows no real sounds.",
        file="pipeline.json",
        family="twin",
    ),
    embedded(
        "tiny-visaudio-foa",
        "A sound field from picture and words; trained on the synthetic world, knows no real sounds.",
        file="pipeline.json",
        family="twin",
    ),
    embedded(
        "audio-spatial",
        "A place for one channel, from the picture: the baseline Audio Spatialization, for MODEL+audio-spatial. "
        "Trained on the synthetic world, knows no real sounds.",
        kind="spatializer",
    ),
)
