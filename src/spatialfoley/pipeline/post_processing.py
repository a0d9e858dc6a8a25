"""What is done beside drawing tokens once: choosing among candidates, and sending the sound through other codecs.

Both are our reading of ViSAGe-SC's "reranking" and "codec chaining"; neither is done unless it is asked for. What
they need is loaded once for a pipeline, each with a line on its licence before its weights are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spatialfoley.codecs.chain import (
    ChainedCodec,
    chain_codec_record,
    chained,
    chained_blocks,
    load_chain_codec,
    locate_chain_codec,
)
from spatialfoley.media.audio import write_audio
from spatialfoley.media.sound_file import SoundFile
from spatialfoley.pipeline.reranking import Choice, Reranker, Show, refuse_absent
from spatialfoley.spatial.signal import ComputedSound, SpatialAudio

CHAIN_SHARE = 0.2
"""Part of the time that a sound takes which is told as spent in its chain, where it has one."""

Report = Callable[[float], None]


def refuse_missing(rerank: Sequence[str], chain: Sequence[str]) -> None:
    """Raise ValueError, with what to do, where a score or a codec is not on this machine; loads nothing."""
    for name in chain:
        locate_chain_codec(name)
    refuse_absent(rerank)


class PostProcessing:
    """Scores and codecs of one pipeline, loaded when they are first asked for."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = str(device)
        self._links: dict[str, ChainedCodec] = {}
        self._rerankers: dict[tuple[str, ...], Reranker] = {}

    def links(self, names: Sequence[str], show: Show | None = None) -> tuple[ChainedCodec, ...]:
        """Codecs by name.

        Args:
            names: Of `codecs.chain.CHAIN_CODECS`.
            show: Gets a line on the licence before weights are read; None logs it.

        Raises:
            ValueError: If one is unknown or not on this machine.
        """
        for name in names:
            if name not in self._links:
                self._links[name] = load_chain_codec(name, self._device, show or _log)
        return tuple(self._links[name] for name in names)

    def reranker(self, candidates: int, names: Sequence[str], show: Show | None = None) -> Reranker | None:
        """Scores by name, or None where there is nothing to choose.

        Args:
            candidates: Number of candidates.
            names: Of `reranking.SCORES`.
            show: As for `links`.

        Raises:
            ValueError: If a score is unknown, or needs what is not installed.
        """
        if candidates == 1:
            return None
        key = tuple(names)
        if key not in self._rerankers:
            self._rerankers[key] = Reranker.load(key, show or _log, self._device)
        return self._rerankers[key]

    def record(self, candidates: int, rerank: Sequence[str], chain: Sequence[str]) -> dict[str, Any]:
        """What a request says of both; nothing of what is not asked for: such requests stay as they were."""
        record: dict[str, Any] = {}
        reranker = self.reranker(candidates, rerank)
        if reranker is not None:
            record |= {"candidates": candidates, "rerank": list(rerank)}
            if reranker.weights:
                record["rerank_weights"] = {name: dict(about) for name, about in reranker.weights.items()}
        if chain:
            record["chain"] = [chain_codec_record(name) for name in chain]
        return record


def _log(line: str) -> None:
    logging.getLogger("spatialfoley").warning(line)


def sent_through(sound: SpatialAudio, links: Sequence[ChainedCodec]) -> SpatialAudio:
    """A sound after all codecs of a chain, each with one gain for the whole sound and all channels."""
    for link in links:
        sound = chained(sound, link)
    return sound


def sent_through_on_disk(
    sound: SoundFile,
    links: Sequence[ChainedCodec],
    folder: Path,
    report: Report = lambda fraction: None,
) -> SoundFile:
    """As `sent_through`, for a sound of any length: every codec reads one file and writes the next.

    Args:
        sound: The sound.
        links: The codecs.
        folder: Where the files are written.
        report: Told the fraction done.
    """
    given = sound
    for number, link in enumerate(links):
        before = sound

        def blocks(
            before: SoundFile = before, link: ChainedCodec = link, number: int = number
        ) -> Iterator[NDArray[np.float32]]:
            done = 0
            for block in chained_blocks(before, link):
                yield block
                done += block.shape[1]
                report((number + done / before.frames) / len(links))

        path = folder / f"chain{number + 1}.wav"
        write_audio(path, ComputedSound(before.rate_hz, before.layout, before.frames, blocks), "FLOAT")
        sound = SoundFile.open(path, before.layout)
        if before is not given:
            before.path.unlink()
    return sound


def generating_report(report: Report, chain: Sequence[str]) -> tuple[Report, Report]:
    """How the making of a sound and the way through its chain are told as one: a report for each."""
    share = 1 - CHAIN_SHARE if chain else 1.0
    return lambda part: report(part * share), lambda part: report(share + part * (1 - share))


def choices_to_tensors(choices: Sequence[Choice]) -> dict[str, Tensor]:
    """Choices as what is saved after every window: "chosen" (windows,) and "scores" (windows, names, N)."""
    if not choices:
        return {}
    scores = [list(choice.scores.values()) for choice in choices]
    return {
        "chosen": torch.tensor([choice.chosen for choice in choices]),
        "scores": torch.tensor(scores, dtype=torch.float64),
    }


def choices_from_tensors(tensors: Mapping[str, Tensor], names: Sequence[str]) -> tuple[Choice, ...]:
    """The inverse, with the names of the scores in their order."""
    if "chosen" not in tensors:
        return ()
    return tuple(
        Choice(int(chosen), dict(zip(names, (tuple(row) for row in scores.tolist()), strict=True)))
        for chosen, scores in zip(tensors["chosen"], tensors["scores"], strict=True)
    )


def sidecar_of(record: Mapping[str, Any], choices: Sequence[Choice]) -> dict[str, Any]:
    """What the sidecar says of both beside the request: the scores of every candidate, and who was chosen.

    Args:
        record: What is said of the request (`PostProcessing.record`).
        choices: One for each window.
    """
    said: dict[str, Any] = {}
    if choices:
        windows = [{"chosen": choice.chosen, "scores": _rounded(choice.scores)} for choice in choices]
        said["candidates"] = {"number": record["candidates"], "rerank": record["rerank"], "windows": windows}
        said["candidates"] |= {key: record[key] for key in ("rerank_weights",) if key in record}
    if "chain" in record:
        said["chain"] = record["chain"]
    return said


def _rounded(scores: Mapping[str, tuple[float, ...]]) -> dict[str, list[float]]:
    return {name: [round(value, 6) for value in values] for name, values in scores.items()}
