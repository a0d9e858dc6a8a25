"""Gaussians fitted to rows of numbers, and how far two of them are apart.

    squared distance = |μ1 - μ2|² + Tr Σ1 + Tr Σ2 - 2 Tr (Σ1 Σ2)^½

The last trace is a sum of roots of the eigenvalues of Σ1 Σ2, a matrix that is not symmetric; it is found here from
symmetric ones only, the smallest that has them. A Gaussian is kept as its covariance Σ (d, d), or, with no more
rows than dimensions, as the factor F (n, d) of centred rows with FᵀF = Σ:

* two covariances: eigenvalues of Lᵀ Σ2 L with the Cholesky factor L Lᵀ = Σ1;
* a factor and a covariance: eigenvalues of F Σ Fᵀ;
* two factors: the singular values of F1 F2ᵀ are the roots already.

So fewer rows than dimensions, where Σ1 and Σ2 are singular, are no special case.

Reference:
    Dowson and Landau, "The Fréchet Distance between Multivariate Normal Distributions", J. Multivariate Analysis
    1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

_BLOCK_ROWS = 1024
"""Rows that are widened to float64 at a time: large sets stay in their own type."""

_MOST_ROWS_BY_SVD = 256
"""Larger products of factors go through eigenvalues of their square: a third of the time. Singular values below
1e-8 of the largest are then lost, which carry next to nothing of the sum."""


@dataclass(frozen=True, eq=False)
class RowSums:
    """Sums over rows, about a fixed centre, which can be taken off each other.

    Attributes:
        count: Rows.
        centre: What was taken off every row, (d,).
        total: Sum of rows - centre, (d,).
        products: Sum of outer products of rows - centre, (d, d).
    """

    count: int
    centre: FloatArray
    total: FloatArray
    products: FloatArray

    def minus(self, part: RowSums) -> RowSums:
        """Sums of the rows that are not in `part`, which has the same centre."""
        return RowSums(
            self.count - part.count, self.centre, self.total - part.total, self.products - part.products
        )


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A mean (d,) and a covariance: itself (d, d), or its factor of centred rows (n, d).

    Attributes:
        mean: (d,).
        matrix: The covariance or its factor.
        factored: Which of the two.
    """

    mean: FloatArray
    matrix: FloatArray
    factored: bool

    @property
    def trace(self) -> float:
        """Trace of the covariance."""
        return float(np.sum(self.matrix**2) if self.factored else np.trace(self.matrix))


def sum_rows(rows: FloatArray, centre: FloatArray) -> RowSums:
    """Sums of rows (n, d) about a centre (d,), in float64 whatever the type of the rows."""
    dimensions = rows.shape[1]
    total, products = np.zeros(dimensions), np.zeros((dimensions, dimensions))
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows[start : start + _BLOCK_ROWS] - centre
        total += block.sum(axis=0)
        products += block.T @ block
    return RowSums(len(rows), centre, total, products)


def gaussian_of_sums(sums: RowSums) -> Gaussian:
    """The Gaussian of rows whose sums are known; covariances divide by rows - 1."""
    mean = sums.total / sums.count
    spread = sums.products - sums.count * np.outer(mean, mean)
    return Gaussian(sums.centre + mean, spread / max(sums.count - 1, 1), factored=False)


def gaussian_of_rows(rows: FloatArray) -> Gaussian:
    """The Gaussian of rows (n, d); one row has no spread."""
    mean = rows.mean(axis=0, dtype=np.float64)
    if len(rows) > rows.shape[1]:
        return gaussian_of_sums(sum_rows(rows, mean))
    return Gaussian(mean, (rows - mean) / np.sqrt(max(len(rows) - 1, 1)), factored=True)


def squared_distance(first: Gaussian, second: Gaussian) -> float:
    """Squared Fréchet distance, not below 0."""
    gap = first.mean - second.mean
    cross = _root_trace(first, second)
    return max(0.0, float(gap @ gap) + first.trace + second.trace - 2 * cross)


def _root_trace(first: Gaussian, second: Gaussian) -> float:
    """Tr (Σ1 Σ2)^½."""
    if first.factored and second.factored:
        return _nuclear_norm(first.matrix @ second.matrix.T)
    if second.factored:
        first, second = second, first
    # From here on the second matrix is a covariance: A Σ2 Aᵀ has the eigenvalues for any A with AᵀA = Σ1.
    root = first.matrix if first.factored else _root(first.matrix)
    return _sum_of_roots(root @ second.matrix @ root.T)


def _nuclear_norm(matrix: FloatArray) -> float:
    """Sum of the singular values."""
    if min(matrix.shape) <= _MOST_ROWS_BY_SVD:
        return float(np.sum(np.linalg.svd(matrix, compute_uv=False)))
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    return _sum_of_roots(wide @ wide.T)


def _root(covariance: FloatArray) -> FloatArray:
    """Some A with AᵀA = covariance."""
    try:
        return np.linalg.cholesky(covariance).T
    except np.linalg.LinAlgError:  # some direction has no spread
        values, vectors = np.linalg.eigh(covariance)
        return (vectors * np.sqrt(np.clip(values, 0, None))).T


def _sum_of_roots(matrix: FloatArray) -> float:
    """Sum of the roots of the eigenvalues of a symmetric matrix without negative ones."""
    return float(np.sum(np.sqrt(np.clip(np.linalg.eigvalsh((matrix + matrix.T) / 2), 0, None))))
