import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from spatialfoley.evaluation.metrics.synchrony import DesyncScore
from spatialfoley.evaluation.networks.synchformer_pair import PairConfig, SynchformerPair, SyncScorer
from spatialfoley.evaluation.networks.synchformer_sound import SoundConfig
from spatialfoley.features.synchformer import SynchformerConfig
from tests.parity.cases import shared_folder

TINY = PairConfig(
    visual=SynchformerConfig(width=16, layers=1, heads=2, size_px=32),
    sound=SoundConfig(width=16, layers=1, heads=2, mel_bands=36),
    width=24,
    layers=2,
    heads=4,
)


def random_pair(config: PairConfig = TINY) -> SynchformerPair:
    generator = torch.Generator().manual_seed(0)
    model = SynchformerPair(config).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return model


def random_clip(seconds: float, seed: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    frames = random.integers(0, 256, (round(seconds * 25), 32, 32, 3), dtype=np.uint8)
    return frames, (0.1 * random.standard_normal(round(seconds * 16000))).astype(np.float32)


def pair_that_says(offset_class: int) -> SynchformerPair:
    model = random_pair()
    model.transformer.off_head.weight.data.zero_()
    model.transformer.off_head.bias.data.copy_(torch.eye(21)[offset_class])
    return model


def test_published_size_has_513_tensors_and_237_million_parameters() -> None:
    with torch.device("meta"):
        state = SynchformerPair(PairConfig()).state_dict()
    assert len(state) == 513
    assert sum(value.numel() for value in state.values()) == 237_460_245
    assert state["transformer.pos_emb_cfg.pos_emb"].shape == (1, 198, 768)  # 1 + 14 x 8 + 1 + 14 x 6


def test_names_and_shapes_are_the_published_ones() -> None:
    file = shared_folder() / "reference" / "codecs" / "synchformer_keys.json"
    if not file.is_file():
        pytest.skip(f"no {file.name} in the folder of reference cases (set SPATIALFOLEY_SHARED_DIR)")
    published = {key: tuple(shape) for key, shape in json.loads(file.read_text()).items()}
    with torch.device("meta"):
        state = SynchformerPair(PairConfig()).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == published


@torch.no_grad()
def test_comparison_is_a_plain_encoder_over_off_picture_mod_sound() -> None:
    model = random_pair()
    ours = model.transformer
    layer = nn.TransformerEncoderLayer(24, 4, 96, activation="gelu", batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(24), enable_nested_tensor=False).eval()
    encoder.norm.load_state_dict(ours.ln_f.state_dict())
    for block, target in zip(ours.blocks, encoder.layers, strict=True):
        attn = block.attn
        order = [attn["query"], attn["key"], attn["value"]]
        target.load_state_dict(
            {
                "self_attn.in_proj_weight": torch.cat([part.weight for part in order]),
                "self_attn.in_proj_bias": torch.cat([part.bias for part in order]),
                **{f"self_attn.out_proj.{key}": value for key, value in attn["proj"].state_dict().items()},
                **{f"linear1.{key}": value for key, value in block.mlp[0].state_dict().items()},
                **{f"linear2.{key}": value for key, value in block.mlp[2].state_dict().items()},
                **{f"norm1.{key}": value for key, value in block.ln1.state_dict().items()},
                **{f"norm2.{key}": value for key, value in block.ln2.state_dict().items()},
            }
        )
    generator = torch.Generator().manual_seed(4)
    seen = torch.randn(2, 14, 8, 16, generator=generator)
    heard = torch.randn(2, 14, 6, 16, generator=generator)
    x = torch.zeros(2, 198, 24)
    x[:, 0] = ours.OFF_tok[0, 0]
    x[:, 113] = ours.MOD_tok[0, 0]
    for segment in range(14):
        picture, sound = model.vproj(seen[:, segment]), model.aproj(heard[:, segment])
        x[:, 1 + 8 * segment : 9 + 8 * segment] = ours.vis_in_lnorm(picture)
        x[:, 114 + 6 * segment : 120 + 6 * segment] = ours.aud_in_lnorm(sound)
    expected = ours.off_head(encoder(x + ours.pos_emb_cfg["pos_emb"])[:, 0])
    torch.testing.assert_close(model(seen, heard), expected, atol=3e-6, rtol=3e-6)


@pytest.mark.parametrize(("offset_class", "offset_s"), [(0, -2.0), (10, 0.0), (15, 1.0), (20, 2.0)])
def test_the_class_becomes_seconds(offset_class: int, offset_s: float) -> None:
    frames, mono = random_clip(5.0)
    score = SyncScorer(pair_that_says(offset_class))(frames, mono, 16000)
    assert score == DesyncScore(offset_s, offset_s)
    assert score.mean_abs_s == abs(offset_s)


def test_score_is_that_of_the_first_and_the_last_14_segments() -> None:
    scorer = SyncScorer(random_pair())
    frames, mono = random_clip(5.6)  # 16 segments
    seen, heard = scorer.see(frames), scorer.hear(mono, 16000)
    assert (seen.shape, heard.shape) == ((16, 8, 16), (16, 6, 16))
    with torch.no_grad():
        expected = torch.cat([scorer.model(seen[None, s], heard[None, s]) for s in (slice(14), slice(2, 16))])
    found = scorer.logits(seen, heard)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-4, "the two windows differ"
    assert scorer(frames, mono, 16000) == scorer.compare(seen, heard)


def test_of_a_long_clip_the_two_ends_give_the_same_as_all_of_it() -> None:
    scorer = SyncScorer(random_pair())
    frames, mono = random_clip(10.3)  # 31 segments, of which three are in neither window
    logits: list[NDArray[np.float32]] = []
    original = scorer.logits

    def kept(seen: torch.Tensor, heard: torch.Tensor) -> NDArray[np.float32]:
        logits.append(original(seen, heard))
        return logits[-1]

    scorer.logits = kept  # type: ignore[method-assign]
    ends = scorer(frames, mono, 16000)
    everything = scorer.compare(scorer.see(frames), scorer.hear(mono, 16000))
    assert ends == everything
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-5)


