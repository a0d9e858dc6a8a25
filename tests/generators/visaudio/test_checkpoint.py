import json
from pathlib import Path

import pytest
import torch

from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.checkpoint import (
    load_mmaudio,
    load_visaudio,
    mmaudio_config_of,
    save_visaudio,
    start_from_mmaudio,
    targets_of,
)
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from tests.generators.visaudio.networks import (
    LENGTHS,
    random_features,
    random_mmaudio,
    random_state,
    random_visaudio,
)


@pytest.mark.parametrize("name", ["small_16k", "small_44k", "medium_44k", "large_44k", "large_44k_v2"])
def test_sizes_are_read_off_the_published_weights(name: str) -> None:
    with torch.device("meta"):
        network = MMAudioNetwork(MMAudioConfig.named(name))
    assert mmaudio_config_of(network.state_dict()) == MMAudioConfig.named(name)


@pytest.mark.parametrize("v2", [True, False], ids=["v2", "v1"])
@torch.no_grad()
def test_a_published_file_loads(tmp_path: Path, v2: bool) -> None:
    """Old files also hold tables that follow from the sizes."""
    network = random_mmaudio(latent_dim=20, v2=v2)
    stored = {
        **network.state_dict(),
        "latent_rot": torch.zeros(1, 250, 4, 2, 2),
        "t_embed.freqs": torch.zeros(8),
    }
    torch.save(stored, tmp_path / "mmaudio_tiny_16k.pth")
    loaded = load_mmaudio(tmp_path)
    assert loaded.config == network.config
    assert not loaded.training
    x = torch.randn(2, 23, 20)
    features = random_features(VisaudioConfig.tiny(backbone=network.config, spacetime=False))
    t = torch.tensor([0.2, 0.9])
    expected = network(x, t, network.prepare(features, LENGTHS.latent))
    assert torch.equal(loaded(x, t, loaded.prepare(features, LENGTHS.latent)), expected)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    network = random_mmaudio(latent_dim=20)
    file = tmp_path / "weights.pth"
    torch.save({"layer.weight": torch.zeros(2)}, file)
    with pytest.raises(ValueError, match=r"no weights of an MMAudio flow network .latent_mean is missing"):
        load_mmaudio(file)
    torch.save(random_mmaudio(latent_dim=7).state_dict(), file)
    with pytest.raises(
        ValueError,
        match=r"latents of 7 channels belong to no published .* give a network of 20 or 40 channels",
    ):
        load_mmaudio(file)
    state = network.state_dict()
    state.pop("t_embed.mlp.0.bias")
    torch.save(state, file)
    with pytest.raises(ValueError, match=r"1 missing \(t_embed\.mlp\.0\.bias\)"):
        load_mmaudio(file)


def test_every_key_of_mmaudio_is_accounted_for() -> None:
    mono, network = random_mmaudio(), VisaudioNetwork(VisaudioConfig.tiny(latent_projection="per_branch"))
    new = start_from_mmaudio(network, mono.state_dict())
    own = network.state_dict()
    taken = [target for key in mono.state_dict() for target in targets_of(network, key)]
    assert len(taken) == len(set(taken))
    assert set(taken) | set(new) == set(own)
    assert not set(taken) & set(new)
    assert all(key.startswith("spacetime.") for key in new)
    for key, value in mono.state_dict().items():
        targets = targets_of(network, key)
        copies = 2 if key.startswith(("fused_blocks.", "final_layer.", "audio_input_proj.")) else 1
        assert len(targets) == copies, key
        assert all(torch.equal(own[target], value) for target in targets), key


def test_the_keys_of_the_published_start() -> None:
    with torch.device("meta"):
        network, mono = VisaudioNetwork(VisaudioConfig()), MMAudioNetwork(MMAudioConfig())
    keys = list(mono.state_dict())
    assert len(keys) == 416
    doubled = [key for key in keys if len(targets_of(network, key)) == 2]
    assert len([key for key in doubled if key.startswith("fused_blocks.")]) == 154
    assert len([key for key in doubled if key.startswith("final_layer.")]) == 4
    assert len(doubled) == 158
    taken = {target for key in keys for target in targets_of(network, key)}
    new = {key for key in network.state_dict() if key not in taken}
    assert sum(network.state_dict()[key].numel() for key in new) == pytest.approx(53.4e6, rel=1e-3)


def test_a_start_of_other_sizes_is_refused() -> None:
    network = VisaudioNetwork(VisaudioConfig.tiny())
    with pytest.raises(
        ValueError, match=r"the MMAudio checkpoint does not fit the model: .* of another shape"
    ):
        start_from_mmaudio(network, random_mmaudio(latent_dim=6).state_dict())
    with pytest.raises(ValueError, match=r"the MMAudio checkpoint does not fit the model: .* missing"):
        start_from_mmaudio(network, random_mmaudio(v2=False).state_dict())


@torch.no_grad()
@pytest.mark.parametrize("null_spatial", ["learned", "zeros"])
def test_a_saved_network_loads_as_it_was(tmp_path: Path, null_spatial: str) -> None:
    network = random_visaudio(null_spatial=null_spatial)
    save_visaudio(network, tmp_path / "model")
    loaded = load_visaudio(tmp_path / "model")
    assert loaded.config == network.config
    features, (x, t) = random_features(network.config), random_state(network.config)
    results = [model(x, t, model.prepare(features, LENGTHS.latent)) for model in (network, loaded)]
    assert torch.equal(*results)
    assert loaded.null_conditions(LENGTHS).spatial is not None


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no config\.json; name a folder with a ViSAudio checkpoint"):
        load_visaudio(tmp_path)
    save_visaudio(random_visaudio(), tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "branches": ["left"]}))
    with pytest.raises(ValueError, match=r"does not fit the model: .* unexpected \(branch_blocks\.right"):
        load_visaudio(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**settings, "ears": 2}))
    with pytest.raises(ValueError, match=r"config\.json: unknown settings ears"):
        load_visaudio(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**settings, "model_type": "visage"}))
    with pytest.raises(ValueError, match=r"model_type is 'visage', but must be 'visaudio'"):
        load_visaudio(tmp_path)
