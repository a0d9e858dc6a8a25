"""The tasks that a recipe can name; each is imported only when it is asked for."""

from importlib import import_module

from spatialfoley.training.loop import Task
from spatialfoley.training.settings import RecipeError, TrainingSettings

TASKS = {
    "audio_spatial": ("spatialfoley.training.spatializer_task", "SpatializerTask"),
    "codec_tuning": ("spatialfoley.training.codec_tuning_task", "CodecTuningTask"),
    "tiny_codec": ("spatialfoley.training.codec_task", "CodecTask"),
    "tiny_features": ("spatialfoley.training.features_task", "FeaturesTask"),
    "spatial_head": ("spatialfoley.training.spatial_head_task", "SpatialHeadTask"),
    "twin": ("spatialfoley.training.twin_task", "TwinTask"),
    "twin_prior": ("spatialfoley.training.twin_prior_task", "TwinPriorTask"),
    "twin_head": ("spatialfoley.training.twin_head_task", "TwinHeadTask"),
    "visaudio": ("spatialfoley.training.visaudio_task", "VisaudioTask"),
    "visage": ("spatialfoley.training.visage_task", "VisageTask"),
}


def make_task(settings: TrainingSettings) -> Task:
    """The task of a recipe, with its data opened (rendered or encoded first where the recipe says so).

    Raises:
        RecipeError: The recipe names an unknown task.
    """
    if settings.task not in TASKS:
        raise RecipeError(f"task is {settings.task!r}; it must be one of {', '.join(TASKS)}")
    module, name = TASKS[settings.task]
    task: Task = getattr(import_module(module), name)(settings)
    return task
