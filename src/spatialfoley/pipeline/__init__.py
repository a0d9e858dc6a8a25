"""The whole chain: video in, sound field out."""

from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import ClipConditions, ClipTokens, Generation
from spatialfoley.pipeline.loading import load_pipeline

__all__ = ["ClipConditions", "ClipTokens", "Generation", "Pipeline", "load_pipeline"]
