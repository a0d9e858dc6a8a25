import shutil
from pathlib import Path

import pytest
import torch

from spatialfoley import weights
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.config import MMAudioConfig
from spatialfoley.pipeline.flow_folder import PARTS, find_flow_model, find_part
from spatialfoley.pipeline.flow_loading import check_part, import_flow_folder, size_name
from spatialfoley.pipeline.loading import check_weights, load_pipeline
from spatialfoley.pipeline.model_folder import choose_model
from spatialfoley.weights import WeightsError
from tests.flow_folders import BACKBONE, write_mmaudio_folder, write_visaudio_folder
from tests.model_folders import write_tiny_model


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SPATIALFOLEY_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_mmaudio_folder(tmp_path / "MMAudio")


def test_every_model_of_the_family_states_its_licence() -> None:
    networks = [
        f"mmaudio_{size}" for size in ("small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2")
    ]
    for name in networks:
        model = weights.info(name)
        assert (model.licence, model.commercial_use) == ("CC-BY-NC-4.0", "no")
        assert model.file == f"weights/{name}.pth"
    assert weights.licence_line("visaudio") == (
        "visaudio (not published): licence none: its authors published no weights; ask the authors before any "
        "commercial use"
    )
    assert {weights.info(part).family for part in PARTS} == {"mmaudio", "visaudio"}
    assert choose_model(None)[0] == "tiny-visage"


def test_weights_without_commercial_use_are_never_the_default(folder: Path) -> None:
    import_flow_folder("mmaudio", folder)
    assert weights.locate("mmaudio") is not None
    assert choose_model(None)[0] == "tiny-visage"


@pytest.mark.parametrize("name", ["small_16k", "large_44k_v2"])
def test_published_sizes_have_names(name: str) -> None:
    assert size_name(MMAudioConfig.named(name)) == name
    assert size_name(BACKBONE) is None


def test_models_are_found_by_folder_file_and_name(folder: Path, tmp_path: Path, own_home: Path) -> None:
    by_folder, by_file = find_flow_model(folder), find_flow_model(folder / "weights" / "mmaudio_tiny_16k.pth")
    assert by_folder == by_file
    assert by_folder is not None
    assert (by_folder.family, by_folder.root) == ("mmaudio", folder)
    assert find_flow_model("visage") is None
    assert find_flow_model(write_tiny_model(tmp_path / "field")) is None
    assert find_flow_model(write_visaudio_folder(tmp_path / "ears")).family == "visaudio"  # type: ignore[union-attr]
    with pytest.raises(
        ValueError, match="mmaudio is not on this machine; fetch one of its models, such as mmaudio_s"
    ):
        find_flow_model("mmaudio")
    with pytest.raises(
        ValueError,
        match="mmaudio_small_16k is not on this machine; 'spatialfoley models fetch mmaudio_small_16k' gets it, "
        "and 'spatialfoley models import mmaudio FOLDER'",
    ):
        load_pipeline("mmaudio_small_16k")


def test_several_networks_want_a_choice(folder: Path) -> None:
    second = folder / "weights" / "mmaudio_other_16k.pth"
    shutil.copy(folder / "weights" / "mmaudio_tiny_16k.pth", second)
    with pytest.raises(
        ValueError, match=r"holds several networks; give the file of one as the model: .*other"
    ):
        find_flow_model(folder)
    found = find_flow_model(second)
    assert found is not None
    assert found.name == "mmaudio_other_16k"


def test_a_missing_part_says_how_to_get_it_and_is_found_in_the_family(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "DFN5B-CLIP-ViT-H-14-378", tmp_path / "clip")
    with pytest.raises(
        ValueError,
        match=r"mmaudio_tiny_16k needs clip-dfn5b-h14, which is neither in .* nor on this machine; "
        "'spatialfoley models fetch clip-dfn5b-h14' gets it",
    ):
        load_pipeline(folder)
    weights.import_folder(
        "clip-dfn5b-h14", tmp_path / "clip", lambda root: check_weights("clip-dfn5b-h14", root)
    )
    assert load_pipeline(folder).describe()["model"] == "mmaudio_tiny_16k"


