"""Training of the plain codec and tuning of finished codecs, at a size for tests."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spatialfoley.codecs.plain import PlainCodec, PlainCodecConfig
from spatialfoley.codecs.stored import load_stored_codec
from spatialfoley.codecs.tiny import TinyCodec, TinyCodecConfig
from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.codecs.unicodec_config import UniCodecConfig, domain_tokens
from spatialfoley.codecs.unicodec_network import UniCodecNetwork
from spatialfoley.training.codec_task import CodecTask
from spatialfoley.training.codec_tuning_task import STFT_SIZES, CodecTuningTask, TunedStored, TunedUniCodec
from spatialfoley.training.loop import train
from spatialfoley.training.settings import RecipeError, TrainingSettings, read_recipe
from spatialfoley.training.sound_distance import MelDistance, spectral_share, waveform_share
from spatialfoley.training.tasks import make_task

RECIPES = Path(__file__).parents[2] / "recipes"
RATE_HZ = 16000
CACHE = {"clips": 4, "shard_clips": 2, "duration_s": 1.0}
PLAIN = PlainCodecConfig(width=32, blocks=1, latent_dim=8, levels=1, vocabulary_size=64)
UNICODEC = UniCodecConfig(
    first_width=4,
    width=32,
    layers=1,
    expert_width=32,
    codebook_size=64,
    backbone_width=64,
    backbone_inner_width=48,
    backbone_layers=1,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips as rendered ones lie on disk: tones, in W, half as loud in Y, 40 dB below in Z, not at all in X."""
    folder = tmp_path_factory.mktemp("codecs")
    time_s = np.arange(RATE_HZ) / RATE_HZ
    clips = []
    for pitch_hz in (300, 500, 700):
        tone = 0.3 * np.sin(2 * np.pi * pitch_hz * time_s)
        clips.append(np.stack([tone, 0.5 * tone, 0.01 * tone, 0 * tone]))
    clips.append(np.zeros((4, RATE_HZ)))  # a silent clip, which is never drawn
    for shard in range(2):
        (folder / "cache" / f"shard-{shard:05d}").mkdir(parents=True)
        foa = np.round(np.stack(clips[2 * shard : 2 * shard + 2]) * 32767).astype(np.int16)
        np.save(folder / "cache" / f"shard-{shard:05d}" / "foa.npy", foa)
    described = {"first_seed": 0, "duration_s": 1.0, "frame_rate_hz": 20, "size_px": 56, "rate_hz": RATE_HZ}
    (folder / "cache" / "settings.json").write_text(json.dumps({**described, "shard_clips": 2}))
    torch.manual_seed(0)
    tiny = TinyCodecConfig(width=16, blocks=1, latent_dim=4, shape_levels=1, vocabulary_size=64)
    for name, codec in (("plain", PlainCodec(PLAIN)), ("tiny", TinyCodec(tiny))):
        (folder / name).mkdir()
        (folder / name / "codec.json").write_text(json.dumps(dataclasses.asdict(codec.config)))
        save_file(
            {key: value.half() for key, value in codec.state_dict().items()},
            folder / name / "codec.safetensors",
        )
    (folder / "unicodec").mkdir()
    state = {key: value.contiguous() for key, value in UniCodecNetwork(UNICODEC).state_dict().items()}
    save_file(state, folder / "unicodec" / "unicode.safetensors")
    return folder


def recipe(root: Path, name: str, *more: str) -> TrainingSettings:
    cache = [f"data.{key}={value}" for key, value in {"folder": root / "cache", **CACHE}.items()]
    return read_recipe(RECIPES / f"{name}.yaml", ["steps=2", "batch_size=4", *cache, *more])


def tuning(root: Path, source: str, *more: str) -> TrainingSettings:
    name = "unicodec_finetune" if source == "unicodec" else "plain_codec_tuned"
    small = ("objective.crop_s=0.24", "data.rate_hz=16000", "precision=float32")
    return recipe(root, name, f"initialize_from={root / source}", *small, *more)


