"""New sound under an existing picture, copied packet by packet: no generation loss, no lost frame."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer

from spatialfoley.media.atomic import atomic_path
from spatialfoley.media.container import open_media, picture_stream, seek_before
from spatialfoley.media.errors import MediaError
from spatialfoley.media.frame_writer import encode_timed, open_output, write_frames
from spatialfoley.media.sound_track import SoundCodec, SoundTrack, coded_rate_hz, default_codec
from spatialfoley.media.video import Video, read_video
from spatialfoley.spatial.signal import Sound

__all__ = ["Muxed", "mux", "write_frames"]

# What the mp4 muxer accepts and players expect there; everything else goes to Matroska.
_MP4_PICTURES = {"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
_REENCODE_CRF = 16


@dataclass(frozen=True)
class Muxed:
    """What `mux` wrote.

    Attributes:
        path: the written file; ends in .mkv when the picture's codec is not allowed in mp4.
        frame_count: frames in it, equal to the frames of the asked stretch of the source.
        audio_samples: length of the sound at `audio_rate_hz`, equal to the picture's length.
        audio_rate_hz: rate of the encoded sound.
        picture_copied: False when a cut away from key frames made re-encoding necessary.
    """

    path: Path
    frame_count: int
    audio_samples: int
    audio_rate_hz: int
    picture_copied: bool


def mux(
    video_path: str | Path,
    audio: Sound,
    out_path: str | Path,
    start_s: float = 0.0,
    duration_s: float | None = None,
    *,
    codec: SoundCodec | None = None,
    ambisonic: bool = False,
) -> Muxed:
    """Write the picture of `video_path` with `audio` as its only sound.

    The picture packets are copied, with their time stamps, rotation and 360-degree marks. Copying can only
    start at a key frame and end where no later frame is needed: a cut elsewhere re-encodes the picture
    (H.264, crf 16, upright, square pixels), and the result says so. The sound starts with the first frame
    and ends with the last one; it is cut, or padded with silence.

    Args:
        video_path: any readable video; its first moving picture is used.
        audio: mono, stereo or binaural; "foa" with ambisonic=True.
        out_path: ends in .mp4 or .mkv; a picture that mp4 does not allow changes .mp4 to .mkv.
        start_s: start of the stretch in the source, in seconds after its first frame.
        duration_s: its length; None to the end of the picture.
        codec: "aac" or "opus"; None: AAC in mp4 (plays everywhere), Opus in mkv (ends to the sample).
        ambisonic: store the four ambisonic channels as Opus mapping family 2 with an SA3D mark.

    Raises:
        MediaError: the source cannot be used, the target cannot be written, or a frame would be lost.
        ValueError: the sound does not fit the arguments, is not finite or exceeds full scale.
    """
    target = Path(out_path)
    if target.suffix.lower() not in (".mp4", ".mkv"):
        raise MediaError(f"cannot write {target}: the name must end in .mp4 or .mkv")
    video = read_video(video_path, start_s, duration_s)
    whole = start_s == 0 and (duration_s is None or _is_whole(video))
    copied = whole or _can_cut_by_copying(video)
    if copied and _codec_name(video) not in _MP4_PICTURES:
        target = target.with_suffix(".mkv")
    if codec is None:
        codec = "opus" if ambisonic else default_codec(target)
    expected = video.frame_count
    rate_hz = coded_rate_hz(audio.rate_hz, codec)
    with atomic_path(target) as temporary:
        if copied:
            copied = _copy(video, whole, audio, temporary, codec, ambisonic)
        if not copied or read_video(temporary).frame_count != expected:
            copied = False
            rate = Fraction(video.average_rate_hz).limit_denominator(1001)
            encode_timed(
                temporary,
                video.iterate_frames(),
                rate,
                audio,
                video.duration_s,
                crf=_REENCODE_CRF,
                codec=codec,
                ambisonic=ambisonic,
            )
        found = read_video(temporary).frame_count
        if found != expected:
            raise MediaError(
                f"{video_path} has {expected} frames but {found} arrived in {target.name}; "
                "convert it to mp4 (H.264) first"
            )
    return Muxed(target, found, round(video.duration_s * rate_hz), rate_hz, copied)


def _codec_name(video: Video) -> str:
    assert video.path is not None
    with closing(open_media(video.path)) as container:
        return picture_stream(container, video.path).codec_context.name


def _is_whole(video: Video) -> bool:
    assert video.path is not None
    return video.duration_s >= read_video(video.path).duration_s - video.tolerance_s


def _packets(video: Video, container: InputContainer, whole: bool) -> Iterator[tuple[float, Any]]:
    """Yield (seconds after start_s, packet) in decoding order; a cut leaves out what is shown outside it."""
    assert video.path is not None
    stream = picture_stream(container, video.path)
    if video.start_s > 0:
        seek_before(container, stream, video.origin_s + video.start_s)
    started = whole
    for packet in container.demux(stream):
        if packet.size == 0 or (packet.pts is None and packet.dts is None):
            continue  # the empty packet that ends a stream
        shown: Any = packet.dts if packet.pts is None else packet.pts
        time_s = float(shown * packet.time_base) - video.origin_s - video.start_s
        decoded_s = time_s if packet.dts is None else time_s + float((packet.dts - shown) * packet.time_base)
        if not whole and decoded_s > video.duration_s:
            return  # nothing that is shown before the end can follow
        started = started or (packet.is_keyframe and abs(time_s) <= video.tolerance_s)
        if started and (whole or time_s >= -video.tolerance_s):
            yield time_s, packet


def _can_cut_by_copying(video: Video) -> bool:
    """Whether a key frame appears at the start and no shown frame needs one from behind the end."""
    assert video.path is not None
    beyond_end = False
    inside: list[float] = []
    with closing(open_media(video.path)) as container:
        for time_s, _ in _packets(video, container, whole=False):
            if time_s >= video.duration_s - video.tolerance_s:
                beyond_end = True
            elif beyond_end:
                return False
            else:
                inside.append(time_s)
    if not inside:
        return False
    # Cutting the last frame short works only when it is also the last one in decoding order.
    ends_whole = max(inside) + 1 / video.average_rate_hz <= video.duration_s + video.tolerance_s
    return ends_whole or inside[-1] == max(inside)


def _copy(video: Video, whole: bool, audio: Sound, target: Path, codec: SoundCodec, ambisonic: bool) -> bool:
    """Copy the packets of the stretch; False when they carry no usable time stamps."""
    assert video.path is not None
    with (
        closing(open_media(video.path)) as source,
        open_output(target, coded_rate_hz(audio.rate_hz, codec)) as container,
    ):
        stream = picture_stream(source, video.path)
        out: Any = container.add_stream_from_template(stream)
        out.time_base = stream.time_base
        if stream.codec_context.name == "hevc" and target.suffix.lower() == ".mp4":
            out.codec_tag = "hvc1"  # Apple's players open no other mark
        sound = SoundTrack(container, audio, codec, ambisonic)
        held: Any = None
        first_dts = 0
        for time_s, packet in _packets(video, source, whole):
            if time_s >= video.duration_s - video.tolerance_s:
                continue
            if packet.pts is None or packet.dts is None:
                return False
            zero = round((video.origin_s + video.start_s) / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - zero, packet.dts - zero, out
            if held is None:
                first_dts = packet.dts
            else:
                container.mux(held)
            sound.advance(max(0.0, time_s))
            held = packet
        if held is None:
            return False
        if not (whole and held.duration):
            held.duration = _last_duration_ticks(held, first_dts, video)
        container.mux(held)
        sound.finish(video.duration_s)
    return True


def _last_duration_ticks(packet: Any, first_dts: int, video: Video) -> int:
    """Duration of the last packet in decoding order that makes the picture end at the asked time."""
    total_ticks = round(video.duration_s / packet.time_base)
    shown_last = packet.pts * packet.time_base >= video.frame_times_s()[-1] - video.tolerance_s
    # The mp4 muxer adds this duration to the span of decoding times, which with B-frames start below zero.
    return max(1, total_ticks - (packet.pts if shown_last else packet.dts - first_dts))