def test_one_picture_is_looked_at_once_for_several_sounds() -> None:
    scorer = SyncScorer(random_pair())
    looked_at: list[int] = []
    visual = scorer._visual

    def counted(frames: NDArray[np.uint8]) -> torch.Tensor:
        looked_at.append(len(frames))
        return visual(frames)

    scorer._visual = counted  # type: ignore[assignment]
    frames, mono = random_clip(10.3)
    other, _ = random_clip(5.0, seed=2)
    first = scorer(frames, mono, 16000)
    scorer(frames.copy(), mono[::-1].copy(), 16000)
    assert looked_at == [120, 120], "both ends, once"
    seen = scorer.see(other)
    torch.testing.assert_close(seen, SyncScorer(random_pair()).see(other), atol=0, rtol=0)
    assert scorer(frames, mono, 16000) == first
    assert len(looked_at) > 3, "only the last clip is kept"


def test_more_sound_than_picture_is_left_out_at_its_end() -> None:
    scorer = SyncScorer(random_pair())
    frames, mono = random_clip(6.0)
    assert scorer(frames[:125], mono, 16000) == scorer(frames[:125], mono[:80000], 16000)


def test_sound_at_another_rate_is_resampled() -> None:
    scorer = SyncScorer(random_pair())
    time_s = np.arange(5 * 48000) / 48000
    chirp = (0.3 * np.sin(2 * np.pi * (200 + 300 * time_s) * time_s)).astype(np.float32)
    at_48k, at_16k = scorer.hear(chirp, 48000), scorer.hear(chirp[::3], 16000)
    assert float((at_48k - at_16k).norm() / at_16k.norm()) < 0.02


def test_weights_from_disk_score_the_same_and_carry_their_hash(tmp_path: Path) -> None:
    model = random_pair()
    torch.save(model.state_dict(), tmp_path / "synchformer_state_dict.pth")
    loaded = SyncScorer.load(tmp_path / "synchformer_state_dict.pth", config=TINY)
    frames, mono = random_clip(5.0)
    found = loaded.logits(loaded.see(frames), loaded.hear(mono, 16000))
    scorer = SyncScorer(model)
    np.testing.assert_array_equal(found, scorer.logits(scorer.see(frames), scorer.hear(mono, 16000)))
    assert len(loaded.weights_sha256) == 64
    assert (loaded.frame_rate_hz, loaded.size_px) == (25, 32)


def test_known_model_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPATIALFOLEY_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(
        ValueError, match="synchformer is not on this machine, and DeSync needs it; 'spatialfoley"
    ):
        SyncScorer.load()
    (tmp_path / "models" / "synchformer").mkdir(parents=True)
    torch.save(random_pair().state_dict(), tmp_path / "models" / "synchformer" / "synchformer_state_dict.pth")
    assert len(SyncScorer.load(config=TINY).weights_sha256) == 64


def test_half_precision_gives_nearly_the_same(tmp_path: Path) -> None:
    torch.save(random_pair().state_dict(), tmp_path / "weights.pth")
    frames, mono = random_clip(5.0)
    full = SyncScorer.load(tmp_path, config=TINY)
    half = SyncScorer.load(tmp_path, dtype=torch.bfloat16, config=TINY)
    a, b = full.see(frames), half.see(frames)
    assert float((a - b).norm() / a.norm()) < 0.03
    torch.testing.assert_close(full.hear(mono, 16000), half.hear(mono, 16000), atol=0, rtol=0)


def test_weights_of_the_visual_branch_alone_are_refused(tmp_path: Path) -> None:
    state = {key: value for key, value in random_pair().state_dict().items() if key.startswith("vfeat")}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"does not fit the model: .* missing \(afeat_extractor\.ast"):
        SyncScorer.load(tmp_path, config=TINY)
    with pytest.raises(ValueError, match=r"nowhere\.pth does not exist; give a checkpoint folder or file"):
        SyncScorer.load(tmp_path / "nowhere.pth")


def test_clips_that_have_no_desync_are_refused() -> None:
    scorer = SyncScorer(random_pair())
    frames, mono = random_clip(5.0)
    for short in ((frames[:119], mono), (frames, mono[: round(4.79 * 16000)])):
        with pytest.raises(
            ValueError, match=r"the clip has 13 Synchformer segments .* needs 14, that is 4\.8 s"
        ):
            scorer(*short, 16000)
    with pytest.raises(ValueError, match=r"mono is silent .* not defined for silence"):
        scorer(frames, 0 * mono, 16000)
    with pytest.raises(ValueError, match="mono holds 1 NaN or infinite samples"):
        scorer(frames, np.where(np.arange(len(mono)) == 7, np.nan, mono), 16000)
    with pytest.raises(ValueError, match=r"mono has shape \(1, 80000\); give one waveform"):
        scorer(frames, mono[None], 16000)
    with pytest.raises(ValueError, match="frames is float32 of shape"):
        scorer(frames.astype(np.float32), mono, 16000)  # type: ignore[arg-type]


def test_other_numbers_of_segments_are_refused_by_the_network() -> None:
    with pytest.raises(ValueError, match="seen has 13 segments and heard 14; give 14 of each"):
        random_pair()(torch.zeros(1, 13, 8, 16), torch.zeros(1, 14, 6, 16))
    with pytest.raises(ValueError, match=r"width is 20; it must be a multiple of heads \(8\)"):
        PairConfig(width=20)
