"""Both language models at their smallest: the real classes with a few hundred random weights, saved as folders."""

from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniConfig,
    Qwen2_5OmniForConditionalGeneration,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from spatialfoley.dataset.captioning.prompts import DESCRIBE, DESCRIBE_SYSTEM, DISTIL, DISTIL_SYSTEM

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|AUDIO|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
    "<|IMAGE|>",
    "<|VIDEO|>",
    "<|vision_bos|>",
    "<|vision_eos|>",
)


def tokenizer(phrases: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """Bytes, the marks of Qwen, and whole phrases as single tokens: also the prompts, for the sake of time."""
    prompts = (DESCRIBE_SYSTEM, DESCRIBE, DISTIL_SYSTEM, DISTIL.partition("{description}")[0])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(mark, special=True) for mark in SPECIAL])
    core.add_tokens([AddedToken(phrase, normalized=False) for phrase in (*phrases, *prompts)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )


def omni_folder(folder: Path, says: tuple[str, ...] = (), whole: bool = False) -> Path:
    """A Qwen2.5-Omni that writes nonsense, or the given phrases one after the other.

    Args:
        folder: Where to.
        says: What it says.
        whole: As it is published: the writing part inside the whole model's folder.
    """
    words = tokenizer(says)
    ids = {mark: words.convert_tokens_to_ids(mark) for mark in SPECIAL}
    torch.manual_seed(0)
    config = Qwen2_5OmniThinkerConfig(
        audio_config={
            "d_model": 16,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 16,
            "num_mel_bins": 16,
            "output_dim": 32,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        text_config={
            "vocab_size": len(words),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
            "initializer_range": 0.2,
            "tie_word_embeddings": False,
        },
        audio_token_index=ids["<|AUDIO|>"],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        audio_start_token_id=ids["<|audio_bos|>"],
        audio_end_token_id=ids["<|audio_eos|>"],
        vision_start_token_id=ids["<|vision_bos|>"],
        vision_end_token_id=ids["<|vision_eos|>"],
        initializer_range=0.2,
    )
    network = Qwen2_5OmniThinkerForConditionalGeneration(config)
    if says:
        teach(network, words, says)
    if whole:
        model = Qwen2_5OmniForConditionalGeneration(
            Qwen2_5OmniConfig(thinker_config=config.to_dict(), enable_audio_output=False)
        )
        model.thinker.load_state_dict(network.state_dict())
        model.save_pretrained(folder)
    else:
        network.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def qwen3_folder(folder: Path, says: tuple[str, ...] = ()) -> Path:
    """A Qwen3 that writes nonsense, or the given phrases one after the other."""
    words = tokenizer(says)
    torch.manual_seed(1)
    config = Qwen3Config(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        initializer_range=0.2,
        tie_word_embeddings=False,
    )
    network = Qwen3ForCausalLM(config)
    if says:
        teach(network, words, says)
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def teach(network: torch.nn.Module, words: PreTrainedTokenizerFast, says: tuple[str, ...]) -> None:
    """Set the last layer so that a line break is followed by the first phrase, each by the next, then the end.

    Blocks add nothing to the residual stream then: what comes next depends on the last token alone.
    """
    chain = [words("\n", add_special_tokens=False)["input_ids"][0]]
    chain += [words.convert_tokens_to_ids(phrase) for phrase in (*says, "<|im_end|>")]
    embedding, head = network.get_input_embeddings().weight, network.get_output_embeddings().weight
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")) and "layers" in name:
                weight.zero_()
        head.zero_()
        for before, after in pairwise(chain):
            head[after] += embedding[before] / embedding[before].norm()
