"""A clip to look at and to listen to: truth beside estimate, moved through time together."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from spatialfoley.evaluation.report.document import Exhibit
from spatialfoley.evaluation.report.figure_text import MISSING, number_text
from spatialfoley.evaluation.report.level_curves import (
    LEVEL_RANGE_DB,
    ear_levels,
    level_curves,
    loudest_time_s,
)
from spatialfoley.evaluation.report.markup import Markup, element
from spatialfoley.evaluation.report.outlines import view_outline
from spatialfoley.evaluation.report.pictures import (
    AUDIBLE_RANGE_DB,
    MAP_RANGE_DB,
    SPECTRUM_RANGE_DB,
    MapSheet,
    map_moments,
    map_sheet,
    rgb_png,
    top_frequency_hz,
)
from spatialfoley.evaluation.report.players import audio_url, common_gain, ears_of
from spatialfoley.evaluation.report.sound_figures import (
    colour_legend,
    energy_map_figure,
    png_url,
    spectrogram_figures,
)
from spatialfoley.spatial.signal import SpatialAudio

_ROLE_TITLES = {"truth": "Truth", "estimate": "Estimate"}
_LAYOUT_TITLES = {
    "foa": "first-order field",
    "binaural": "two ears",
    "stereo": "stereo",
    "mono": "one channel",
}
_THUMBNAIL_PX = 160

Sheets = Mapping[str, MapSheet]


def exhibit_card(exhibit: Exhibit, number: int) -> Markup:
    """The card of one clip.

    Args:
        exhibit: What to show.
        number: From 1, for addresses within the page.
    """
    # The truth stands first, whatever the order it was given in.
    sounds = {role: exhibit.sounds[role] for role in _ROLE_TITLES if role in exhibit.sounds}
    duration_s = max(sound.duration_s for sound in sounds.values())
    sheets = {role: map_sheet(sound, duration_s) for role, sound in sounds.items() if sound.layout == "foa"}
    ears = {role: ears_of(sound, exhibit.camera) for role, sound in sounds.items()}
    gain = common_gain(ears)
    columns = []
    for role, sound in sounds.items():
        label = f"{_ROLE_TITLES[role]} of {exhibit.clip}, {exhibit.system}"
        url = audio_url(ears[role] * np.float32(gain), sound.rate_hz)
        player = element("audio", src=url, controls=True, preload="auto", aria_label=label)
        columns.append(_sound_column(role, sound, player, sheets.get(role)))
    moments = _moments(exhibit, sounds, sheets, duration_s)
    return element(
        "article",
        _header(exhibit),
        element("div", *columns, class_="pair"),
        _map_legend(exhibit, sheets) if sheets else ear_levels(ears, sounds, duration_s, moments["count"]),
        _timeline(exhibit.clip, sounds, duration_s),
        *_spectra(sounds, duration_s),
        element("p", _player_text(sounds, gain), class_="muted small"),
        id=f"clip-{number}",
        class_="card exhibit",
        data_moments=json.dumps(moments, separators=(",", ":")),
        data_duration=f"{duration_s:.6f}",
    )


def _header(exhibit: Exhibit) -> Markup:
    image = None
    if exhibit.thumbnail is not None:
        url = png_url(rgb_png(exhibit.thumbnail, _THUMBNAIL_PX))
        image = element("img", src=url, alt=f"A frame of {exhibit.clip}", class_="thumbnail")
    figures = [
        element("div", element("dt", name), element("dd", _figure_text(value)))
        for name, value in exhibit.figures.items()
    ]
    badge = element("span", exhibit.caption, class_="badge") if exhibit.caption else None
    words = element(
        "div",
        element("p", badge, element("span", exhibit.system)),
        element("h3", exhibit.clip),
        element("dl", *figures, class_="figures") if figures else None,
    )
    return element("header", image, words)


def _sound_column(role: str, sound: SpatialAudio, player: Markup, sheet: MapSheet | None) -> Markup:
    about = f"{_LAYOUT_TITLES[sound.layout]}, {sound.rate_hz / 1000:g} kHz"
    if sheet is not None and np.isfinite(sheet.loudest_db):
        about += f", loudest direction {number_text(sheet.loudest_db, '.1f')} dBFS"
    elif sound.peak == 0:
        about += ", silent"
    picture = None if sheet is None else energy_map_figure(role, sheet)
    return element("figure", _caption(role, about), player, picture, class_=f"sound {role}")


def _spectra(sounds: Mapping[str, SpatialAudio], duration_s: float) -> list[Markup]:
    top_hz = top_frequency_hz(list(sounds.values()))
    columns = [
        element(
            "figure",
            _caption(role, "each channel, kHz over time"),
            *spectrogram_figures(role, sound, duration_s, top_hz),
            class_=f"sound {role}",
        )
        for role, sound in sounds.items()
    ]
    legend = colour_legend("dB below the loudest point of each sound", SPECTRUM_RANGE_DB)
    return [element("div", *columns, class_="pair spectra"), legend]


def _caption(role: str, about: str) -> Markup:
    return element(
        "figcaption",
        element("span", class_=f"key {role}"),
        element("strong", _ROLE_TITLES[role]),
        element("span", about, class_="muted small"),
    )


def _timeline(clip: str, sounds: Mapping[str, SpatialAudio], duration_s: float) -> Markup:
    """Levels over time above the slider that chooses the moment."""
    strip = element(
        "div", level_curves(sounds, duration_s), element("span", class_="playhead"), class_="levels"
    )
    slider = element(
        "input",
        type="range",
        min=0,
        max=f"{duration_s:.3f}",
        step=f"{map_moments(duration_s)[1] / 2:.3f}",
        value=0,
        aria_label=f"Moment of {clip}",
    )
    title = element(
        "span", f"Level over time, {LEVEL_RANGE_DB:g} dB from bottom to top", class_="muted small"
    )
    return element("div", title, element("output", class_="readout"), strip, slider, class_="timeline")


def _moments(
    exhibit: Exhibit, sounds: Mapping[str, SpatialAudio], sheets: Sheets, duration_s: float
) -> dict[str, Any]:
    """What the page needs to show one moment: places in the sheets, peaks, outlines of the view."""
    count, step_s = map_moments(duration_s)
    return {
        "step": round(step_s, 6),
        "count": count,
        "start": int(min(loudest_time_s(sounds, duration_s) / step_s, count - 1)),
        "views": _views(exhibit, count, step_s) if sheets else [],
        "sheets": {
            role: {
                "places": [[round(100 * at, 4) for at in sheet.offset(moment)] for moment in range(count)],
                "peaks": sheet.peaks_deg,
            }
            for role, sheet in sheets.items()
        },
    }


def _views(exhibit: Exhibit, count: int, step_s: float) -> list[str]:
    """Outline of the view at every moment; one for a camera that stands still, none without a camera."""
    if exhibit.camera is None:
        return []
    picture = exhibit.thumbnail
    shape = 1.0 if picture is None else picture.shape[0] / picture.shape[1]
    times_s = (np.arange(1 if exhibit.camera.is_static else count) + 0.5) * step_s
    return [view_outline(matrix, exhibit.fov_deg, shape) for matrix in exhibit.camera.matrices_at(times_s)]


def _map_legend(exhibit: Exhibit, sheets: Sheets) -> Markup:
    marks = {"truth": "ring: loudest direction of the truth", "estimate": "cross: of the estimate"}
    said = [marks[role] for role in sheets]
    said += ["dashed: what the camera sees"] if exhibit.camera is not None else []
    text = (
        "dB below the loudest direction of the moment, both maps alike; moments more than "
        f"{AUDIBLE_RANGE_DB:g} dB below the loudest stay dark. "
    )
    return colour_legend(text + ", ".join(said).capitalize() + ".", MAP_RANGE_DB)


def _player_text(sounds: Mapping[str, SpatialAudio], gain: float) -> str:
    said = "Played" if len(sounds) == 1 else "Both are played"
    said += f" at a gain of {number_text(20 * float(np.log10(gain)), '+.1f')} dB"
    fields = any(sound.layout == "foa" for sound in sounds.values())
    return f"{said}, fields as two ears at the camera hear them." if fields else f"{said}."


def _figure_text(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return MISSING
    size = abs(value)
    return number_text(
        value, ".0f" if size >= 1000 else ".1f" if size >= 10 else ".2f" if size >= 1 else ".3f"
    )
