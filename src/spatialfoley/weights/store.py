"""Where checkpoints lie on this machine, and how they get there: complete or not at all."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from spatialfoley.weights.download import download_hub, download_url, file_name
from spatialfoley.weights.errors import WeightsError
from spatialfoley.weights.hashes import sha256_of
from spatialfoley.weights.model_info import ModelInfo
from spatialfoley.weights.registry import info, list_models
from spatialfoley.weights.state_dict import load_state_dict, weight_files

Verify = Callable[[Path], None]

FAMILY_FOLDER = "mmaudio"
_SHARED_FOLDERS = ("weights", "ext_weights")
"""Sub-folders of a family that hold the files of several models, and no settings."""


def home() -> Path:
    """Folder for downloaded models: SPATIALFOLEY_HOME, or the platform's cache folder."""
    chosen = os.environ.get("SPATIALFOLEY_HOME")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "spatialfoley"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "spatialfoley"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spatialfoley"


def locate(name: str) -> Path | None:
    """Return the checkpoint folder of a known model on this machine, or None; never uses the network.

    Looked at in turn: the package, our own folder, that of its family, the cache of the hub's client. Of a
    repository that holds more than this model the weights file is returned; its settings lie beside it.

    Raises:
        WeightsError: unknown name.
    """
    model = info(name)
    if model.place == "embedded":
        embedded = Path(__file__).parent.parent / "embedded" / model.address
        return embedded if embedded.is_dir() and any(embedded.iterdir()) else None
    if model.place == "family":
        folder = home() / "models" / name
        return folder if folder.is_dir() and any(folder.iterdir()) else None
    own = home() / "models" / name
    addresses = (model.address, model.former_address) if model.place == "hub" else ()
    hub = [_hub_cache(address) for address in addresses if address]
    for place in (own, _in_family(model), *hub):
        if place is not None and place.is_dir():
            roots = _complete_folders(place, model, any_name=place == own)
            if len(roots) == 1:
                return roots[0]
    return None


def fetch(name: str) -> Path:
    """Return the checkpoint folder of a known model, downloading it when it is not there yet.

    An interrupted download goes on from where it stopped; only a complete one gets its final name.

    Raises:
        WeightsError: unknown name, no network (the sentence says what to do), or not what was expected.
    """
    found = locate(name)
    if found is not None:
        return found
    model = info(name)
    if model.place == "embedded":
        raise WeightsError(f"{name} is missing from this installation; install spatialfoley again")
    refuse_unfetchable(model)
    target = _writable_models_folder() / name
    partial = target.with_name(f".{name}.partial")
    partial.mkdir(exist_ok=True)
    _download(model, partial)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    root = _only_complete(partial, model)
    if model.sha256 is not None and sha256_of(root) != model.sha256:
        shutil.rmtree(partial)
        raise WeightsError(f"{name} arrived with another SHA-256 than published; fetch it again")
    _replace(partial, target)
    return target / root.relative_to(partial)


def _download(model: ModelInfo, folder: Path) -> None:
    """From the hub, or from the address of one file: that of a release, or the second source of others."""
    if model.place != "release":
        try:
            return download_hub(model, folder)
        except WeightsError:
            if model.url is None:
                raise
    if model.url is not None:
        download_url(model, model.url, folder / file_name(model.url))


def refuse_unfetchable(model: ModelInfo) -> None:
    """Raise WeightsError for what no address holds."""
    if model.place == "unpublished":
        raise WeightsError(
            f"no weights of {model.name} are published; train it, and `spatialfoley models import {model.name} "
            "FOLDER` takes the result"
        )
    if model.place == "family":
        members = [m.name for m in list_models() if m.family == model.family and m.file is not None]
        raise WeightsError(
            f"{model.name} is a family of models; fetch its members, each by its name: {', '.join(members)}"
        )


