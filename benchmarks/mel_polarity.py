"""What mel spectrograms, channel by channel, do not hold of sound fields and of two ears.

    python benchmarks/mel_polarity.py --clips 24 --duration-s 3 --out mel_polarity

Three questions, on held-out clips of the world with one source in view. Is the mel of a channel that of its
opposite? What comes back of direction and of the ears when every channel goes through its mel and phases are
invented, beside the latents of the tiny odd codec and the parametric form with true parameters? And how far does
a delay between the ears move a mel, beside 1 dB of level? The tables are written anew after every clip.
"""

import os

# One thread, or the libraries below would fight for the cores; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import spatialfoley
from spatialfoley.codecs.mel import MelConfig, MelSpectrogram
from spatialfoley.codecs.tiny import TinyCodec
from spatialfoley.conventions import W, Y
from spatialfoley.evaluation.metrics.direction import (
    left_right_confusion,
    weighted_angle_deg,
    window_directions,
)
from spatialfoley.evaluation.metrics.energy_overlap import covariances_over_time
from spatialfoley.evaluation.metrics.mel_inversion import invent_phases, linear_magnitudes, random_phases
from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.metrics.statistics import Interval, bootstrap_interval
from spatialfoley.evaluation.study.ablation import share_interval
from spatialfoley.evaluation.suite.clips import STEP_S, WINDOW_STEPS, ClipTruth, clip_truth
from spatialfoley.evaluation.suite.ears import score_ears
from spatialfoley.evaluation.suite.scores import reference_vectors
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.spatial.parametric import (
    apply_ear_parameters,
    apply_field_ratios,
    ear_parameters,
    field_ratios,
)
from spatialfoley.world import held_out_seed, make_scene

FRONT_ENDS = {"16 kHz": MelConfig.mmaudio_16k(), "44.1 kHz": MelConfig.mmaudio_44k()}
CODEC_FOLDER = Path(spatialfoley.__file__).parent / "embedded" / "tiny-visage"
ALIKE, APART = "the same start", "a start for each channel"
MAGNITUDE_STEPS, PHASE_STEPS = 30, 20
DELAYS_US = (100, 300, 700)
HEARD_DB = 60.0
"""Mel cells this far below the loudest one of a clip are not compared."""

COLUMNS = {
    "angle_deg": ("direction error °", ".1f"),
    "wrong_side": ("left for right", ".0%"),
    "delay_side_right": ("earlier ear right", ".0%"),
    "delay_error_us": ("time error µs", ".0f"),
    "coherence": ("coherence of ears", ".2f"),
    "louder_ear_right": ("louder ear right", ".0%"),
    "level_error_db": ("level error dB", ".1f"),
}
SHARES = ("wrong_side", "delay_side_right", "louder_ear_right")

Figures = dict[str, float | None]
Parts = dict[str, dict[str, list[Figures]]]
"""{part: {row: figures of every clip}}."""
Sounds = tuple[np.ndarray, np.ndarray]
"""Field (4, N) and ears (2, N) at the scoring rate."""


def mirror_differences(truth: ClipTruth) -> Figures:
    """Largest difference between the mels of a field and of the field from the opposite direction, by front end."""
    result: Figures = {}
    for name, config in FRONT_ENDS.items():
        front_end = MelSpectrogram(config)
        field = torch.from_numpy(resample(truth.field.samples, SCORE_RATE_HZ, config.rate_hz))
        opposite = torch.cat([field[:Y], -field[Y:]])
        result[name] = float((front_end(field) - front_end(opposite)).abs().max())
    return result


def through_mel(channels: np.ndarray, config: MelConfig, seed: int) -> dict[str, np.ndarray]:
    """Channels (C, N) at the scoring rate, each through its mel and back, by where the phases start.

    The same start for all channels is the best case: what is alike but for its level stays alike.
    """
    sound = torch.from_numpy(resample(channels, SCORE_RATE_HZ, config.rate_hz))
    magnitudes = linear_magnitudes(MelSpectrogram(config)(sound), config, MAGNITUDE_STEPS)
    frames, own = magnitudes.shape[-1], range(seed, seed + len(channels))
    starts: dict[str, Tensor] = {
        ALIKE: random_phases(config, frames, seed),
        APART: torch.stack([random_phases(config, frames, one) for one in own]),
    }
    found = {
        name: invent_phases(magnitudes, start, config, PHASE_STEPS).numpy() for name, start in starts.items()
    }
    return {
        name: fit_length(resample(wave, config.rate_hz, SCORE_RATE_HZ), channels.shape[1])
        for name, wave in found.items()
    }


