"""How differently a listening network judges true and generated sounds: KL divergence of its class posteriors.

Conventions:
    One row of logits per clip, reference before estimate. The divergence is KL(reference || estimate) in nats
    over the softmax of the logits: 0 when both sound like the same classes, and 0 is best. Published tables show
    the mean over clips.

Formulas:
    ``"audioldm"``: Σ p (log p - log(q + 1e-6)), of the ViSAGe tables. The offset bounds a clip at 13.8 nats and
    lets posteriors that are equal come out below 0 by up to classes · 1e-6.
    ``"av-bench"``: Σ p (log p - log q) with both logarithms straight from the logits, of the ViSAudio tables: the
    definition itself, without a bound.
    Both packages also have a sigmoid form; neither paper shows it.

Silence:
    A network has posteriors for silence as for any other sound: nothing is left out.

References:
    Kullback and Leibler, "On Information and Sufficiency", 1951. Liu et al., "AudioLDM", ICML 2023 (evaluation
    package audioldm_eval). Cheng et al., "MMAudio", CVPR 2025 (evaluation package av-benchmark).
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

KlFormula = Literal["audioldm", "av-bench"]
FloatArray = NDArray[np.floating]

_AUDIOLDM_OFFSET = 1e-6


def kl_divergence(
    reference_logits: FloatArray, estimate_logits: FloatArray, formula: KlFormula = "av-bench"
) -> FloatArray:
    """KL divergence of the posteriors of each pair of clips.

    Args:
        reference_logits: Logits of the true sounds before the softmax, (clips, classes).
        estimate_logits: Logits of the sounds to score, the same shape, clip by clip the counterpart.
        formula: ``"audioldm"`` or ``"av-bench"``.

    Returns:
        Nats, float64, shape (clips,).

    Raises:
        ValueError: No clip, fewer than two classes, shapes that differ, values that are not finite, or an unknown
            formula.
    """
    if formula not in get_args(KlFormula):
        raise ValueError(f"formula is {formula!r}; it must be one of {', '.join(get_args(KlFormula))}")
    for name, logits in (("reference_logits", reference_logits), ("estimate_logits", estimate_logits)):
        _check(name, logits)
    if reference_logits.shape != estimate_logits.shape:
        raise ValueError(
            f"estimate_logits has shape {estimate_logits.shape}, reference_logits {reference_logits.shape}; "
            "give pairs of clips heard by one network"
        )
    log_p, log_q = log_softmax(reference_logits), log_softmax(estimate_logits)
    if formula == "audioldm":
        log_q = np.log(np.exp(log_q) + _AUDIOLDM_OFFSET)
    # exp(log p) log p goes to 0 with p, and logits are finite: 0 times infinity cannot occur.
    return np.sum(np.exp(log_p) * (log_p - log_q), axis=1)


def log_softmax(logits: FloatArray) -> FloatArray:
    """Logarithm of the softmax over the last axis, float64."""
    wide = np.asarray(logits, dtype=np.float64)
    shifted = wide - np.max(wide, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _check(name: str, logits: FloatArray) -> None:
    if logits.ndim != 2 or logits.shape[0] < 1 or logits.shape[1] < 2:
        raise ValueError(
            f"{name} has shape {logits.shape}; it must be (clips, classes), 1 clip and 2 classes or more"
        )
    bad = np.flatnonzero(~np.all(np.isfinite(logits), axis=1))
    if len(bad):
        raise ValueError(
            f"{name} holds NaN or infinity in {len(bad)} clips, first in clip {bad[0]}; "
            "leave such clips out and count them"
        )
