"""UniCodec with random weights of a small size: what must hold whatever the weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.codecs.unicodec_config import UniCodecConfig, domain_mask, domain_tokens
from spatialfoley.codecs.unicodec_decoder import UniCodecHead
from spatialfoley.codecs.unicodec_encoder import UniCodecEncoder, _Experts, _mirrored, _rotary_turns, _turned
from spatialfoley.codecs.unicodec_network import UniCodecNetwork, nearest_entries
from spatialfoley.kernels.packed import unavailable_reason

SMALL = UniCodecConfig(
    first_width=4,
    width=32,
    layers=2,
    expert_width=48,
    codebook_size=64,
    backbone_width=64,
    backbone_inner_width=48,
    backbone_layers=2,
)


@pytest.fixture(scope="module")
def codec() -> UniCodec:
    torch.manual_seed(0)
    return UniCodec(UniCodecNetwork(SMALL))


def random_audio(channels: int = 4, samples: int = 2000, clips: int = 2) -> torch.Tensor:
    return torch.randn(clips, channels, samples, generator=torch.Generator().manual_seed(3)) * 0.3


def test_published_rates() -> None:
    config = UniCodecConfig()
    assert (config.rate_hz, config.hop_samples, config.rate_hz / config.hop_samples) == (24000, 320, 75)


def test_what_the_codec_says_of_itself(codec: UniCodec) -> None:
    assert (codec.rate_hz, codec.hop_samples, codec.frame_rate_hz, codec.levels) == (24000, 320, 75, 1)
    assert codec.vocabulary_size == 64


@pytest.mark.parametrize("samples", [1, 2, 319, 320, 321, 961, 2000])
def test_every_length_is_covered_by_whole_tokens(codec: UniCodec, samples: int) -> None:
    codes = codec.encode(random_audio(samples=samples))
    frames = -(-samples // 320)
    assert codes.shape == (2, frames, 4)
    assert codes.dtype == torch.int64
    sound = codec.decode(codes)
    assert sound.shape == (2, 4, frames * 320)
    assert sound.isfinite().all()


def test_channels_are_coded_as_if_alone(codec: UniCodec) -> None:
    audio = random_audio()
    codes = codec.encode(audio)
    assert torch.equal(codes[1:, :, 2:3], codec.encode(audio[1:, 2:3]))
    torch.testing.assert_close(codec.decode(codes)[1:, 2:3], codec.decode(codes[1:, :, 2:3]))


@pytest.mark.parametrize("domain", ["speech", "music", "audio", "all"])
def test_tokens_are_of_the_domain(codec: UniCodec, domain: str) -> None:
    audio = random_audio()
    codes, allowed = codec.encode(audio, domain), domain_tokens(domain, 64)
    assert set(codes.unique().tolist()) <= set(allowed)
    own = UniCodec(codec.network, domain)
    assert torch.equal(own.encode(audio), codes)


def test_the_whole_codebook_takes_the_nearest_of_the_three_domains() -> None:
    generator = torch.Generator().manual_seed(1)
    vectors, entries = torch.randn(1, 50, 8, generator=generator), torch.randn(64, 8, generator=generator)
    chosen = nearest_entries(vectors, entries, [range(64)])[0]
    distances = (vectors[0][:, None] - entries).square().sum(-1)
    assert torch.equal(chosen, distances.argmin(-1))
    speech = nearest_entries(vectors, entries, [domain_tokens("0", 64)])[0]
    assert torch.equal(speech, distances[:, :16].argmin(-1))


def test_masks_of_three_domains_part_the_vocabulary() -> None:
    masks = [domain_mask(domain, 16384) for domain in ("speech", "music", "audio")]
    assert torch.equal(torch.stack(masks).sum(0), torch.ones(16384, dtype=torch.long))
    assert [int(mask.sum()) for mask in masks] == [4096, 4096, 8192]
    assert domain_mask("all", 16384).all()
    assert masks[2].nonzero().flatten().tolist() == list(domain_tokens("2", 16384))
    with pytest.raises(ValueError, match="domain is 'Audio'; give one of"):
        domain_mask("Audio", 16384)


def test_decoding_reads_the_codebook_through_its_projection() -> None:
    torch.manual_seed(2)
    network = UniCodecNetwork(SMALL)
    codes = torch.arange(12).view(1, 6, 2)
    before = UniCodec(network).decode(codes)
    with torch.no_grad():
        network.codebook.embedding_proj.weight.mul_(2.0)
    after = UniCodec(network).decode(codes)
    assert not torch.allclose(before, after, atol=1e-4)
    vectors = network.codebook.embedding_proj(network.codebook.embedding.weight[codes[0].T])
    with torch.no_grad():
        expected = network.head(network.backbone(vectors, torch.tensor([0])))
    torch.testing.assert_close(after[0], expected)


def test_only_the_projection_of_the_codebook_learns() -> None:
    codebook = UniCodecNetwork(SMALL).codebook
    codebook.entries().sum().backward()
    assert codebook.embedding.weight.grad is None
    assert codebook.embedding_proj.weight.grad is not None


def test_fine_tuning_lowers_the_loss_and_leaves_the_entries() -> None:
    torch.manual_seed(10)
    network = UniCodecNetwork(SMALL)
    before = network.codebook.embedding.weight.clone()
    sound = 0.3 * torch.sin(torch.arange(2 * 3000).view(2, 3000) * 0.13)
    allowed = [domain_tokens("audio", 64)] * 2
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=1e-3)
    losses = []
    for _ in range(12):
        back, commitment = network.reconstruct(sound, allowed)
        assert back.shape == sound.shape
        loss = (back - sound).square().mean() + commitment
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert torch.equal(network.codebook.embedding.weight, before)
    assert network.codebook.embedding_proj.weight.grad is not None
    # Every layer that coding uses learns, but experts that no token chose.
    idle = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert all(".experts." in name for name in idle), idle


def test_frames_of_a_sound_overlap_to_the_sound() -> None:
    inverse = UniCodecHead(SMALL).istft
    sound = torch.randn(2, 320 * 9, generator=torch.Generator().manual_seed(4))
    padded = functional.pad(sound, (480, 480))
    frames = padded.unfold(-1, 1280, 320) * inverse.window
    assert frames.shape[1] == 9
    torch.testing.assert_close(inverse(torch.fft.rfft(frames)), sound, atol=1e-5, rtol=0)


def test_attention_sees_distances_of_time_only() -> None:
    generator = torch.Generator().manual_seed(5)
    turns = _rotary_turns(20, 8, torch.device("cpu"))
    query, key = torch.randn(2, 1, 8, generator=generator).expand(2, 20, 8)
    products = _turned(query, turns) @ _turned(key, turns).T
    for distance in (0, 3, 11):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=1e-4)
    # The first pair of neighbouring numbers turns by one radian per step.
    turned = _turned(torch.tensor([[1.0, 0.0] * 4] * 2), turns[:2])
    torch.testing.assert_close(
        turned[1, :2], torch.tensor([1.0, 1.0]).mul(torch.tensor([0.5403023, 0.8414710]))
    )


def test_one_expert_weighed_by_its_probability_beside_the_shared_one() -> None:
    torch.manual_seed(6)
    experts = _Experts(SMALL)
    hidden = torch.randn(2, 7, 32)
    with torch.no_grad():
        probabilities = experts.gate(hidden).softmax(-1)
        expected = experts.shared_experts(hidden)
        for item in range(2):
            for time in range(7):
                best = int(probabilities[item, time].argmax())
                weighed = experts.experts[best](hidden[item, time]) * probabilities[item, time, best]
                expected[item, time] += weighed
        torch.testing.assert_close(experts(hidden), expected)


def test_ends_are_mirrored_and_short_ends_followed_by_silence_first() -> None:
    sound = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert _mirrored(sound, 2, 1).flatten().tolist() == [3, 2, 1, 2, 3, 2]
    assert _mirrored(sound[..., :1], 2, 1).flatten().tolist() == [0, 0, 1, 0]


def test_the_encoder_is_centred_on_its_tokens() -> None:
    """A click in the middle of a token moves the same token's vector, and its neighbours alike."""
    torch.manual_seed(7)
    encoder = UniCodecEncoder(UniCodecConfig(first_width=4, width=32, layers=0))
    for module in encoder.modules():
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
            assert module.bias is not None
            torch.nn.init.zeros_(module.bias)
    click = torch.zeros(1, 320 * 21)
    click[0, 320 * 10 + 159 : 320 * 10 + 161] = 1.0
    with torch.no_grad():
        strength = encoder.convolve(click)[0].sum(-1)
    centre = float((strength * torch.arange(21)).sum() / strength.sum())
    assert abs(centre - 10.0) < 0.005


