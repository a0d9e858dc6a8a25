"""What both models have in common: loading from a folder only, greedy decoding, reading only what is new."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spatialfoley.dataset.captioning.found import FoundModel
from spatialfoley.weights import WeightsError

END_OF_TURN = "<|im_end|>"


def tokenizer_of(model: FoundModel) -> Any:
    """The tokenizer in a model's folder.

    Raises:
        WeightsError: There is none that can be read.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(model.folder, local_files_only=True)
    except Exception as problem:  # the library raises many kinds for files that are missing or damaged
        raise WeightsError(
            f"the tokenizer in {model.folder} cannot be read ({_first_line(problem)}); "
            "its files belong into the model's folder"
        ) from problem


def network_of(kind: Any, model: FoundModel, device: torch.device, dtype: torch.dtype, **more: Any) -> Any:
    """The network of a folder, ready to write; code from the folder is never run.

    Args:
        kind: A class of transformers.
        model: Where it is.
        device: Where it shall work.
        dtype: In which numbers.
        more: For `from_pretrained`.

    Raises:
        WeightsError: The weights do not fit.
    """
    from transformers import GenerationConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # a build shows its own
    try:
        network, account = kind.from_pretrained(
            model.folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
            **more,
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as problem:
        raise WeightsError(
            f"{model.name} cannot be loaded from {model.folder}: {_first_line(problem)}"
        ) from problem
    absent = sorted(account["missing_keys"])
    if absent:
        raise WeightsError(
            f"{model.folder} lacks {len(absent)} weights of {model.name} ({absent[0]}, ...); fetch it again"
        )
    # Folders come with settings for lively conversation; captions shall be the same every time.
    network.generation_config = GenerationConfig()
    return network.to(device).eval()


def write(network: Any, tokenizer: Any, inputs: dict[str, Any], most_tokens: int) -> str:
    """What a network goes on to write: greedily, the most likely token every time.

    Args:
        network: With `generate`.
        tokenizer: Of the same folder.
        inputs: With `input_ids` (1, L).
        most_tokens: It is stopped after that many.
    """
    ends = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(END_OF_TURN)} - {None}
    first = min(ends) if ends else None
    with torch.inference_mode():
        rows: Tensor = network.generate(
            **inputs,
            do_sample=False,
            num_beams=1,
            max_new_tokens=most_tokens,
            eos_token_id=sorted(ends) or None,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else first,
        )
    new = rows[0, inputs["input_ids"].shape[1] :]
    text: str = tokenizer.decode(new, skip_special_tokens=True)
    return text.strip()


def whole_sentences(text: str) -> str:
    """A text without the sentence in whose middle its writer was stopped; as it is where no sentence is whole."""
    end = max(text.rfind(mark) for mark in ".!?")
    return text[: end + 1] if end >= 0 else text


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:200] if lines else type(problem).__name__
