"""Good recordings: of the synthetic world, of real microphones, and of measured rooms with recorded sounds."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from spatialfoley.dataset.screening.variants import Recording
from spatialfoley.media.video import read_video
from spatialfoley.timeline import frame_times_s
from spatialfoley.world import TRAIN_SEEDS, make_scene
from spatialfoley.world.render import render_panorama
from spatialfoley.world.scenes import WorldSettings
from spatialfoley.world.soundfield import render_foa

FRAME_RATE_HZ = 4.0
PEAK = 0.5
ROOM_SOUNDS = ("Rain", "Sea_waves", "Helicopter", "Chainsaw", "Fire_crackling", "Baby_cry")


def world_recording(number: int, duration_s: float = 5.0, height_px: int = 64) -> Recording:
    """Scene of several sources over a bed of noise, so that all channels hold something of their own."""
    settings = WorldSettings(ambience_db=-50.0)
    scene = make_scene(TRAIN_SEEDS[number], "several", "static", duration_s, settings)
    frames = render_panorama(scene, frame_times_s(duration_s, FRAME_RATE_HZ), height_px)
    return Recording(f"world-{number}", render_foa(scene, 48000), 48000, frames, FRAME_RATE_HZ)


def microphone_recordings(data: Path) -> list[Recording]:
    """Two recordings of an Eigenmike with stretches of a real panorama.

    The microphone is set low: 71 % of the first is below Sphere360's limit of silence as it is, and most of what is
    made from it would be. They are turned up to the peak of the others.
    """
    found = []
    for number in (1, 2):
        samples, rate_hz = soundfile.read(
            data / "foa" / f"HOA3_rec{number}_foa_ambix_sn3d.flac", dtype="float32"
        )
        field = (PEAK * samples.T / np.abs(samples).max()).astype(np.float32)
        frames = panorama(data, number, len(samples) / rate_hz)
        found.append(Recording(f"eigenmike-{number}", field, rate_hz, frames, FRAME_RATE_HZ))
    return found


def room_recordings(data: Path, sounds: tuple[str, ...] = ROOM_SOUNDS) -> list[Recording]:
    """Recorded sounds in measured rooms; the array holds directions well between 100 and 1800 Hz only."""
    responses = sorted((data / "srir").glob("R3VIVAL_*_foa_ambix.flac"))
    found = []
    for number, name in enumerate(sounds):
        (folder,) = (data / "sfx" / "esc10").glob(f"*-{name}")
        mono, from_hz = soundfile.read(sorted(folder.glob("*.ogg"))[0], dtype="float32", always_2d=True)
        response, rate_hz = soundfile.read(responses[number % len(responses)], dtype="float32")
        dry = soxr.resample(mono[:, 0], from_hz, rate_hz)[: 5 * rate_hz]
        count = len(dry) + len(response) - 1
        wet = np.fft.irfft(np.fft.rfft(dry, count) * np.fft.rfft(response.T, count), count)[:, : len(dry)]
        field = (PEAK * wet / np.abs(wet).max()).astype(np.float32)
        frames = panorama(data, 3 + number, len(dry) / rate_hz)
        found.append(Recording(f"room-{name}", field, rate_hz, frames, FRAME_RATE_HZ, exact=False))
    return found


def panorama(data: Path, number: int, duration_s: float) -> np.ndarray:
    """A stretch of a real 360° video, 64 pixels high; no two numbers below 14 share a frame."""
    if number < 10:
        video = read_video(data / "video360" / "richoh1_0_3.mp4", start_s=4.0 * number)
    else:
        video = read_video(data / "video360" / "testRoom1_1920Mono.mp4", start_s=3.0 * (number - 10))
    times_s = np.minimum(frame_times_s(duration_s, FRAME_RATE_HZ) % 4.0, video.duration_s)
    return video.frames_at(times_s, (64, 128), crop=None)