@pytest.mark.skipif(unavailable_reason(torch.bfloat16) is not None, reason="no bfloat16 on this machine")
def test_decoding_in_bfloat16_is_close(codec: UniCodec) -> None:
    quick = UniCodec(codec.network, kernel="bfloat16")
    codes = torch.randint(64, (2, 40, 3), generator=torch.Generator().manual_seed(9))
    exact, made = codec.decode(codes), quick.decode(codes)
    assert not torch.equal(made, exact)
    assert (made - exact).norm() < 0.02 * exact.norm()
    assert torch.equal(quick.encode(random_audio()), codec.encode(random_audio()))
    assert torch.equal(codec.decode(codes), exact), "the exact codec keeps its own weights"


def test_layouts_on_disk(codec: UniCodec, tmp_path: Path) -> None:
    torch.manual_seed(8)
    network = UniCodecNetwork(UniCodecConfig(**{**vars(SMALL), "width": 64, "heads": 8}))
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    torch.save({"state_dict": state, "hyper_parameters": {"lr": 5e-5}}, tmp_path / "unicode.ckpt")
    audio, expected = random_audio(), UniCodec(network).encode(random_audio())
    for path in (tmp_path, tmp_path / "model.safetensors", tmp_path / "unicode.ckpt"):
        assert torch.equal(UniCodec.load(path).encode(audio), expected)


