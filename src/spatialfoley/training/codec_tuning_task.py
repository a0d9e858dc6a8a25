"""Task `codec_tuning`: a finished codec learns the channels of ambisonics, quiet ones too.

A general codec is trained on mono sound of one loudness. Channels of a field are other sound: Y, Z and X are quiet
where a source is in front or level, and their level beside W's is the direction. Here every item is one channel of
a field, drawn at random, at the level it has.

Of ViSAGe-SC's codec no more is public than that UniCodec was optimised on VGGSound and YT-Ambigen+. From UniCodec's
own fine-tuning are its learning rate, the weight of its mel distance, the frozen entries of its codebook beside a
projection that learns, and the part of the codebook for other sound ("2"). Ours are:
the draw of channels without normalisation, distances that hear quiet channels (`sound_distance`), a waveform
distance, since a mel hears no polarity, and that there are no discriminators.
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spatialfoley.codecs.stored import StoredCodec, load_stored_codec
from spatialfoley.codecs.unicodec import UniCodec
from spatialfoley.codecs.unicodec_config import domain_tokens
from spatialfoley.codecs.unicodec_network import UniCodecNetwork
from spatialfoley.dataset.world_cache import WorldCache, WorldCacheSettings, render_world_cache
from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.audio import resample
from spatialfoley.training.checkpoints import export_weights
from spatialfoley.training.settings import RecipeError, TrainingSettings, from_mapping
from spatialfoley.training.sound_distance import MelDistance, spectral_share, waveform_share

STFT_SIZES = (128, 256, 512, 1024, 2048)

SILENCE_DB = -60.0
"""A crop of a field is drawn again where even its loudest channel lies below, re full scale."""

_MOST_DRAWS = 1000
_DOMAIN = "audio"


@dataclasses.dataclass(frozen=True)
class CodecTuningModel:
    """What of the codec learns; its sizes are those of `initialize_from`."""

    frozen_codebook: bool = True
    """The entries of the codebook stay as they are, to the bit. All else learns, UniCodec's projection too."""
    domain: str | None = None
    """For UniCodec: the part of the codebook to code with; "audio", published as number "2", if not told."""


@dataclasses.dataclass(frozen=True)
class CodecTuningObjective:
    """Weights of the distances and the length of a training crop."""

    crop_s: float = 0.96
    spectral_weight: float = 1.0
    resolutions_per_step: int = 3
    mel_weight: float = 0.0
    waveform_weight: float = 1.0
    commitment_weight: float = 0.25
    floor_db: float = -80.0
    """Level re full scale below which nothing counts; 16 bits end at -98 dB."""

    def __post_init__(self) -> None:
        if self.crop_s < 0.2:
            raise RecipeError(f"objective: crop_s is {self.crop_s}; it must be at least 0.2 seconds")
        if not 1 <= self.resolutions_per_step <= len(STFT_SIZES):
            raise RecipeError(
                f"objective: resolutions_per_step is {self.resolutions_per_step}; it must lie in 1 to "
                f"{len(STFT_SIZES)}"
            )