def systems(truth: ClipTruth, codec: TinyCodec, seed: int) -> Iterator[tuple[str, Sounds]]:
    """Name, field and ears of everything compared, one after the other."""
    field, ears = truth.field.samples, truth.ears.ears
    both = np.concatenate([field, ears]).astype(np.float32)
    yield "truth", (field, ears)
    coded = codec.channel_sound(*codec.channel_latents(torch.from_numpy(both))).numpy()
    yield "latents of the tiny odd codec", split(coded, both)
    ratios, parameters = field_ratios(field, SCORE_RATE_HZ), ear_parameters(ears, field[W], SCORE_RATE_HZ)
    mono: dict[str, np.ndarray] = {"true W": field[W]}
    made: dict[str, Sounds] = {}
    for name, config in FRONT_ENDS.items():
        for start, found in through_mel(both, config, seed).items():
            made[f"mel {name}, {start}"] = split(found, both)
            if start == ALIKE:
                mono[f"W from its mel {name}"] = found[W]
    for name, sound in mono.items():
        yield (
            f"parametric, {name}",
            (
                apply_field_ratios(sound, ratios, SCORE_RATE_HZ),
                apply_ear_parameters(sound, *parameters, SCORE_RATE_HZ),
            ),
        )
    yield from made.items()


def split(channels: np.ndarray, like: np.ndarray) -> Sounds:
    """Field and ears of six channels, as long as others."""
    fitted = fit_length(channels, like.shape[1])
    return fitted[:4], fitted[4:]


def score(truth: ClipTruth, sounds: Sounds) -> Figures:
    """Figures of COLUMNS of one field and of two ears."""
    field, ears = sounds
    directions = window_directions(covariances_over_time(field, SCORE_RATE_HZ, 1 / (WINDOW_STEPS * STEP_S)))
    reference = reference_vectors(truth, field, directions)
    heard = asdict(score_ears(truth.ears, ears))
    # Left and right of the field's own axes: what the sign of Y says.
    wrong_side = left_right_confusion(reference, directions)
    figures: Figures = {
        "angle_deg": weighted_angle_deg(reference, directions),
        "wrong_side": wrong_side,
    }
    return figures | {name: heard[name] for name in COLUMNS if name in heard}


def mel_distances_db(truth: ClipTruth) -> Figures:
    """Mean absolute change of the heard mel cells in dB by 1 dB of level and by delays of the whole sound."""
    result: Figures = {}
    for name, config in FRONT_ENDS.items():
        front_end = MelSpectrogram(config)
        sound = torch.from_numpy(
            resample(truth.field.samples[:1], SCORE_RATE_HZ, config.rate_hz)[0].astype(np.float32)
        )
        per_step_db = 20.0 if config.log == "log10" else 20.0 / float(np.log(10))
        level_db = per_step_db * front_end(sound)
        heard = level_db > level_db.max() - HEARD_DB
        changed = {"level": sound * 10 ** (1 / 20)} | {
            f"{delay_us} µs": delayed(sound, config.rate_hz * delay_us * 1e-6) for delay_us in DELAYS_US
        }
        for what, other in changed.items():
            moved = (per_step_db * front_end(other) - level_db).abs()[heard]
            result[f"{name} {what}"] = float(moved.mean())
    return result