def test_foreign_and_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"decoder.model.0.weight": torch.zeros(3)}}, tmp_path / "other.ckpt")
    with pytest.raises(
        ValueError, match=r"other\.ckpt is no UniCodec checkpoint: .* is missing; give unicode"
    ):
        UniCodec.load(tmp_path / "other.ckpt")
    state = UniCodecNetwork(SMALL).state_dict()
    del state["backbone.embed.bias"]
    with pytest.raises(ValueError, match=r"1 missing \(backbone\.embed\.bias\)"):
        UniCodecNetwork.from_state(state)
    extra = UniCodecNetwork(SMALL).state_dict() | {"head.second.weight": torch.zeros(2)}
    with pytest.raises(ValueError, match=r"1 unexpected \(head\.second\.weight\)"):
        UniCodecNetwork.from_state(extra)
    torch.save({"state_dict": state, "callbacks": {"path": Path("x")}}, tmp_path / "code.ckpt")
    with pytest.raises(ValueError, match="could run code; convert it to safetensors"):
        UniCodec.load(tmp_path / "code.ckpt")


def test_bad_input_is_one_sentence(codec: UniCodec) -> None:
    with pytest.raises(ValueError, match="domain is 'rain'; give one of speech, music, audio, all"):
        codec.encode(random_audio(), "rain")
    with pytest.raises(ValueError, match="domain is '7'"):
        UniCodec(codec.network, "7")
    with pytest.raises(ValueError, match=r"samples has the shape \(4, 2000\)"):
        codec.encode(random_audio()[0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        codec.encode(random_audio() * torch.inf)
    with pytest.raises(ValueError, match="codes must lie in 0 to 63, but span 0 to 64"):
        codec.decode(torch.tensor([[[0], [64]]]))
    with pytest.raises(ValueError, match="at least 1 frame"):
        codec.decode(torch.zeros(1, 0, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="kernel is 'int8'; give plain or bfloat16"):
        UniCodec(codec.network, kernel="int8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="heads is 5; it must divide width 512"):
        UniCodecConfig(heads=5)
