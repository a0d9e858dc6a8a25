"""Which model writes captions, where its weights lie and what may be done with them; imports no network."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from spatialfoley import weights

NOT_ESTABLISHED = "not established"

DEVICES = "auto, cpu, cuda or cuda:NUMBER"

_FRONT_MATTER = re.compile(r"\A---\s*\n(?P<lines>.*?)\n---", re.DOTALL)


@dataclass(frozen=True)
class FoundModel:
    """A model on this machine.

    Attributes:
        name: As it was asked for; of a folder, its last part.
        folder: Its files.
        licence: Of its weights, in words.
        weights_sha256: Hash of its weights.
    """

    name: str
    folder: Path
    licence: str
    weights_sha256: str

    def facts(self) -> dict[str, str]:
        """What a record says of it."""
        return {"model": self.name, "licence": self.licence, "weights_sha256": self.weights_sha256}


def find_model(asked: str, kinds: tuple[str, ...]) -> FoundModel:
    """The model of a known name or in a folder; never uses the network.

    Args:
        asked: A known name such as "qwen2.5-omni-7b", or a folder in the layout of transformers.
        kinds: Values of `model_type` in config.json that fit; none: any.

    Raises:
        WeightsError: It is not there, or something else.
    """
    known = {model.name for model in weights.list_models() if model.kind == "captioner"}
    if asked in known:
        folder = weights.locate(asked)
        if folder is None:
            raise weights.WeightsError(
                f"the weights of {asked} are not on this machine; get them with `spatialfoley models fetch "
                f"{asked}` where there is a network, or give their folder as 'model'"
            )
        licence = weights.info(asked).licence
    else:
        folder = Path(asked)
        if not folder.is_dir():
            raise weights.WeightsError(
                f"model is {asked!r}, neither a folder nor one of {', '.join(sorted(known))}"
            )
        licence = _stated_licence(folder)
    check_kind(folder, kinds)
    digest = weights.sha256_of(folder, weights.home() / "hashes.json")
    return FoundModel(asked if asked in known else folder.resolve().name, folder, licence, digest)


def check_device(asked: str) -> None:
    """Raise ValueError unless a device is asked for by one of `DEVICES`."""
    if asked not in ("auto", "cpu", "cuda") and not (
        asked.startswith("cuda:") and asked.removeprefix("cuda:").isdigit()
    ):
        raise ValueError(f"device is {asked!r}; give {DEVICES}")


def check_kind(folder: Path, kinds: tuple[str, ...]) -> str:
    """`model_type` of a folder.

    Raises:
        WeightsError: Its config.json is missing or damaged, or of another type than `kinds`.
    """
    path = folder / "config.json"
    try:
        kind = json.loads(path.read_text("utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise weights.WeightsError(
            f"{folder} has no config.json that names a model_type; give a folder in the layout of transformers"
        ) from None
    if kinds and kind not in kinds:
        raise weights.WeightsError(
            f"{folder} holds a model of type {kind!r}; this stage needs {' or '.join(kinds)}"
        )
    return str(kind)


def _stated_licence(folder: Path) -> str:
    """What the model card in a folder says of its licence."""
    try:
        front = _FRONT_MATTER.match((folder / "README.md").read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return NOT_ESTABLISHED
    if front is None:
        return NOT_ESTABLISHED
    stated = dict(re.findall(r"^(license(?:_name)?):\s*(\S+)\s*$", front["lines"], re.MULTILINE))
    name = stated.get("license_name") or stated.get("license")
    return f"{name} (says its model card)" if name and name != "other" else NOT_ESTABLISHED
