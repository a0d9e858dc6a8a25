import numpy as np
import pytest

from spatialfoley.evaluation.pairs.views import Hearing, channels_to_hear, heard_channels, views_of
from spatialfoley.spatial.binaural import render_binaural
from spatialfoley.spatial.direction import Direction
from spatialfoley.spatial.single_direction import mono_decode
from tests.evaluation.pairs.sounds import ears, mono, wave

ALL_VIEWS = ("mix", "avg", "channels", "dec", "dec_published")


def hearing(form: str, channels: tuple[str, ...], layout: str = "foa", **changes: object) -> Hearing:
    settings = {"camera": (40.0, 10.0), "duration_s": 2.0} | changes
    return Hearing(layout=layout, form=form, channels=channels, **settings)  # type: ignore[arg-type]


def test_a_field_gives_its_channels_its_ears_and_what_the_camera_faces() -> None:
    field, camera = wave(70), Direction(40.0, 10.0)
    names = heard_channels("field", ALL_VIEWS, of_truth=True)
    assert names == ("mix", "left", "right", "W", "Y", "Z", "X", "dec", "dec_mirrored")
    sounds, rate_hz = channels_to_hear(field, hearing("field", names))
    heard = dict(zip(names, sounds, strict=True))
    assert rate_hz == field.rate_hz
    two = render_binaural(field, head=camera).samples
    np.testing.assert_allclose([heard["left"], heard["right"]], two)
    np.testing.assert_allclose(heard["mix"], two.mean(axis=0), atol=1e-7)
    np.testing.assert_array_equal([heard[name] for name in "WYZX"], field.samples)
    np.testing.assert_array_equal(heard["dec"], mono_decode(field.samples, camera))
    np.testing.assert_array_equal(heard["dec_mirrored"], mono_decode(field.samples, camera, "reference"))
    estimate = channels_to_hear(field, hearing("field", ("dec_published",)))[0]
    np.testing.assert_array_equal(estimate[0], mono_decode(field.samples, camera, "reference_bug"))
    assert "dec_published" in heard_channels("field", ALL_VIEWS, of_truth=False)


def test_ears_and_mono_have_fewer_views() -> None:
    assert views_of("ears", ALL_VIEWS) == ("mix", "avg")
    assert views_of("mono", ALL_VIEWS) == ("mix",)
    two = ears(20)
    sounds, _ = channels_to_hear(two, hearing("ears", ("left", "mix"), "binaural"))
    np.testing.assert_allclose(sounds, [two.samples[0], two.samples.mean(axis=0)], atol=1e-7)
    np.testing.assert_array_equal(
        channels_to_hear(mono(), hearing("mono", ("mix",), "mono"))[0], mono().samples
    )


@pytest.mark.parametrize("restored", [False, True])
def test_length_and_rate_are_brought_to_those_of_the_protocol(restored: bool) -> None:
    long = mono(3.0, rate_hz=24000)
    sounds, rate_hz = channels_to_hear(
        long, hearing("mono", ("mix",), "mono", restored=restored, rate_hz=16000)
    )
    assert (sounds.shape, rate_hz) == ((1, 32000), 16000)