def test_an_import_adds_to_earlier_ones_and_single_parts_are_found(folder: Path, own_home: Path) -> None:
    networks, codec = folder / "weights", folder / "ext_weights" / "v1-16.pth"
    only_network = folder.parent / "network"
    shutil.copytree(networks, only_network / "weights")
    import_flow_folder("mmaudio", only_network)
    assert weights.locate("mmaudio-vae-16k") is None
    import_flow_folder("mmaudio", folder)
    taken = own_home / "models" / "mmaudio"
    assert weights.locate("mmaudio-vae-16k") == taken / "ext_weights" / "v1-16.pth"
    # A network of a size of its own never passes for a published one beside which it lies.
    assert weights.locate("mmaudio_small_16k") is None
    assert find_part("mmaudio-vae-16k", folder) == codec


def test_what_the_hub_client_has_cached_is_found(folder: Path, own_home: Path) -> None:
    clip = own_home / "models--apple--DFN5B-CLIP-ViT-H-14-384"
    family = own_home / "models--hkchengrex--MMAudio"
    for repository, source in ((clip, folder / "DFN5B-CLIP-ViT-H-14-378"), (family, folder)):
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("abc")
        shutil.copytree(source, repository / "snapshots" / "abc")
    snapshot = family / "snapshots" / "abc"
    assert weights.locate("clip-dfn5b-h14") == clip / "snapshots" / "abc" / "open_clip_pytorch_model.bin"
    assert weights.locate("synchformer") == snapshot / "ext_weights" / "synchformer_state_dict.pth"
    assert weights.locate("mmaudio-vae-44k") is None
    assert weights.locate("mmaudio_small_16k") is None


def test_one_part_is_imported_by_its_name(folder: Path, own_home: Path) -> None:
    for name in ("synchformer", "mmaudio-vae-16k", "bigvgan-16k"):
        weights.import_folder(name, folder, lambda root, name=name: check_weights(name, root))  # type: ignore[misc]
    assert weights.locate("synchformer") == own_home / "models" / "synchformer" / "synchformer_state_dict.pth"
    other = folder / "mine.pth"
    shutil.copy(folder / "ext_weights" / "v1-16.pth", other)
    weights.import_folder("mmaudio-vae-16k", other)
    assert weights.locate("mmaudio-vae-16k") == own_home / "models" / "mmaudio-vae-16k"
    shutil.rmtree(folder / "ext_weights")
    assert load_pipeline(folder).describe()["model"] == "mmaudio_tiny_16k"


def test_what_is_not_what_its_name_says_is_refused(folder: Path, tmp_path: Path, own_home: Path) -> None:
    with pytest.raises(WeightsError, match="holds the network of no published size, not mmaudio_small_16k"):
        check_part("mmaudio_small_16k", folder / "weights" / "mmaudio_tiny_16k.pth")
    state = torch.load(folder / "ext_weights" / "v1-16.pth", weights_only=True)
    state.pop("decoder.learnable_gain")
    torch.save(state, folder / "ext_weights" / "v1-16.pth")
    with pytest.raises(WeightsError, match=r"1 missing \(decoder.learnable_gain\)"):
        import_flow_folder("mmaudio", folder)
    assert not (own_home / "models" / "mmaudio").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        WeightsError, match=r"holds no MMAudio network; it needs weights/mmaudio_small_16k\.pth"
    ):
        import_flow_folder("mmaudio", tmp_path / "empty")
    with pytest.raises(WeightsError, match=r"has no config\.json with"):
        import_flow_folder("visaudio", folder)


def test_networks_that_do_not_belong_together_are_refused(folder: Path) -> None:
    network = MMAudioNetwork(MMAudioConfig.tiny(latent_dim=20, text_dim=12, text_tokens=9, sync_dim=16))
    torch.save(network.state_dict(), folder / "weights" / "mmaudio_tiny_16k.pth")
    with pytest.raises(
        ValueError, match="the network has clip_dim 12, but the CLIP has 8; use files that belong"
    ):
        load_pipeline(folder)
