import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatialfoley.evaluation.metrics.divergence import KlFormula, kl_divergence

FORMULAS: tuple[KlFormula, ...] = ("audioldm", "av-bench")


def logits_of(*posteriors: list[float]) -> np.ndarray:
    return np.log(np.array(posteriors)) + 3.0


def test_two_coins() -> None:
    reference, estimate = logits_of([0.5, 0.5], [0.9, 0.1]), logits_of([0.9, 0.1], [0.5, 0.5])
    expected = [0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1), 0.9 * np.log(1.8) + 0.1 * np.log(0.2)]
    np.testing.assert_allclose(kl_divergence(reference, estimate, "av-bench"), expected, rtol=1e-12)
    offset = [0.5 * np.log(0.5 / 0.900001) + 0.5 * np.log(0.5 / 0.100001)]
    np.testing.assert_allclose(kl_divergence(reference, estimate, "audioldm")[:1], offset, rtol=1e-12)


def test_only_the_offset_bounds_a_certain_mistake() -> None:
    reference, estimate = np.array([[500.0, 0.0, 0.0]]), np.array([[0.0, 500.0, 0.0]])
    assert kl_divergence(reference, estimate, "av-bench")[0] == pytest.approx(500)
    assert kl_divergence(reference, estimate, "audioldm")[0] == pytest.approx(-np.log(1e-6))


def test_the_offset_puts_equals_below_zero() -> None:
    logits = np.zeros((1, 527))
    assert kl_divergence(logits, logits, "audioldm")[0] == pytest.approx(-np.log1p(527e-6))
    assert kl_divergence(logits, logits, "av-bench")[0] == pytest.approx(0, abs=1e-15)


@given(seed=st.integers(0, 2**31), scale=st.floats(0, 30), shift=st.floats(-50, 50))
@settings(max_examples=40, deadline=None)
def test_it_is_not_negative_and_logits_may_be_shifted(seed: int, scale: float, shift: float) -> None:
    first, second = np.random.default_rng(seed).normal(0, scale, (2, 3, 10))
    exact = kl_divergence(first, second, "av-bench")
    assert np.all(exact >= -1e-12)
    for formula in FORMULAS:
        np.testing.assert_allclose(
            kl_divergence(first + shift, second - shift, formula),
            kl_divergence(first, second, formula),
            atol=1e-9,
        )
    # The offset only ever makes the estimate's classes likelier, by at most log(1 + 1e-6 / q).
    published = kl_divergence(first, second, "audioldm")
    assert np.all(published <= exact + 1e-12)
    assert np.all(published >= -np.log1p(10e-6) - 1e-12)


def test_single_precision_is_widened() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 4, 527)).astype(np.float32)
    found = kl_divergence(first, second)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, kl_divergence(first.astype(float), second.astype(float)), rtol=1e-12)


def test_bad_input_is_named() -> None:
    good, broken = np.zeros((3, 5)), np.zeros((3, 5))
    broken[1, 2] = np.nan
    with pytest.raises(
        ValueError, match="reference_logits holds NaN or infinity in 1 clips, first in clip 1"
    ):
        kl_divergence(broken, good)
    with pytest.raises(ValueError, match="estimate_logits holds NaN"):
        kl_divergence(good, broken)
    with pytest.raises(
        ValueError, match=r"reference_logits has shape \(0, 5\); it must be \(clips, classes\)"
    ):
        kl_divergence(good[:0], good[:0])
    with pytest.raises(ValueError, match=r"estimate_logits has shape \(2, 5\), reference_logits \(3, 5\)"):
        kl_divergence(good, good[:2])
    with pytest.raises(ValueError, match="formula is 'sigmoid'; it must be one of audioldm, av-bench"):
        kl_divergence(good, good, "sigmoid")  # type: ignore[arg-type]
