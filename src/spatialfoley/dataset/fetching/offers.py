"""What a site offers of a recording and what is taken of it: proof by formats, before anything is downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spatialfoley.dataset.clip_cutting import LEAST_ASPECT, MOST_ASPECT
from spatialfoley.dataset.factory.stage import Rejected
from spatialfoley.dataset.fetching.settings import FetchSettings

Wanted = Literal["field", "view"]
"""A 360° picture with Ambisonic sound, or an ordinary picture with ordinary sound."""

FIELD_CHANNELS = (4, 6)
"""First order, and first order with head-locked stereo."""

_ONE_FILE, _PARTS, _PLAYLIST = 2, 1, 0
_SHOWN = 12


@dataclass(frozen=True)
class Offer:
    """One format of a recording.

    Attributes:
        id: By which yt-dlp knows it.
        picture: Whether it has one.
        sound: Whether it has one.
        channels: Of the sound; 0 for not stated.
        width: Of the picture in pixels; 0 for not stated.
        height: The same.
        note: What is said beside; YouTube's projection and kind of sound stand here.
        size: Bytes; 0 for not stated.
        rate: Bits per second; 0 for not stated.
        plain: How easily it is downloaded: one file before parts before playlists.
    """

    id: str
    picture: bool
    sound: bool
    channels: int
    width: int
    height: int
    note: str
    size: int
    rate: float
    plain: int

    @property
    def projection(self) -> str:
        """ "equirectangular", "mesh" (cube maps), or "not stated"."""
        words = [word.strip() for word in self.note.lower().split(",")]
        if "equi" in words or "equirectangular" in words:
            return "equirectangular"
        return "mesh" if "mesh" in words else "not stated"

    def described(self) -> str:
        """A few words on it."""
        what = f"{self.width}x{self.height}" if self.picture else f"{self.channels or '?'} channels"
        note = f" ({self.note})" if self.note else ""
        return f"{self.id}: {what}{note}"


@dataclass(frozen=True)
class Choice:
    """What is taken.

    Attributes:
        picture: Its format.
        sound: Its format; None where it is inside the picture's.
    """

    picture: Offer
    sound: Offer | None

    @property
    def size(self) -> int:
        """Bytes as far as they are stated."""
        return self.picture.size + (self.sound.size if self.sound is not None else 0)


def offers_of(info: Mapping[str, Any]) -> list[Offer]:
    """The formats of what yt-dlp found, storyboards and protected ones left out."""
    return [_offer(one) for one in info.get("formats") or [] if _usable(one)]


def choose(info: Mapping[str, Any], wanted: Wanted, settings: FetchSettings) -> Choice | Rejected:
    """The formats to take; rejected with what was offered when there are none that prove the recording right."""
    offers = offers_of(info)
    pictures = [one for one in offers if one.picture and one.height >= settings.min_height]
    in_reach = [one for one in pictures if one.height <= settings.max_height]
    if wanted == "field":
        sounds = [one for one in offers if one.sound and not one.picture and _is_field(one)]
        if not sounds:
            return _refused("no sound of four channels", offers)
        in_reach = [one for one in in_reach if _is_panorama(one)]
        if not in_reach:
            sizes = f"of {settings.min_height} to {settings.max_height} lines"
            return _refused(f"no equirectangular picture {sizes}", offers)
    else:
        sounds = [one for one in offers if one.sound and not one.picture and one.channels <= 2]
        if not in_reach:
            return _refused(f"no picture of {settings.min_height} to {settings.max_height} lines", offers)
    alone = [one for one in in_reach if not one.sound] if sounds else [one for one in in_reach if one.sound]
    if not alone:
        return _refused("no picture that comes with the sound", offers)
    choice = Choice(max(alone, key=_picture_rank), max(sounds, key=_sound_rank) if sounds else None)
    if choice.size > settings.max_gb * 1e9:
        gigabytes = choice.size / 1e9
        return Rejected(
            "size",
            f"it takes {gigabytes:.2f} GB and download.max_gb is {settings.max_gb:g}",
            {"gigabytes": round(gigabytes, 3), "max_gb": settings.max_gb},
        )
    return choice


def _is_field(offer: Offer) -> bool:
    """Four channels are taken for Ambisonics, as Sphere360 does; six may be loudspeakers unless it is said."""
    said = "ambi" in offer.note.lower()
    return offer.channels == FIELD_CHANNELS[0] or (said and offer.channels in FIELD_CHANNELS)


def _is_panorama(offer: Offer) -> bool:
    """Twice as wide as high, and not said to be anything but equirectangular."""
    aspect = offer.width / offer.height if offer.height else 0.0
    return offer.projection != "mesh" and LEAST_ASPECT <= aspect <= MOST_ASPECT


def _picture_rank(offer: Offer) -> tuple[object, ...]:
    # What is said to be equirectangular before what only looks like it; of equals, the smaller file.
    return (offer.projection == "equirectangular", offer.height, offer.plain, -offer.size, offer.id)


def _sound_rank(offer: Offer) -> tuple[object, ...]:
    return ("ambi" in offer.note.lower(), offer.plain, offer.rate, offer.id)


def _refused(what: str, offers: Sequence[Offer]) -> Rejected:
    shown = "; ".join(one.described() for one in offers[:_SHOWN]) or "nothing"
    more = f"; and {len(offers) - _SHOWN} more" if len(offers) > _SHOWN else ""
    numbers = {
        "formats": len(offers),
        "most_channels": max((one.channels for one in offers), default=0),
        "greatest_height": max((one.height for one in offers), default=0),
    }
    return Rejected("format", f"it has {what}; offered are {shown}{more}", numbers)


def _usable(one: Mapping[str, Any]) -> bool:
    return not one.get("has_drm") and one.get("ext") != "mhtml" and bool(one.get("format_id"))


def _offer(one: Mapping[str, Any]) -> Offer:
    protocol = str(one.get("protocol") or "")
    return Offer(
        id=str(one["format_id"]),
        # Sites that say nothing of codecs give files with both.
        picture=one.get("vcodec") != "none",
        sound=one.get("acodec") != "none",
        channels=int(one.get("audio_channels") or 0),
        width=int(one.get("width") or 0),
        height=int(one.get("height") or 0),
        note=str(one.get("format_note") or ""),
        size=int(one.get("filesize") or one.get("filesize_approx") or 0),
        rate=float(one.get("tbr") or one.get("abr") or 0.0),
        plain=_plainness(protocol),
    )


def _plainness(protocol: str) -> int:
    if "m3u8" in protocol:
        return _PLAYLIST
    return _PARTS if "dash" in protocol else _ONE_FILE
