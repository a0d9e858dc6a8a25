"""Folders of the tiny models, made once."""

from pathlib import Path

import pytest

from tests.dataset.captioning.tiny_models import omni_folder, qwen3_folder

DESCRIBED = ("A bell rings in the picture.", " Wind blows behind the cam")
CAPTIONED = ("Visible sound: bell ringing,", " Invisible sound: wind blowing")


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ "describer" and "distiller" say what they were taught; "wild" ones write nonsense."""
    folder = tmp_path_factory.mktemp("language-models")
    return {
        "describer": omni_folder(folder / "describer", DESCRIBED),
        "published-describer": omni_folder(folder / "published-describer", DESCRIBED, whole=True),
        "wild-describer": omni_folder(folder / "wild-describer"),
        "distiller": qwen3_folder(folder / "distiller", CAPTIONED),
        "wild-distiller": qwen3_folder(folder / "wild-distiller"),
    }
