"""The second model: Qwen3, or another that holds conversations, brings a description into the form of a caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from spatialfoley.dataset.captioning.answers import Unusable, parse_structured_caption
from spatialfoley.dataset.captioning.found import FoundModel
from spatialfoley.dataset.captioning.prompts import DISTIL_SYSTEM, distil_again, distil_question
from spatialfoley.dataset.captioning.writing import END_OF_TURN, network_of, tokenizer_of, write
from spatialfoley.dataset.captions import BiaudioCaption

Message = dict[str, str]


@dataclass(frozen=True)
class Distiller:
    """A language model that is asked for captions.

    Attributes:
        model: Where it comes from.
        network: With `generate`.
        tokenizer: Of the same folder.
    """

    model: FoundModel
    network: Any
    tokenizer: Any

    def distil(self, description: str, attempts: int, most_tokens: int) -> BiaudioCaption | Unusable:
        """The caption of a description, or why the last answer was none.

        Args:
            description: What the first model wrote.
            attempts: How often it is asked; after an answer that cannot be used it is told why.
            most_tokens: Of every answer.
        """
        talk: list[Message] = [
            {"role": "system", "content": DISTIL_SYSTEM},
            {"role": "user", "content": distil_question(description)},
        ]
        for attempt in range(attempts):
            answer = self._answer(talk, most_tokens)
            found = parse_structured_caption(answer)
            if isinstance(found, BiaudioCaption) or attempt == attempts - 1:
                return found
            talk += [
                {"role": "assistant", "content": answer},
                {"role": "user", "content": distil_again(found.sentence)},
            ]
        raise ValueError(f"attempts is {attempts}; it must be at least 1")

    def _answer(self, talk: list[Message], most_tokens: int) -> str:
        ids = torch.tensor([self._tokens(talk)], device=self.network.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        return write(self.network, self.tokenizer, inputs, most_tokens)

    def _tokens(self, talk: list[Message]) -> list[int]:
        """A conversation in the model's own form, or in that of Qwen where its folder does not say."""
        if getattr(self.tokenizer, "chat_template", None):
            # Models that can think aloud are told not to; others do not know the word and pass over it.
            text = self.tokenizer.apply_chat_template(
                talk, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        else:
            text = "".join(f"<|im_start|>{one['role']}\n{one['content']}{END_OF_TURN}\n" for one in talk)
            text += "<|im_start|>assistant\n"
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def load_distiller(model: FoundModel, device: torch.device, dtype: torch.dtype) -> Distiller:
    """Load it.

    Raises:
        WeightsError: Something is missing or does not fit.
    """
    from transformers import AutoModelForCausalLM

    return Distiller(model, network_of(AutoModelForCausalLM, model, device, dtype), tokenizer_of(model))
