"""Sounds inside a page: two ears as heard from the camera, small enough to carry a dozen clips.

MP3 plays in Chromium, Firefox and Safari alike (Opus in Ogg does not in every Safari), and its encoder keeps left
and right apart well enough for interaural cues at the quality used here. Where the audio library cannot write it,
sounds are 16-bit WAV.
"""

import base64
import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import soundfile

from spatialfoley.media.audio import resample
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.signal import SpatialAudio
from spatialfoley.spatial.trajectory import CameraTrajectory

_MP3_RATES_HZ = (16000, 22050, 24000, 32000, 44100, 48000)
_PEAK = 0.89
"""Players are as loud as the loudest of their clip can be with 1 dB to spare for the codec."""


def ears_of(sound: SpatialAudio, camera: CameraTrajectory | None) -> npt.NDArray[np.float32]:
    """What is played: a field as heard from the camera, everything else as it is; shape (2 or 1, N)."""
    if sound.layout == "foa":
        return render_binaural(sound, head=camera).samples
    return sound.samples


def common_gain(ears: Mapping[str, npt.NDArray[np.float32]]) -> float:
    """One gain for all sounds of a clip, so that they keep their relative loudness; 1 for silence."""
    peak = max((float(np.max(np.abs(samples), initial=0.0)) for samples in ears.values()), default=0.0)
    return _PEAK / peak if peak > 0 else 1.0


def audio_url(samples: npt.NDArray[np.float32], rate_hz: int) -> str:
    """A sound (C, N) as the address that an <audio> element plays without any file beside the page."""
    kind, data = encode_sound(samples, rate_hz)
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def encode_sound(samples: npt.NDArray[np.float32], rate_hz: int) -> tuple[str, bytes]:
    """Media type and bytes of a sound (C, N) with values in [-1, 1]."""
    if "MP3" not in soundfile.available_formats():
        return "audio/wav", _written(samples, rate_hz, format="WAV", subtype="PCM_16")
    target_hz = next((rate for rate in _MP3_RATES_HZ if rate >= rate_hz), _MP3_RATES_HZ[-1])
    if target_hz != rate_hz:
        samples = np.clip(resample(samples, rate_hz, target_hz), -1, 1)
    return "audio/mpeg", _written(
        samples,
        target_hz,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE",
        compression_level=0.2,
    )


def _written(samples: npt.NDArray[np.float32], rate_hz: int, **options: str | float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate_hz, **options)
    return file.getvalue()
