"""Make the case of `cases/synchformer` with the published code itself, in an environment of its own.

    git clone https://github.com/v-iashin/Synchformer /tmp/Synchformer
    git -C /tmp/Synchformer checkout 9287703b9d189f26bfbca0f2f38ac5de4795700e
    (the environment of make_listener_cases.py, and in it: pip install --no-deps einops==0.8.2)
    /tmp/parity-env/bin/python tests/parity/make_synchformer_case.py /tmp/Synchformer

The stored case was made from the classes of that commit that are named below, taken over by hand from a public copy
of its text, because the repository itself was out of reach.

The branch that sees has cases of its own, so here it stands in and gives seeded features; `AST`,
`GlobalTransformer` and `Synchformer.forward` run as published. What they import and do not use, or what newer
versions of transformers no longer have (pruning of heads, documentation decorators), stands in empty. The
spectrograms are made by torchaudio with the settings of configs/sync.yaml.
"""

import json
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import transformers.pytorch_utils
import transformers.utils
from make_listener_cases import stand_in
from seeded_weights import seeded_sounds, seeded_state
from torch import Tensor, nn

CASES = Path(__file__).resolve().parent / "cases" / "synchformer"
SEED, SAMPLES = 5, 80000 + 321


def prepare_imports(checkout: Path) -> None:
    """Make the published modules importable beside a newer transformers."""
    sys.path.insert(0, str(checkout))

    def undocumented(*_: object, **__: object):
        return lambda thing: thing

    for name in (
        "add_code_sample_docstrings",
        "add_start_docstrings",
        "add_start_docstrings_to_model_forward",
    ):
        setattr(transformers.utils, name, undocumented)
    for name in ("find_pruneable_heads_and_indices", "prune_linear_layer"):
        setattr(transformers.pytorch_utils, name, None)
    stand_in("omegaconf", OmegaConf=None)
    stand_in("timm")
    stand_in("timm.models")
    stand_in("timm.models.layers", trunc_normal_=nn.init.trunc_normal_)
    stand_in("motionformer_src")
    stand_in("motionformer_src.video_model_builder", VisionTransformer=nn.Module)


def build() -> nn.Module:
    """Everything but the visual branch, with the settings of configs/sync.yaml."""
    from model.modules.feat_extractors.audio import ast
    from model.modules.feat_extractors.audio.hf_src import modeling_ast
    from model.sync_model import GlobalTransformer

    modeling_ast.ASTPreTrainedModel.get_head_mask = lambda self, mask, layers: [None] * layers
    for name, value in {"chunk_size_feed_forward": 0, "use_return_dict": True}.items():
        if not hasattr(modeling_ast.ASTConfig(), name):
            setattr(modeling_ast.ASTConfig, name, value)
    network = nn.Module()
    network.afeat_extractor = ast.AST(
        extract_features=True,
        max_spec_t=66,
        factorize_freq_time=True,
        agg_freq_module="TransformerEncoderLayer",
        agg_time_module="torch.nn.Identity",
        add_global_repr=False,
    )
    network.vproj, network.aproj = nn.Linear(768, 768), nn.Linear(768, 768)
    network.transformer = GlobalTransformer(
        tok_pdrop=0.0,
        embd_pdrop=0.1,
        resid_pdrop=0.1,
        attn_pdrop=0.1,
        n_layer=3,
        n_head=8,
        n_embd=768,
        pos_emb_cfg={
            "target": "model.modules.transformer.RandInitPositionalEncoding",
            "params": {"block_shape": [198], "n_embd": 768},
        },
        off_head_cfg={"target": "torch.nn.Linear", "params": {"in_features": 768, "out_features": 21}},
    )
    return network.eval()


def spectrograms(samples: Tensor) -> Tensor:
    """(S, 128, 66) as the transforms of configs/sync.yaml make them, in segments as in av-benchmark."""
    from torchaudio.transforms import MelSpectrogram

    segments = torch.stack([samples[start : start + 10240] for start in range(0, len(samples) - 10239, 5120)])
    mel = MelSpectrogram(sample_rate=16000, win_length=400, hop_length=160, n_fft=1024, n_mels=128)
    logarithm = nn.functional.pad(torch.log(mel(segments) + 1e-6), (0, 1), "constant", 0.0)
    return (logarithm - -4.2677393) / (2 * 4.5689974)


@torch.no_grad()
def main() -> None:
    prepare_imports(Path(sys.argv[1]))
    from model.sync_model import Synchformer

    network = build()
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({key: torch.from_numpy(value) for key, value in seeded_state(shapes).items()})
    x = spectrograms(torch.from_numpy(seeded_sounds(SEED, 1, SAMPLES, 16000)[0]))
    seen = torch.from_numpy(np.random.RandomState(SEED).random_sample((1, 14, 8, 768)).astype(np.float32))
    heard, _ = network.afeat_extractor(x[None].transpose(2, 3).contiguous())
    whole = SimpleNamespace(**dict(network.named_children()), compute_loss=lambda *_: None)
    whole.extract_vfeats = lambda vis, for_loop, vis_mask=None: vis
    whole.extract_afeats = types.MethodType(Synchformer.extract_afeats, whole)
    _, logits = Synchformer.forward(whole, seen, x[None, :, None])
    CASES.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(shape)}" for key, shape in shapes.items())
    (CASES / "keys_sound_and_comparison.json").write_text(f"{{\n{lines}\n}}\n")
    np.savez_compressed(
        CASES / "sound_and_comparison.npz",
        seed=SEED,
        samples=SAMPLES,
        spectra=x[:, ::16].numpy(),
        heard=heard[0, :, :, ::16].numpy(),
        logits=logits.numpy(),
    )
    for file in sorted(CASES.iterdir()):
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} KB")
    print(f"heard std {float(heard.std()):.3f}, logits std {float(logits.std()):.3f}")


if __name__ == "__main__":
    main()
