"""The whole chain: video in, sound out."""

from spatialfoley.pipeline.chain import Pipeline
from spatialfoley.pipeline.clip import ClipConditions, ClipTokens, Generation
from spatialfoley.pipeline.compressed import CompressedPipeline
from spatialfoley.pipeline.flow_chain import FlowPipeline
from spatialfoley.pipeline.loading import load_field_pipeline, load_pipeline
from spatialfoley.pipeline.spatializers import load_spatializer
from spatialfoley.pipeline.two_stage import TwoStagePipeline

__all__ = [
    "ClipConditions",
    "ClipTokens",
    "CompressedPipeline",
    "FlowPipeline",
    "Generation",
    "Pipeline",
    "TwoStagePipeline",
    "load_field_pipeline",
    "load_pipeline",
    "load_spatializer",
]
