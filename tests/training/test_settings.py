"""Recipes: every shipped one is read, and what is wrong is named."""

import re
from pathlib import Path

import pytest

from spatialfoley.training.settings import RecipeError, read_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(path for path in FOLDER.glob("*.yaml") if not path.stem.startswith("dataset_"))
SMALL = "task: tiny_codec\noutput: out\nsteps: 2\nbatch_size: 1\ndata: {folder: x}\nmodel: {}\n"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(SMALL)
    return path


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_read(path: Path) -> None:
    assert read_recipe(path).steps >= 1


def test_overrides_reach_into_sections(recipe: Path) -> None:
    settings = read_recipe(recipe, ["optimizer.learning_rate=1e-3", "steps=7"])
    assert settings.optimizer.learning_rate == 1e-3
    assert settings.steps == 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stepz=1", "unknown key stepz; known keys are task, output"),
        ("optimizer.lr=1", "optimizer: unknown key lr; known keys are learning_rate"),
        ("steps=many", "steps is 'many'; it must be of type int"),
        ("steps=0", "steps is 0; it must be at least 1"),
        ("optimizer.schedule=linear", "'linear'; it must be 'constant', 'cosine' or 'steps'"),
        ("optimizer.schedule=steps", "drop_at is [] with schedule 'steps'; give shares such as [0.8, 0.9]"),
        ("optimizer={schedule: steps, drop_at: [0.9, 0.8]}", "it must be rising shares of the run"),
        (
            "optimizer={schedule: steps, drop_at: [0.9], drop_factor: 0}",
            "drop_factor is 0.0; it must be above",
        ),
        ("optimizer.epsilon=0", "epsilon is 0.0; it must be above 0"),
        ("average.sigma_rel=0.5", "sigma_rel is 0.5; it must be above 0 and at most 0.28"),
        ("average=yes", "average is True; it must be a section of keys"),
        ("precision=int8", "'int8'; it must be 'float32' or 'bfloat16'"),
        ("optimizer.betas=[0.9]", "has 1 values; it must have 2"),
        ("optimizer=3", "optimizer is 3; it must be a section of keys"),
        ("steps", "'steps'; it must be key=value"),
    ],
)
def test_a_wrong_key_or_value_is_named(recipe: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        read_recipe(recipe, [override])


def test_missing_keys_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="does not exist"):
        read_recipe(tmp_path / "none.yaml")
    path = tmp_path / "short.yaml"
    path.write_text("task: tiny_codec\n")
    with pytest.raises(RecipeError, match="missing key output, steps, batch_size, data, model"):
        read_recipe(path)