def lessons(task: CodecTuningTask, steps: int, learning_rate: float) -> list[float]:
    """Losses on one batch, step by step."""
    learning = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=learning_rate)
    batch = task.batch(torch.Generator().manual_seed(0))
    losses = []
    for _ in range(steps):
        loss, _ = task.loss(task.model, batch, torch.Generator().manual_seed(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", ["plain_codec_rvq", "plain_codec_single"])
def test_a_plain_codec_is_trained_by_its_recipe(root: Path, tmp_path: Path, name: str) -> None:
    small = ("model.width=16", "model.blocks=1", "model.latent_dim=4", "objective.crop_s=0.5")
    settings = recipe(root, name, f"output={tmp_path / name}", *small)
    train(make_task(settings), settings)
    codec = load_stored_codec(tmp_path / name)
    assert isinstance(codec, PlainCodec)
    expected = {"plain_codec_rvq": (4, 512), "plain_codec_single": (1, 1024)}
    assert (codec.levels, codec.vocabulary_size) == expected[name]
    codes = codec.encode(torch.zeros(1, 4, 640))
    assert codes.shape == (1, 2, 4 * codec.levels)


def test_an_unknown_kind_of_codec_is_refused(root: Path) -> None:
    with pytest.raises(
        RecipeError, match="kind in the recipe's model is 'opus'; it must be 'plain', or left"
    ):
        CodecTask(recipe(root, "plain_codec_single", "model.kind=opus"))
    with pytest.raises(RecipeError, match="vocabulary_size is 1; it must be at least 2"):
        CodecTask(recipe(root, "plain_codec_single", "model.vocabulary_size=1"))


def test_channels_are_drawn_at_their_level_and_silent_clips_are_not(root: Path) -> None:
    task = CodecTuningTask(tuning(root, "plain", "batch_size=200"))
    batch = task.batch(torch.Generator().manual_seed(0))
    assert batch.shape == (200, round(0.24 * RATE_HZ))
    assert torch.equal(batch, task.batch(torch.Generator().manual_seed(0)))
    levels = (10 * (batch.square().mean(-1) + 1e-12).log10()).round()
    tone_db = 20 * math.log10(0.3 / math.sqrt(2))
    for expected in (tone_db, tone_db - 6, tone_db - 40, -120):
        share = ((levels - expected).abs() < 1).float().mean().item()
        assert share == pytest.approx(0.25, abs=0.1), expected


def test_quiet_sounds_count_as_much_as_loud_ones() -> None:
    """The same error of shape costs the same 40 dB below; and an error below the floor costs nothing."""
    generator = torch.Generator().manual_seed(0)
    loud, wrong = torch.randn(2, 1, 8000, generator=generator) * 0.2
    for distance in (
        lambda a, b: waveform_share(a, b, -80.0),
        lambda a, b: spectral_share(a, b, 512, -80.0),
        MelDistance(RATE_HZ, -80.0),
    ):
        at_full, far_below = distance(loud, wrong), distance(0.01 * loud, 0.01 * wrong)
        assert far_below.item() == pytest.approx(at_full.item(), rel=0.12)
        assert distance(loud, loud).item() == 0
        assert distance(1e-6 * loud, 1e-6 * wrong).item() < 0.02 * at_full.item()
        silence = torch.zeros_like(loud, requires_grad=True)
        distance(torch.zeros_like(loud), silence).backward()
        assert silence.grad is not None
        assert silence.grad.isfinite().all()
    assert waveform_share(loud, -loud, -80.0).item() == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize("source", ["plain", "tiny"])
@pytest.mark.parametrize("frozen", [True, False])
def test_tuning_lowers_the_loss_and_a_frozen_codebook_stays(root: Path, source: str, frozen: bool) -> None:
    task = CodecTuningTask(tuning(root, source, f"model.frozen_codebook={frozen}"))
    assert isinstance(task.model, TunedStored)
    quantizer = task.model.codec.quantizer
    before = {name: buffer.clone() for name, buffer in quantizer.named_buffers()}
    assert torch.equal(before["cluster_sum"], before["codebooks"]), "averages start at the shipped entries"
    losses = lessons(task, 25, 3e-3)
    assert losses[-1] < 0.85 * losses[0]
    same = {name: torch.equal(buffer, before[name]) for name, buffer in quantizer.named_buffers()}
    assert set(same.values()) == {frozen}, same


def test_a_tuned_codec_is_loaded_with_the_entries_it_had(root: Path, tmp_path: Path) -> None:
    settings = tuning(root, "plain", f"output={tmp_path / 'out'}", "model.frozen_codebook=true")
    train(make_task(settings), settings)
    (line,) = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    assert {"spectral", "waveform", "commitment"} <= set(json.loads(line))
    tuned, original = load_stored_codec(tmp_path / "out"), load_stored_codec(root / "plain")
    assert isinstance(tuned, PlainCodec)
    assert torch.equal(tuned.quantizer.codebooks, original.quantizer.codebooks)
    assert not torch.equal(tuned.enter.weight, original.enter.weight)


def test_unicodec_is_tuned_at_its_rate_in_one_domain(root: Path) -> None:
    task = CodecTuningTask(tuning(root, "unicodec"))
    assert isinstance(task.model, TunedUniCodec)
    assert task.model.allowed == domain_tokens("audio", 64) == range(32, 64)
    assert task.objective.mel_weight == 450
    assert task.batch(torch.Generator().manual_seed(0)).shape == (4, round(0.24 * 24000))
    network = task.model.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = lessons(task, 12, 1e-3)
    assert losses[-1] < 0.9 * losses[0]
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    codebook = "feature_extractor.encodec.quantizer.vq"
    assert f"{codebook}.embedding.weight" not in moved
    assert f"{codebook}.embedding_proj.weight" in moved
    for part in ("feature_extractor.encodec.encoder.model.0", "backbone.embed", "head.out"):
        assert any(name.startswith(part) for name in moved), part
    codes = UniCodec(network, "2").encode(torch.zeros(1, 4, 960))
    assert int(codes.min()) >= 32


def test_unicodec_comes_back_from_disk_and_its_entries_move_when_told(root: Path, tmp_path: Path) -> None:
    entries = {}
    for frozen in (True, False):
        out = tmp_path / str(frozen)
        settings = tuning(
            root, "unicodec", f"output={out}", f"model.frozen_codebook={frozen}", "model.domain='2'"
        )
        train(make_task(settings), settings)
        entries[frozen] = UniCodec.load(out).network.codebook.embedding.weight
    (before,) = (
        value
        for name, value in load_file(root / "unicodec" / "unicode.safetensors").items()
        if name.endswith("vq.embedding.weight")
    )
    assert torch.equal(entries[True], before)
    assert not torch.equal(entries[False], before)


def test_bad_input_is_one_sentence(root: Path, tmp_path: Path) -> None:
    def refused(reason: str, source: str, *more: str) -> None:
        with pytest.raises(RecipeError, match=reason):
            CodecTuningTask(tuning(root, source, *more))

    refused("initialize_from is missing; give the folder", "plain", "initialize_from=null")
    refused(r"nowhere, which does not exist; give the folder", "nowhere")
    refused("domain is 'rain'; give one of speech, music, audio, all", "unicodec", "model.domain=rain")
    refused("domain is 2; it must be of type str", "unicodec", "model.domain=2")
    refused("domain is 'audio', but the codec in .* has none; leave it out", "plain", "model.domain=audio")
    refused("crop_s is 3.0, longer than a clip", "plain", "objective.crop_s=3.0")
    refused("crop_s is 0.1; it must be at least 0.2", "plain", "objective.crop_s=0.1")
    refused(f"must lie in 1 to {len(STFT_SIZES)}", "plain", "objective.resolutions_per_step=9")
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "codec.json").write_text('{"kind": "opus"}')
    save_file({"x": torch.zeros(1)}, strange / "codec.safetensors")
    refused("is 'opus'; it must be 'plain', or left out", str(strange))


def test_clips_without_sound_are_refused(root: Path, tmp_path: Path) -> None:
    shard = tmp_path / "cache" / "shard-00000"
    shard.mkdir(parents=True)
    np.save(shard / "foa.npy", np.zeros((2, 4, RATE_HZ), np.int16))
    shutil.copy(root / "cache" / "settings.json", tmp_path / "cache")
    task = CodecTuningTask(tuning(root, "plain", f"data.folder={tmp_path / 'cache'}", "data.clips=2"))
    with pytest.raises(RecipeError, match="1000 crops in a row are below -60 dB"):
        task.batch(torch.Generator().manual_seed(0))


def test_an_uncertain_estimate_is_best_at_the_level_of_the_original() -> None:
    """Half of the amplitude is right, the rest unrelated: a squared error wants 6 dB less, shares do not."""
    sound, other = torch.randn(2, 1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    guess = 0.5 * sound + 0.75**0.5 * other
    gains = [10 ** (db / 20) for db in range(-12, 13, 2)]
    shares = [waveform_share(sound, gain * guess, -60.0).item() for gain in gains]
    squares = [(sound - gain * guess).square().mean().item() for gain in gains]
    assert range(-12, 13, 2)[int(np.argmin(shares))] == 0
    assert range(-12, 13, 2)[int(np.argmin(squares))] == -6