def delayed(sound: Tensor, samples: float) -> Tensor:
    """Sound (N,) later by a fraction of samples or more."""
    room = 2 * sound.shape[-1]
    turn = torch.exp(-2j * torch.pi * samples / room * torch.arange(room // 2 + 1))
    return torch.fft.irfft(torch.fft.rfft(sound, room) * turn, room)[: sound.shape[-1]]


def measure(clips: int, seed: int, duration_s: float) -> Iterator[Parts]:
    """Figures of all clips so far, after every clip."""
    codec = TinyCodec.load(CODEC_FOLDER)
    parts: Parts = {"mirror": {}, "systems": {}, "distances": {}}
    for index in range(clips):
        scene_seed = held_out_seed(index, seed)
        scene = make_scene(
            scene_seed, kind="in_view", camera="turning" if index % 2 else "static", duration_s=duration_s
        )
        truth = clip_truth(scene)
        parts["mirror"].setdefault("mirror", []).append(mirror_differences(truth))
        parts["distances"].setdefault("distances", []).append(mel_distances_db(truth))
        for name, sounds in systems(truth, codec, 100 * index):
            parts["systems"].setdefault(name, []).append(score(truth, sounds))
        print(f"\rclip {index + 1} of {clips} ", end="", file=sys.stderr, flush=True)
        yield parts
    print(file=sys.stderr)


def interval(values: Sequence[float | None], share: bool) -> Interval | None:
    """Median with its interval, or the mean of shares; undefined clips left out."""
    defined = [value for value in values if value is not None]
    if not defined:
        return None
    return share_interval([defined]) if share else bootstrap_interval(defined)


def summary(rows: dict[str, list[Figures]]) -> dict[str, dict[str, Interval | None]]:
    """Intervals of every row and figure."""
    return {
        name: {key: interval([figures[key] for figures in clips], key in SHARES) for key in clips[0]}
        for name, clips in rows.items()
    }


def report(figures: dict[str, dict[str, dict[str, Interval | None]]], settings: dict[str, Any]) -> str:
    """The tables as Markdown."""
    headings = [heading for heading, _ in COLUMNS.values()]
    lines = [
        f"{settings['clips']} held-out clips of {settings['duration_s']:g} s, one source in view, every second "
        f"camera turns; suite seed {settings['seed']}. Medians (shares: means) and, in brackets, 95 % intervals by "
        "clip.",
        "",
        f"| | {' | '.join(headings)} |",
        "|---" * (len(headings) + 1) + "|",
    ]
    for name, row in figures["systems"].items():
        cells = [cell(row[key], form) for key, (_, form) in COLUMNS.items()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    moved = figures["distances"]["distances"]
    changes = ["level", *(f"{delay_us} µs" for delay_us in DELAYS_US)]
    lines += ["", "| mel moves by, dB | 1 dB of level |" + "".join(f" {d} µs of delay |" for d in DELAYS_US)]
    lines.append("|---" * (len(changes) + 1) + "|")
    for name in FRONT_ENDS:
        cells = [cell(moved[f"{name} {change}"], ".2f") for change in changes]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    largest = ", ".join(f"{settings['mirror'][name]:g} at {name}" for name in FRONT_ENDS)
    lines += ["", f"Largest difference between the mels of a field and of Y, Z, X turned round: {largest}."]
    lines.append(f"CPU time: {settings['cpu_s']:.0f} s.")
    return "\n".join(lines) + "\n"


def cell(figure: Interval | None, form: str) -> str:
    """A figure with its interval."""
    if figure is None:
        return "–"
    return f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write Markdown and JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0, help="which held-out clips")
    parser.add_argument("--duration-s", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("mel_polarity"))
    chosen = parser.parse_args(arguments)
    if chosen.clips < 2:
        parser.error(f"--clips is {chosen.clips}; intervals need 2 clips or more")
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    text = ""
    for parts in measure(chosen.clips, chosen.seed, chosen.duration_s):
        text = write(parts, {"seed": chosen.seed, "duration_s": chosen.duration_s}, chosen.out)
    print(text)


def write(parts: Parts, settings: dict[str, Any], out: Path) -> str:
    """Markdown, which is returned, and JSON of the clips so far."""
    mirror = parts["mirror"]["mirror"]
    largest = {
        name: max(value for clip in mirror if (value := clip[name]) is not None) for name in FRONT_ENDS
    }
    settings = {**settings, "clips": len(mirror), "mirror": largest, "cpu_s": time.process_time()}
    figures = {part: summary(parts[part]) for part in ("systems", "distances")}
    text = report(figures, settings)
    (out / "mel_polarity.md").write_text(text, encoding="utf-8")
    plain = {
        part: {
            name: {key: None if value is None else asdict(value) for key, value in row.items()}
            for name, row in rows.items()
        }
        for part, rows in figures.items()
    }
    document = {"settings": settings, "figures": plain, "clips": parts}
    (out / "mel_polarity.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return text


if __name__ == "__main__":
    main()