def import_folder(name: str, folder: str | Path, verify: Verify | None = None, link: bool = False) -> Path:
    """Take a local copy of a known model into the model folder, after checking it.

    Args:
        name: a known model.
        folder: a checkpoint folder in the published layout, or one weights file.
        verify: further checks by whoever knows the network (names and shapes); raises WeightsError.
        link: link to the files instead of copying them; they must then stay where they are.

    Returns:
        The folder in which `locate` will find the model.

    Raises:
        WeightsError: unknown or embedded model, files missing or unreadable, or `verify` refused.
    """
    model = info(name)
    if model.place == "embedded":
        raise WeightsError(
            f"{name} is part of the package and cannot be replaced; train or name another folder"
        )
    source = Path(folder).expanduser()
    if not source.exists():
        raise WeightsError(f"{source} does not exist; give the folder that holds {name}")
    root = source if source.is_file() else _only_complete(source, model)
    load_state_dict(root)
    if verify is not None:
        verify(root)
    target = _writable_models_folder() / name
    partial = target.with_name(f".{name}.import")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for file in _files_of(root, beside=source.is_dir()):
            _take(file, partial / file.name, link)
        _replace(partial, target)
    except OSError as error:
        raise WeightsError(
            f"cannot copy {file} to {target} ({error.strerror}); free space or use link"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def add_to_folder(name: str, file: Path, path: str, link: bool = False) -> Path:
    """Put a checked file, with the settings beside it, into the folder of a family or of a model with parts.

    Args:
        name: of the family or the model.
        file: the weights.
        path: where they belong in that folder.
        link: link instead of copying.

    Returns:
        Where the file is now.

    Raises:
        WeightsError: the folder cannot be written.
    """
    target = _writable_models_folder() / name / path
    small = _files_of(file, beside=len(Path(path).parts) > 1 and Path(path).parts[0] not in _SHARED_FOLDERS)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for source in small:
            final = target if source == file else target.parent / source.name
            partial = final.with_name(f".{final.name}.partial")
            partial.unlink(missing_ok=True)
            _take(source, partial, link)
            os.replace(partial, final)  # noqa: PTH105 - replaces an existing file on every platform
    except OSError as error:
        raise WeightsError(
            f"cannot copy {file} to {target} ({error.strerror}); free space or use link"
        ) from error
    return target


def _files_of(root: Path, beside: bool = True) -> list[Path]:
    """Weights and what describes them: of a folder, or of a file and, if asked, of the folder it lies in."""
    if root.is_file() and not beside:
        return [root]
    folder = root.parent if root.is_file() else root
    small = [
        file for file in folder.iterdir() if file.suffix in (".json", ".txt", ".md") or "LICENSE" in file.name
    ]
    return sorted({*small, *weight_files(root)})


def _take(file: Path, target: Path, link: bool) -> None:
    if link:
        target.symlink_to(file.resolve())
    else:
        shutil.copyfile(file, target)


def _replace(partial: Path, target: Path) -> None:
    """Give a complete folder its name; an older one of that name goes away only then."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _problem(folder: Path, model: ModelInfo) -> str | None:
    """Why `folder` is no checkpoint of `model`, or None when it is one."""
    try:
        files = weight_files(folder)
    except WeightsError as error:
        return str(error)
    if model.url is not None and len(files) == 1 and files[0].suffix == ".pth":
        return None  # the original file carries its settings inside
    return _problem_of_settings(folder, model)


def _problem_of_settings(folder: Path, model: ModelInfo) -> str | None:
    for name in model.files:
        file = folder / name
        if not file.is_file():
            return f"{folder} has weights but no {name}; copy that file too"
        if file.suffix == ".json":
            try:
                json.loads(file.read_text("utf-8"))
            except ValueError as error:
                return f"{file} is not valid JSON ({error}); copy it again"
    return None


def _complete_folders(folder: Path, model: ModelInfo, any_name: bool = True) -> list[Path]:
    if model.file is not None:
        named = [folder / model.file, folder / Path(model.file).name]
        named += [file.with_suffix(".safetensors") for file in named]
        found = [file for file in named if file.is_file() and not _problem_of_settings(file.parent, model)]
        # What was imported by itself may have any name; elsewhere it would be another model of the family.
        alone = any_name and _problem(folder, model) is None
        return found[:1] or ([folder] if alone else [])
    if _problem(folder, model) is None:
        return [folder]
    inner = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    return [child for child in inner if _problem(child, model) is None]


def _only_complete(folder: Path, model: ModelInfo) -> Path:
    complete = _complete_folders(folder, model)
    if len(complete) == 1:
        return complete[0]
    if not complete:
        raise WeightsError(f"{folder} is no checkpoint of {model.name}: {_problem(folder, model)}")
    names = ", ".join(child.name for child in complete)
    raise WeightsError(
        f"{folder} holds several checkpoints ({names}); choose one: "
        f"`spatialfoley models import {model.name} {complete[0]}`"
    )


def _in_family(model: ModelInfo) -> Path | None:
    """The folder of the family in which this model would lie."""
    if model.family_path is None:
        return None
    return (home() / "models" / FAMILY_FOLDER / model.family_path).parent


def _hub_cache(address: str) -> Path | None:
    """The snapshot that the hub's own client may have stored, without importing that client."""
    base = os.environ.get("HF_HUB_CACHE")
    cache = (
        Path(base) if base else Path(os.environ.get("HF_HOME") or Path.home() / ".cache/huggingface") / "hub"
    )
    repository = cache / f"models--{address.replace('/', '--')}"
    try:
        return repository / "snapshots" / (repository / "refs" / "main").read_text("utf-8").strip()
    except OSError:
        return None


def _writable_models_folder() -> Path:
    folder = home() / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f"cannot write {folder} ({error.strerror}); set SPATIALFOLEY_HOME to a folder that can be written"
        ) from error
    return folder
