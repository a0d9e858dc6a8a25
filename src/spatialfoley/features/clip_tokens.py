"""Texts to the token numbers of CLIP, as open_clip makes them: lower case, start, end, zeros up to the full length.

The vocabulary is not part of this package: it comes with the checkpoint.
"""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTokenizer

_CURLY_QUOTES = str.maketrans(
    dict.fromkeys("\u02bc\u2018\u2019\u201a\u201b", "'") | dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
)


class ClipTokens:
    """The tokenizer of a checkpoint folder."""

    def __init__(self, tokenizer: CLIPTokenizer, source: str) -> None:
        """Wrap a tokenizer.

        Raises:
            ValueError: If it does not put start and end around a text; the message names `source`.
        """
        if tokenizer("")["input_ids"] != [tokenizer.bos_token_id, tokenizer.eos_token_id]:
            raise ValueError(
                f"the tokenizer in {source} does not put <|startoftext|> and <|endoftext|> around a text; "
                "copy vocab.json and merges.txt of the checkpoint again"
            )
        self._tokenizer = tokenizer
        self.vocabulary_size = len(tokenizer)

    @classmethod
    def load(cls, folder: Path) -> ClipTokens:
        """Read tokenizer.json, or vocab.json and merges.txt.

        Raises:
            ValueError: If they are missing or damaged.
        """
        # Without this check `transformers` makes up a vocabulary of three words and says nothing.
        if not (folder / "tokenizer.json").is_file() and not all(
            (folder / name).is_file() for name in ("vocab.json", "merges.txt")
        ):
            raise ValueError(
                f"{folder} holds no CLIP vocabulary, which texts need; copy tokenizer.json, or vocab.json and "
                "merges.txt, of the checkpoint into it"
            )
        try:
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # the reader raises errors of several kinds, bare Exception among them
            raise ValueError(
                f"the CLIP vocabulary in {folder} cannot be read ({str(error)[:120]}); copy it again"
            ) from error
        return cls(tokenizer, str(folder))

    def __call__(self, texts: Sequence[str], context_length: int) -> Tensor:
        """Token numbers (B, context_length), int64.

        A text that is too long is cut after its first `context_length` - 2 tokens; a warning says what was cut.

        Raises:
            ValueError: If `texts` is one text, not several.
        """
        if isinstance(texts, str):
            raise ValueError(f"texts is the one text {texts[:40]!r}; give a list of texts")
        rows = torch.zeros(len(texts), context_length, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            numbers = self._one(clean(text), context_length)
            row[: len(numbers)] = torch.tensor(numbers)
        return rows

    def _one(self, text: str, context_length: int) -> list[int]:
        encoded = self._tokenizer(text, return_offsets_mapping=True, verbose=False)
        numbers: list[int] = encoded["input_ids"]
        if len(numbers) <= context_length:
            return numbers
        kept = context_length - 1
        cut = text[encoded["offset_mapping"][kept][0] :]
        warnings.warn(
            f"the text has {len(numbers)} tokens (with start and end), but CLIP reads {context_length}; "
            f"this was cut from its end: {cut!r}",
            stacklevel=2,
        )
        return [*numbers[:kept], numbers[-1]]


def clean(text: str) -> str:
    """A text without HTML entities, curly quotes and repeated white space.

    open_clip also repairs wrongly decoded characters; a prompt from a keyboard has none.
    """
    plain = html.unescape(html.unescape(text)).translate(_CURLY_QUOTES)
    return re.sub(r"\s+", " ", plain).strip()