class CodecTuningTask:
    """Single channels of fields at their own level; distances that hear quiet ones as well as loud ones."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.objective = o = from_mapping(CodecTuningObjective, settings.objective, "objective")
        choices = from_mapping(CodecTuningModel, settings.model, "model")
        self.model: TunedStored | TunedUniCodec = _opened(settings.initialize_from, choices)
        data = from_mapping(WorldCacheSettings, settings.data, "data")
        self.cache: WorldCache = render_world_cache(data)
        self.data_rate_hz = data.rate_hz
        self.crop_samples = round(o.crop_s * data.rate_hz)
        if self.crop_samples > self.cache.take("foa", 0).shape[1]:
            raise RecipeError(f"objective: crop_s is {o.crop_s}, longer than a clip of {data.folder}")
        self.batch_size = settings.batch_size
        self.mel = MelDistance(self.model.rate_hz, o.floor_db)
        torch.manual_seed(settings.seed)

    def batch(self, generator: torch.Generator) -> Tensor:
        """Sounds [B, N] at the codec's rate: one channel each, which may be silent beside the others."""
        crops = np.stack([self._crop(generator) for _ in range(self.batch_size)])
        return torch.from_numpy(resample(crops, self.data_rate_hz, self.model.rate_hz))

    def _crop(self, generator: torch.Generator) -> np.ndarray:
        def drawn(count: int) -> int:
            return int(torch.randint(count, (), generator=generator))

        for _ in range(_MOST_DRAWS):
            field = self.cache.take("foa", drawn(len(self.cache)))
            start = drawn(field.shape[1] - self.crop_samples + 1)
            crop = field[:, start : start + self.crop_samples].astype(np.float32) / 32767
            loudest = float(np.square(crop).mean(axis=1).max())
            # By the loudest channel and not by the drawn one: a quiet Y beside a loud W is what is to be learnt.
            if loudest > 10 ** (SILENCE_DB / 10):
                taken: np.ndarray = crop[drawn(len(crop))]
                return taken
        raise RecipeError(
            f"data: {_MOST_DRAWS} crops in a row are below {SILENCE_DB:g} dB of full scale; give clips with sound"
        )

    def loss(
        self, model: nn.Module, batch: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Spectral, mel and waveform distance, each with its weight, plus commitment."""
        o = self.objective
        estimate, commitment = model(batch)
        estimate = estimate[:, : batch.shape[1]].float()
        # The first and last frame of a crop lack a neighbour to overlap with.
        hop = self.model.hop_samples
        reference, estimate = batch[:, hop:-hop], estimate[:, hop:-hop]
        order = random.Random(int(torch.randint(2**31, (), generator=generator)))
        sizes = order.sample(STFT_SIZES, o.resolutions_per_step)
        terms = {"commitment": (o.commitment_weight, commitment)}
        if o.spectral_weight:
            spectral = [spectral_share(reference, estimate, size, o.floor_db) for size in sizes]
            terms["spectral"] = (o.spectral_weight, torch.stack(spectral).mean())
        if o.mel_weight:
            terms["mel"] = (o.mel_weight, self.mel.to(batch.device)(reference, estimate))
        if o.waveform_weight:
            terms["waveform"] = (o.waveform_weight, waveform_share(reference, estimate, o.floor_db))
        total = torch.stack([weight * value for weight, value in terms.values()]).sum()
        return total, {name: value.item() for name, (_, value) in terms.items()}

    def export(self, folder: Path) -> None:
        """Write the codec as it is loaded: `load_stored_codec(folder)` or `UniCodec.load(folder)`."""
        self.model.export(folder)


class TunedStored(nn.Module):
    """A codec of our own in training."""

    def __init__(self, codec: StoredCodec, frozen_codebook: bool) -> None:
        super().__init__()
        self.codec = codec
        self.rate_hz, self.hop_samples = codec.rate_hz, codec.hop_samples
        codec.quantizer.frozen = frozen_codebook
        codec.quantizer.restart_averages()

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """What comes back of sound [B, N], and the commitment loss."""
        return self.codec.reconstruct(samples)

    def export(self, folder: Path) -> None:
        """Write codec.json and codec.safetensors (float16)."""
        settings = dataclasses.asdict(self.codec.config)
        export_weights(self.codec, folder / "codec.safetensors", settings, folder / "codec.json")


class TunedUniCodec(nn.Module):
    """UniCodec in training, coding with one part of its codebook."""

    def __init__(self, network: UniCodecNetwork, domain: str, frozen_codebook: bool) -> None:
        super().__init__()
        self.network = network
        self.rate_hz, self.hop_samples = network.config.rate_hz, network.config.hop_samples
        self.allowed = domain_tokens(domain, network.config.codebook_size)
        for parameter in network.parameters():
            parameter.requires_grad_(True)
        network.codebook.embedding.requires_grad_(not frozen_codebook)

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """What comes back of sound [B, N], and the commitment loss."""
        return self.network.reconstruct(samples, [self.allowed] * len(samples))

    def export(self, folder: Path) -> None:
        """Write model.safetensors in the published layout; in float32, since halves would move frozen entries."""
        state = {name: value.detach().contiguous() for name, value in self.network.state_dict().items()}
        with atomic_path(folder / "model.safetensors") as path:
            save_file(state, path)


def _opened(source: str | None, choices: CodecTuningModel) -> TunedStored | TunedUniCodec:
    """The codec to tune, with what of it learns."""
    if source is None:
        raise RecipeError(
            "initialize_from is missing; give the folder of a finished codec run, or UniCodec's checkpoint"
        )
    path = Path(source)
    if not path.exists():
        raise RecipeError(
            f"initialize_from is {source}, which does not exist; give the folder of a finished codec run, or "
            "UniCodec's checkpoint"
        )
    try:
        if (path / "codec.json").is_file():
            if choices.domain is not None:
                raise RecipeError(
                    f"model: domain is {choices.domain!r}, but the codec in {source} has none; leave it out"
                )
            return TunedStored(load_stored_codec(path).train(), choices.frozen_codebook)
        # The domain first: it is told in no time, and a checkpoint of the published size is read in many seconds.
        domain = _DOMAIN if choices.domain is None else choices.domain
        domain_tokens(domain, 4)
        return TunedUniCodec(UniCodec.load(path).network.train(), domain, choices.frozen_codebook)
    except ValueError as error:
        raise RecipeError(str(error)) from None
