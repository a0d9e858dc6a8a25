"""Every checkpoint the project knows, with its licence as far as it is known."""

from spatialfoley.weights.embedded_models import EMBEDDED_MODELS
from spatialfoley.weights.errors import WeightsError
from spatialfoley.weights.flow_models import FLOW_MODELS
from spatialfoley.weights.judging_models import JUDGING_MODELS
from spatialfoley.weights.model_info import ModelInfo
from spatialfoley.weights.visage_models import VISAGE_MODELS

_MODELS: tuple[ModelInfo, ...] = (*EMBEDDED_MODELS, *VISAGE_MODELS, *FLOW_MODELS, *JUDGING_MODELS)


def list_models() -> tuple[ModelInfo, ...]:
    """Return every known checkpoint, embedded ones first."""
    return _MODELS


def info(name: str) -> ModelInfo:
    """Return the entry of `name`.

    Raises:
        WeightsError: unknown name.
    """
    for model in _MODELS:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in _MODELS)
    raise WeightsError(f"model is {name!r}; give one of {known}, or a checkpoint folder")


def licence_line(name: str) -> str:
    """Return the one line that is shown before the checkpoint is used."""
    model = info(name)
    use = {
        "yes": "commercial use allowed",
        "no": "no commercial use",
        "unknown": "ask the authors before any commercial use",
    }[model.commercial_use]
    source = {"embedded": "part of this package", "unpublished": "not published"}.get(
        model.place, model.web_page
    )
    return f"{model.name} ({source}): licence {model.licence}; {use}"
