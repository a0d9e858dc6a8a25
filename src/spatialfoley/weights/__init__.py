"""Checkpoints: which there are, under which licence, where they lie on this machine, and how to load them safely.

Nothing here builds a network: whoever does passes the names and shapes that it expects.
"""

from spatialfoley.weights.errors import WeightsError
from spatialfoley.weights.hashes import sha256_of
from spatialfoley.weights.model_info import ModelInfo
from spatialfoley.weights.registry import info, licence_line, list_models
from spatialfoley.weights.state_dict import compare_keys, load_state_dict, weight_files
from spatialfoley.weights.store import add_to_folder, fetch, home, import_folder, locate

__all__ = [
    "ModelInfo",
    "WeightsError",
    "add_to_folder",
    "compare_keys",
    "fetch",
    "home",
    "import_folder",
    "info",
    "licence_line",
    "list_models",
    "load_state_dict",
    "locate",
    "sha256_of",
    "weight_files",
]
