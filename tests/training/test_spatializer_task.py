"""The recipe of audio-spatial at a size for tests: windows agree with the world, and learning learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spatialfoley.conventions import W, Y
from spatialfoley.generators.spatializer.checkpoint import load_audio_spatializer
from spatialfoley.generators.spatializer.resnet18 import ResNet18Trunk
from spatialfoley.pipeline.model_folder import find_model
from spatialfoley.training.loop import train
from spatialfoley.training.settings import RecipeError, TrainingSettings, read_recipe
from spatialfoley.training.spatializer_task import SpatializerTask
from spatialfoley.training.tasks import make_task

RECIPE = Path(__file__).parents[2] / "recipes" / "audio_spatial.yaml"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spatializer")


def small(root: Path, *more: str) -> TrainingSettings:
    """What to change in the recipe so that it runs in seconds, with the encoder and codec of the package."""
    package = find_model("tiny-visage")
    cache = (f"folder={root / 'cache'}", "clips=4", "shard_clips=2", "duration_s=2.0", "workers=1")
    return read_recipe(
        RECIPE,
        [
            *(f"data.world.cache.{change}" for change in cache),
            *(f"data.world.{part}={package}" for part in ("codec", "features")),
            f"data.folder={root / 'tokens'}",
            f"output={root / 'run'}",
            *("batch_size=8", "steps=2", "model.unet_channels=[8,8,8,8,8]", "model.visual_channels=8"),
            *more,
        ],
    )


def test_the_run_exports_what_pipelines_load(root: Path) -> None:
    settings = small(root, "precision=float32")
    folder = train(make_task(settings), settings)
    network = load_audio_spatializer(folder)
    assert network.config.unet_channels == (8, 8, 8, 8, 8)
    again = small(root, f"initialize_from={folder}", "model.unet_channels=[8,8,8,8,8]")
    task = SpatializerTask(again)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(task.network.state_dict()[name], tensor, check_dtype=False)


def test_learning_brings_the_error_down(root: Path) -> None:
    task = SpatializerTask(small(root, "data.mirror_probability=0"))
    batch = task.batch(torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(task.model.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        loss, figures = task.loss(task.model, batch, torch.Generator())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.4 * losses[0], losses
    assert 0 < figures["error_share"] < 1


def test_a_mirrored_window_is_the_mirror_image(root: Path) -> None:
    plain, mirrored = (
        SpatializerTask(small(root, f"data.mirror_probability={share}")).batch(
            torch.Generator().manual_seed(3)
        )
        for share in (0, 1)
    )
    torch.testing.assert_close(mirrored[0][:, Y], -plain[0][:, Y])
    torch.testing.assert_close(mirrored[0][:, [0, 2, 3]], plain[0][:, [0, 2, 3]])
    rows = [
        seen.pictures[:, :, -49:].unflatten(-1, (7, 7)).mean(dim=(0, 1, 2))
        for seen in (plain[1], mirrored[1])
    ]
    as_they_are, flipped = (
        torch.corrcoef(torch.stack([row, rows[1]]))[0, 1] for row in (rows[0], rows[0].flip(0))
    )
    assert flipped > 0.95 > as_they_are
    assert plain[0].shape == (8, 4, 10080)
    assert plain[1].pictures.shape == (8, 13, 177)


def test_the_loudest_of_several_moments_is_learnt(root: Path) -> None:
    settings = small(root, "data.mirror_probability=0", "batch_size=16")
    levels = []
    for draws in (1, 8):
        task = SpatializerTask(replace(settings, objective={"draws": draws}))
        levels.append(task.batch(torch.Generator().manual_seed(1))[0][:, W].square().mean().item())
    assert levels[1] > levels[0]


def test_a_network_in_world_axes_is_told_where_the_camera_points(root: Path) -> None:
    task = SpatializerTask(
        small(root, "model.field_frame=world", "model.direction_dim=4", "data.mirror_probability=0")
    )
    sound, seen = task.batch(torch.Generator().manual_seed(3))
    assert seen.direction is not None
    torch.testing.assert_close(seen.direction.norm(dim=1), torch.ones(8))
    assert seen.direction.std(dim=0).min() > 0.1
    assert np.isfinite(task.loss(task.model, (sound, seen), torch.Generator())[0].item())


def test_ears_are_learnt_as_half_their_difference(root: Path) -> None:
    task = SpatializerTask(small(root, "model.channels=binaural", "model.mask_scale=1.0"))
    sound, seen = task.batch(torch.Generator().manual_seed(3))
    assert sound.shape == (8, 2, 10080)
    assert (sound[:, 1].square().mean() < sound[:, 0].square().mean()).item()
    loss, figures = task.loss(task.model, (sound, seen), torch.Generator())
    assert loss.item() > 0
    assert "median_angle_deg" not in figures


def test_pictures_are_seen_through_published_weights(root: Path) -> None:
    torch.manual_seed(4)
    torch.save({**ResNet18Trunk().state_dict(), "fc.bias": torch.zeros(9)}, root / "resnet18.pth")
    task = SpatializerTask(
        small(root, "model.visual=resnet18", "model.image_px=64", f"initialize_from={root / 'resnet18.pth'}")
    )
    torch.manual_seed(4)
    assert torch.equal(task.network.visual.trunk.conv1.weight, ResNet18Trunk().conv1.weight)
    sound, seen = task.batch(torch.Generator().manual_seed(3))
    assert seen.pictures.shape == (8, 1, 56, 56, 3)
    assert task.loss(task.model, (sound, seen), torch.Generator())[0].item() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.window_s=0.5", "model: fft_samples 512"),
        ("model.feature_dim=9", "model.feature_dim is 9, but .* holds 177 numbers"),
        (
            "model.frame_rate_hz=10",
            "the clips have 16000 samples and 20 frames per second, but the model is set",
        ),
        ("model.depth=3", "unknown key depth"),
        ("data.clips=3", "unknown key clips"),
        ("initialize_from=nowhere.pth", "initialize_from is nowhere.pth, no folder of an earlier run"),
    ],
)
def test_what_does_not_fit_is_named(root: Path, change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        SpatializerTask(small(root, change))


def test_ears_in_world_axes_are_refused(root: Path) -> None:
    with pytest.raises(RecipeError, match="with channels 'binaural', but ears are at the camera"):
        SpatializerTask(
            small(root, "model.channels=binaural", "model.field_frame=world", "model.direction_dim=4")
        )
