"""Which class of the synthetic world a sound belongs to: a small network trained on true world sound only.

It listens to W: log-mel bands, four convolutions, pooled over time. Trained weights ship with the package,
beside the recipe that made them; `write_world_classifier` makes them anew.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spatialfoley.codecs.filter_bank import FilterBank
from spatialfoley.evaluation.metrics.statistics import Interval, wilson_interval
from spatialfoley.media.audio import resample
from spatialfoley.world import CLASSES, SCENE_KINDS, TRAIN_SEEDS, held_out_seed, make_scene, render_mono

RATE_HZ = 16000
HOP_SAMPLES = 256
FFT_SAMPLES = 512
BANDS = 48
RANGE_DB = 60.0

EMBEDDED_FOLDER = Path(__file__).resolve().parents[2] / "embedded" / "world-classifier"

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class ClassifierRecipe:
    """How the classifier is trained.

    Attributes:
        clips: Training clips of one source each, 5 s.
        steps: Updates.
        batch_size: Crops in an update.
        crop_s: Length of a crop; only crops in which something sounds are taken.
        learning_rate: Peak of the one-cycle schedule.
        noise_db: Weakest and strongest level of the white noise added, re the clip; half of the crops get
            some.
        seed: Seed of weights, crops and noise.
    """

    clips: int = 1200
    steps: int = 420
    batch_size: int = 32
    crop_s: float = 2.0
    learning_rate: float = 4e-3
    noise_db: tuple[float, float] = (-45.0, -15.0)
    seed: int = 0


class WorldClassifier(nn.Module):
    """Log-mel bands (B, 1, 48, T) to one logit per world class."""

    def __init__(self, widths: Sequence[int] = (12, 24, 40, 56)) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for before, after in zip((1, *widths[:-1]), widths, strict=True):
            blocks += [
                nn.Conv2d(before, after, 3, padding=1),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.blocks = nn.Sequential(*blocks)
        self.pooled = widths[-1] * (BANDS >> len(widths))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * self.pooled, len(CLASSES)))

    def forward(self, bands: Tensor) -> Tensor:
        """Logits of shape (B, classes) for log-mel bands of shape (B, 48, T), T ≥ 16."""
        return self.head(self.embedding(bands))

    def embedding(self, bands: Tensor) -> Tensor:
        """What the last layer sees: mean and maximum over time, (B, embedding_size), of bands (B, 48, T)."""
        features = self.blocks(bands[:, None]).flatten(1, 2)
        return torch.cat([features.mean(2), features.amax(2)], dim=1)

    @property
    def embedding_size(self) -> int:
        """Dimensions of the embedding."""
        return self.pooled * 2

    def embed(self, sounds: NDArray[np.floating], rate_hz: int) -> NDArray[np.float32]:
        """Embeddings of waveforms, for distances between sets of sounds; the level of a sound is left out.

        Args:
            sounds: Waveforms of shape (B, N), at least 0.3 s each.
            rate_hz: Sampling rate in Hz.

        Returns:
            Shape (B, embedding_size); silence has an embedding too, always the same.

        Raises:
            ValueError: The sounds have another shape or are too short.
        """
        return self.listen(sounds, rate_hz)[0]

    @torch.no_grad()
    def listen(
        self, sounds: NDArray[np.floating], rate_hz: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings (B, embedding_size) and logits (B, classes) of waveforms (B, N), as `embed` takes them.

        Raises:
            ValueError: The sounds have another shape or are too short.
        """
        if sounds.ndim != 2 or sounds.shape[1] < 0.3 * rate_hz:
            raise ValueError(f"sounds has shape {sounds.shape}; give waveforms (B, N) of at least 0.3 s")
        samples = torch.from_numpy(resample(sounds.astype(np.float32), rate_hz, RATE_HZ))
        self.eval()
        embeddings = self.embedding(log_mel(samples))
        return embeddings.numpy(), self.head(embeddings).numpy()

    @torch.no_grad()
    def classify(self, mono: NDArray[np.floating], rate_hz: int) -> str | None:
        """Name of the class that a sound most resembles.

        Args:
            mono: Waveform of shape (N,), at least 0.3 s; W of a field.
            rate_hz: Sampling rate in Hz.

        Returns:
            One of `spatialfoley.world.CLASSES`; None for silence.

        Raises:
            ValueError: The sound has another shape or is too short.
        """
        if mono.ndim != 1 or len(mono) < 0.3 * rate_hz:
            raise ValueError(f"mono has shape {mono.shape}; give one waveform (N,) of at least 0.3 s")
        if not np.any(mono):
            return None
        samples = torch.from_numpy(resample(mono[None].astype(np.float32), rate_hz, RATE_HZ))
        self.eval()
        return CLASSES[int(self(log_mel(samples)).argmax())]


