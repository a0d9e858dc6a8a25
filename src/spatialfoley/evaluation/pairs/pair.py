"""Two files brought to one length and form, and what is to be known of them."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from spatialfoley.evaluation.metrics.overlap_windows import SCORE_RATE_HZ
from spatialfoley.evaluation.pairs.layouts import (
    FileLayout,
    Form,
    compared_form,
    conversion,
    in_form,
    read_sound,
)
from spatialfoley.evaluation.pairs.protocols import (
    Protocol,
    fit_duration,
    length_problem,
    restore_length,
    truth_duration_s,
)
from spatialfoley.evaluation.pairs.scores import (
    FloatArray,
    Scores,
    ear_scores,
    field_scores,
    is_silent,
    require_sound,
    sound_of_field,
    sound_scores,
)
from spatialfoley.evaluation.pairs.views import Hearing, heard_channels
from spatialfoley.media.audio import fit_length, resample
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.signal import SpatialAudio


class SoundFile:
    """A file of a pair, read when it is needed."""

    def __init__(self, path: Path, layout: FileLayout) -> None:
        self.path, self.layout = path, layout
        self._resampled: dict[tuple[float, bool], SpatialAudio] = {}
        self._formed: dict[tuple[Form, Direction, float, bool], FloatArray] = {}

    @cached_property
    def sha256(self) -> str:
        """Hash of the file's bytes."""
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError as problem:
            raise ValueError(
                f"{self.path} cannot be read ({(problem.strerror or str(problem)).lower()})"
            ) from problem

    @cached_property
    def sound(self) -> SpatialAudio:
        """The sound as it is in the file."""
        return read_sound(self.path, self.layout)

    def fitted(self, duration_s: float, stretched: bool) -> SpatialAudio:
        """The sound cut, padded or stretched to a duration, at its own rate."""
        return (restore_length if stretched else fit_duration)(self.sound, duration_s)

    def for_scores(self, form: Form, camera: Direction, duration_s: float, stretched: bool) -> FloatArray:
        """Samples in a form at the scoring rate; kept, as a truth is compared with every system.

        Args:
            form: What is compared.
            camera: Where the listener of a field looks.
            duration_s: Length of the clip.
            stretched: Whether the sound is stretched to it.
        """
        key = (form, camera, duration_s, stretched)
        if key not in self._formed:
            whole = (duration_s, stretched)
            if whole not in self._resampled:
                fitted = self.fitted(duration_s, stretched)
                samples = resample(fitted.samples, fitted.rate_hz, SCORE_RATE_HZ)
                samples = fit_length(samples, round(duration_s * SCORE_RATE_HZ))
                self._resampled[whole] = SpatialAudio(samples, SCORE_RATE_HZ, fitted.layout)
            self._formed[key] = in_form(self._resampled[whole], form, camera).samples
        return self._formed[key]


class Pair:
    """Truth and estimate of one clip, brought to one length and form."""

    def __init__(
        self, protocol: Protocol, camera: Direction, truth: SoundFile, estimate: SoundFile, restored: bool
    ) -> None:
        self.protocol, self.camera, self.truth, self.estimate = protocol, camera, truth, estimate
        require_sound(truth.sound, truth.path)
        self.duration_s = truth_duration_s(truth.sound, protocol)
        self.restored = restored
        problem = "" if restored else length_problem(estimate.sound.duration_s, self.duration_s, protocol)
        if problem:
            raise ValueError(f"{estimate.path} {problem}")
        self.form: Form = compared_form(truth.sound, estimate.sound)

    def record(self) -> dict[str, Any]:
        """Scores and what was done to get them."""
        silent = is_silent(self.estimate.sound)
        return {
            "form": self.form,
            "scores": self._scores(),
            "silent": silent,
            "undefined": {},
            "rate_hz": self.estimate.sound.rate_hz,
            "truth_rate_hz": self.truth.sound.rate_hz,
            "duration_s": self.duration_s,
            "fitted_s": 0.0 if self.restored else round(self.duration_s - self.estimate.sound.duration_s, 6),
            "done": [
                f"{side}: {what}"
                for side, file in (("truth", self.truth), ("estimate", self.estimate))
                if (what := conversion(file.sound, self.form))
            ]
            + [f"estimate: stretched to {self.duration_s:g} s"] * self.restored,
        }

    def hearings(self) -> list[tuple[str, SoundFile, Hearing]]:
        """What a listener is to hear of both files."""
        found = []
        for role, file in (("truth", self.truth), ("estimate", self.estimate)):
            is_field = file.sound.layout == "foa"
            # A true field that is compared with ears shares its entry with nothing else: its ears alone are heard.
            hearing = Hearing(
                layout=file.layout if file.layout == "fuma" else file.sound.layout,
                form=self.form,
                channels=heard_channels(self.form, self.protocol.views, of_truth=role == "truth"),
                camera=(self.camera.azimuth_deg, self.camera.elevation_deg) if is_field else None,
                duration_s=self.duration_s,
                restored=self.restored and role == "estimate",
                rate_hz=self.protocol.listener_rate_hz,
            )
            found.append((role, file, hearing))
        return found

    def mono_at_own_rate(self) -> SpatialAudio:
        """One channel of the estimate, of the clip's length, at the file's rate: W, or the mean of the "
        "ears."""
        return in_form(self.estimate.fitted(self.duration_s, self.restored), "mono")

    def _scores(self) -> Scores:
        truth, estimate = (self._formed(file, self.form) for file in (self.truth, self.estimate))
        if self.form == "mono":
            return sound_scores(truth, estimate)
        if self.form == "ears":
            one = (ears.mean(axis=0, keepdims=True) for ears in (truth, estimate))
            return ear_scores(truth, estimate) | sound_scores(*one)
        ears = (self._formed(file, "ears") for file in (self.truth, self.estimate))
        return (
            field_scores(truth, estimate, as_published=self.protocol.name == "visage")
            | ear_scores(*ears)
            | sound_scores(sound_of_field(truth), sound_of_field(estimate))
        )

    def _formed(self, file: SoundFile, form: Form) -> FloatArray:
        return file.for_scores(form, self.camera, self.duration_s, self.restored and file is self.estimate)
