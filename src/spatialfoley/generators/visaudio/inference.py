"""How a trained flow makes sound unless it is asked otherwise: a file beside its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from spatialfoley.media.atomic import atomic_path

EmptyText = Literal["stored", "encoded"]
INFERENCE_FILE = "inference.json"


@dataclass(frozen=True)
class InferenceSettings:
    """Defaults of use, where the paper says nothing.

    Attributes:
        steps: A18: steps of the flow, MMAudio's 25.
        guidance: A18: strength of guidance on MMAudio's scale, where 1 is none.
        empty_text: A22: what a clip without a caption is made with: "stored", the features of the empty text that
            lie in the weights and stood for dropped texts in training, or "encoded" anew by the text encoder.
    """

    steps: int = 25
    guidance: float = 4.5
    empty_text: EmptyText = "stored"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a number is out of range or the choice unknown.
        """
        if not 1 <= self.steps <= 1000:
            raise ValueError(f"steps is {self.steps}; give a whole number from 1 to 1000")
        if not (math.isfinite(self.guidance) and 0 <= self.guidance <= 100):
            raise ValueError(f"guidance is {self.guidance}; give a number from 0 to 100")
        if self.empty_text not in get_args(EmptyText):
            raise ValueError(
                f"empty_text is {self.empty_text!r}, but must be one of {', '.join(get_args(EmptyText))}"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InferenceSettings:
        """Read settings by name.

        Raises:
            ValueError: If a name is unknown or a value impossible.
        """
        known = {entry.name for entry in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown settings {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**values)


def save_inference(settings: InferenceSettings, folder: Path) -> None:
    """Write the settings beside the weights in `folder`."""
    with atomic_path(folder / INFERENCE_FILE) as path:
        path.write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")


def read_inference(folder: Path) -> InferenceSettings:
    """The settings of a folder; the defaults where it has none.

    Raises:
        ValueError: If the file is damaged or a setting unknown or impossible; the file is named.
    """
    path = folder / INFERENCE_FILE
    if not path.is_file():
        return InferenceSettings()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no settings by name")
        return InferenceSettings.from_dict(content)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"{path}: {problem}") from problem