def log_mel(samples: Tensor) -> Tensor:
    """Mel levels relative to the loudest band of the clip, 60 dB mapped to [0, 1].

    Args:
        samples: Waveforms of shape (B, N) at 16 kHz.

    Returns:
        Bands of shape (B, 48, T), one frame every 16 ms; all zero for silence.
    """
    window = torch.hann_window(FFT_SAMPLES)
    spectrum = torch.stft(samples, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    level_db = 10 * torch.log10(_mel_filters() @ spectrum.abs().square() + 1e-12)
    loudest = level_db.amax(dim=(1, 2), keepdim=True).clamp(min=-60.0)
    return ((level_db - loudest) / RANGE_DB + 1).clamp(0, 1)


@cache
def _mel_filters() -> Tensor:
    return FilterBank(
        RATE_HZ, FFT_SAMPLES, BANDS, 50.0, 7800.0, scale="htk", flanks="hz", unit_area=False
    ).filters()


def train_world_classifier(
    recipe: ClassifierRecipe | None = None, progress: Progress | None = None
) -> WorldClassifier:
    """Train a classifier on single-source clips of the training seeds.

    Args:
        recipe: How to train; the default takes about a minute on one core.
        progress: Called with a label and the fraction done.
    """
    chosen = recipe or ClassifierRecipe()
    torch.manual_seed(chosen.seed)
    rng = np.random.default_rng(chosen.seed)
    seeds = [TRAIN_SEEDS.start + index for index in range(chosen.clips)]
    clips, labels = _single_source_clips(seeds, progress)
    model = WorldClassifier().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=chosen.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, chosen.learning_rate, total_steps=chosen.steps)
    for step in range(chosen.steps):
        picks = rng.integers(len(clips), size=chosen.batch_size)
        crops = np.stack([_crop(clips[pick], chosen, rng) for pick in picks])
        logits = model(log_mel(torch.from_numpy(crops)))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels[picks]), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress("training", (step + 1) / chosen.steps)
    return model.eval()


def held_out_accuracy(model: WorldClassifier, clips: int = 300, suite_seed: int = 999) -> Interval:
    """Share of held-out single-source clips whose true sound is recognised, with its 95 % interval."""
    sounds, labels = _single_source_clips([held_out_seed(index, suite_seed) for index in range(clips)], None)
    found = [model.classify(sound, RATE_HZ) for sound in sounds]
    interval = wilson_interval(sum(CLASSES[k] == name for k, name in zip(labels, found, strict=True)), clips)
    if interval is None:
        raise ValueError(f"clips is {clips}; it must be 1 or more")
    return interval


def write_world_classifier(
    folder: Path,
    recipe: ClassifierRecipe | None = None,
    held_out_clips: int = 300,
    progress: Progress | None = None,
) -> Interval:
    """Train, measure and store a classifier.

    Returns:
        Its accuracy on held-out clips.
    """
    chosen = recipe or ClassifierRecipe()
    model = train_world_classifier(chosen, progress)
    accuracy = held_out_accuracy(model, held_out_clips)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    save_file(halves, folder / "model.safetensors")
    document = {"classes": list(CLASSES), "recipe": asdict(chosen), "held_out_accuracy": asdict(accuracy)}
    (folder / "config.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return accuracy


@cache
def load_world_classifier(folder: Path = EMBEDDED_FOLDER) -> WorldClassifier:
    """The classifier that ships with the package, or one that `write_world_classifier` made.

    Raises:
        ValueError: It was made for other classes than the world has now.
    """
    document = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if document["classes"] != list(CLASSES):
        raise ValueError(
            f"the classifier in {folder} knows {', '.join(document['classes'])}, "
            f"the world has {', '.join(CLASSES)}; make it anew with write_world_classifier"
        )
    model = WorldClassifier()
    halves = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor.float() for name, tensor in halves.items()})
    return model.eval()


def _single_source_clips(
    seeds: Sequence[int], progress: Progress | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    kinds = [kind for kind in SCENE_KINDS if kind != "several"]
    sounds, labels = [], []
    for index, seed in enumerate(seeds):
        scene = make_scene(seed, kind=kinds[index % len(kinds)])
        sounds.append(render_mono(scene, RATE_HZ))
        labels.append(CLASSES.index(scene.sources[0].class_name))
        if progress:
            progress("rendering", (index + 1) / len(seeds))
    return np.stack(sounds), np.array(labels)


def _crop(
    clip: NDArray[np.float32], recipe: ClassifierRecipe, rng: np.random.Generator
) -> NDArray[np.float32]:
    length = round(recipe.crop_s * RATE_HZ)
    loud = np.flatnonzero(np.abs(clip) > 0.05 * np.max(np.abs(clip)))
    anchor = int(rng.choice(loud))
    start = int(np.clip(anchor - rng.integers(length), 0, len(clip) - length))
    crop = clip[start : start + length]
    if rng.random() < 0.5:
        level = np.sqrt(np.mean(crop**2)) * 10 ** (rng.uniform(*recipe.noise_db) / 20)
        crop = crop + (level * rng.standard_normal(length)).astype(np.float32)
    return crop
