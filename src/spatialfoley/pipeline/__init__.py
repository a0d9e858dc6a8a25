"""The whole chain: video in, sound out."""

from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import ClipConditions, ClipTokens, Generation
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.loading import load_field_pipeline, load_pipeline

__all__ = [
    "ClipConditions",
    "ClipTokens",
    "FlowPipeline",
    "Generation",
    "Pipeline",
    "load_field_pipeline",
    "load_pipeline",
]
