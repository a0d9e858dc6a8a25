"""What is known of one checkpoint, and the shapes that the entries of the registry have in common."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["generator", "codec", "features", "listener", "spatializer", "captioner"]
Place = Literal["embedded", "hub", "release", "family", "unpublished"]
Family = Literal["visage", "mmaudio", "visaudio", "twin", "listener", "captioner"]
CommercialUse = Literal["yes", "no", "unknown"]

NOT_STATED = "not stated by its authors"
_CONFIG = ("config.json",)


@dataclass(frozen=True)
class ModelInfo:
    """One known checkpoint.

    Attributes:
        name: the name used on the command line.
        kind: what the network does; a "listener" judges sound for the evaluation, a "captioner" writes texts for
            data sets.
        place: "embedded" in the package; on the model "hub"; a "release", one file at `url`; a "family", the
            folder that holds several models as they were published together; or "unpublished": only a user's
            own weights exist.
        address: folder under `embedded/`, hub id "owner/name", or web page of a release.
        files: files that must be there besides the weights.
        licence: of the weights, in words.
        commercial_use: "unknown" when no licence is stated: then ask the authors.
        url: one file to download directly: the source of a release, a second one of others; None when there is
            none.
        size_bytes: of all files, None when not known.
        sha256: of the weights file, None when not published.
        notes: what a user should know.
        family: what it belongs to.
        file: path of its weights in a hub repository that holds more than these.
        family_path: path of its weights in the folder of the family.
        former_address: hub id under which a cache may still hold it.
    """

    name: str
    kind: Kind
    place: Place
    address: str
    files: tuple[str, ...]
    licence: str
    commercial_use: CommercialUse
    url: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    notes: str = ""
    family: Family = "visage"
    file: str | None = None
    family_path: str | None = None
    former_address: str | None = None

    @property
    def web_page(self) -> str | None:
        """Where a person can download the files by hand."""
        if self.place in ("embedded", "unpublished"):
            return None
        return self.address if self.place == "release" else f"https://huggingface.co/{self.address}"


def embedded(
    name: str, notes: str, kind: Kind = "generator", file: str = "config.json", family: Family = "visage"
) -> ModelInfo:
    """A model of our own, shipped with the package in a folder of its name."""
    return ModelInfo(name, kind, "embedded", name, (file,), "MIT", "yes", notes=notes, family=family)


def on_hub(
    name: str,
    kind: Kind,
    address: str,
    notes: str,
    licence: str = "MIT",
    commercial_use: CommercialUse = "yes",
    files: tuple[str, ...] = _CONFIG,
    **more: Any,
) -> ModelInfo:
    """A repository of the model hub; `more` are further attributes."""
    return ModelInfo(name, kind, "hub", address, files, licence, commercial_use, notes=notes, **more)


def unpublished(
    name: str,
    notes: str,
    licence: str,
    commercial_use: CommercialUse = "unknown",
    files: tuple[str, ...] = _CONFIG,
    family: Family = "visage",
) -> ModelInfo:
    """A generator of which only a user's own weights exist."""
    return ModelInfo(
        name, "generator", "unpublished", "", files, licence, commercial_use, notes=notes, family=family
    )
