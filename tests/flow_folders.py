"""Folders of MMAudio and ViSAudio models with random weights of small sizes, in the layouts that are published."""

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from spatialfoley.codecs.bigvgan import BigVgan, BigVganConfig
from spatialfoley.codecs.mel_vae import MelVae, MelVaeConfig
from spatialfoley.features.perception import PerceptionConfig
from spatialfoley.features.synchformer import SynchformerConfig
from spatialfoley.generators.visaudio.backbone import MMAudioNetwork
from spatialfoley.generators.visaudio.checkpoint import save_visaudio
from spatialfoley.generators.visaudio.config import MMAudioConfig, VisaudioConfig
from spatialfoley.generators.visaudio.model import VisaudioNetwork
from tests.features import test_clip_h14, test_perception, test_synchformer
from tests.generators.visaudio.networks import randomise

SYNC = SynchformerConfig(width=16, layers=1, heads=1, size_px=32)
PATCHES = PerceptionConfig(patch_size=4, width=16, layers=1, heads=1, image_size=32)
BACKBONE = MMAudioConfig.tiny(
    latent_dim=20,
    clip_dim=test_clip_h14.TINY.embed_dim,
    text_dim=test_clip_h14.TINY.text_width,
    text_tokens=test_clip_h14.TINY.context_length,
    sync_dim=SYNC.width,
    depth=2,
    fused_depth=1,
    v2=False,
)
VAE = MelVaeConfig(mel_bands=80, latent_dim=20, hidden_dim=4)
VOCODER = replace(BigVganConfig.mmaudio_16k(), upsample_initial_channel=64)


def write_parts(folder: Path) -> Path:
    """Everything but the generator: ``ext_weights`` and the folder of CLIP."""
    torch.manual_seed(0)
    weights = folder / "ext_weights"
    weights.mkdir(parents=True)
    torch.save(MelVae(VAE).state_dict(), weights / "v1-16.pth")
    torch.save({"generator": BigVgan(VOCODER).state_dict()}, weights / "best_netG.pt")
    sync = test_synchformer.random_network(SYNC).state_dict()
    torch.save({**sync, "afeat_extractor.weight": torch.zeros(2)}, weights / "synchformer_state_dict.pth")
    clip = test_clip_h14.write_vocabulary(folder / "DFN5B-CLIP-ViT-H-14-378")
    state = test_clip_h14.open_clip_state(test_clip_h14.random_network())
    torch.save(state, clip / "open_clip_pytorch_model.bin")
    settings = {"model_cfg": test_clip_h14.OPEN_CLIP_SETTINGS}
    (clip / "open_clip_config.json").write_text(json.dumps(settings))
    return folder


def write_mmaudio_folder(folder: Path, name: str = "mmaudio_tiny_16k.pth") -> Path:
    """A folder in the published MMAudio layout."""
    write_parts(folder)
    (folder / "weights").mkdir()
    network = MMAudioNetwork(BACKBONE)
    randomise(network)
    torch.save(network.state_dict(), folder / "weights" / name)
    return folder


def write_visaudio_folder(folder: Path, backbone: MMAudioConfig = BACKBONE) -> Path:
    """A ViSAudio folder with its parts, PE-Spatial as safetensors."""
    write_parts(folder)
    network = VisaudioNetwork(VisaudioConfig(backbone=backbone, pe_dim=PATCHES.width, pe_grid=8))
    randomise(network)
    save_visaudio(network, folder)
    state = test_perception.random_network(PATCHES).state_dict()
    save_file(state, folder / "ext_weights" / "PE-Spatial-L14-448.safetensors")
    return folder
