"""A Gaussian process of the score of architectures: what the trials so far say of all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dpl_nas.space import Architecture

__all__ = ["Surrogate", "placement"]

#: What the likelihood of the scores chooses from: lengths of the kernel, as multiples of the
#: root of the median squared distance, and shares of the variance of the scores that are noise.
_SCALES = (0.3, 0.55, 1.0, 1.75, 3.0)
_NOISES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def placement(architectures: Sequence[Architecture]) -> Tensor:
    """Return where architectures have their vectors: rows whose distances mean something.

    A row has, for each tower, the square root of each layer's length, and the running sum of these
    from the first layer on: so a vector that moves by one layer is a small change, and the second
    vector of a layer matters less than the first.

    Returns
    -------
    Tensor
        (architectures, 2 * layers) float64.
    """
    parts = []
    for tower in architectures[0].lengths:
        lengths = torch.tensor([each.lengths[tower] for each in architectures], dtype=torch.float64)
        roots = lengths.sqrt()
        parts += [roots, roots.cumsum(dim=1) / math.sqrt(max(1, roots.shape[1]))]
    return torch.cat(parts, dim=1)


@dataclass(frozen=True)
class Surrogate:
    """A Gaussian process over :func:`placement` with a squared exponential kernel.

    Rasmussen and Williams 2006, chapter 2. The length of the kernel and the share of noise have
    the highest marginal likelihood on a small grid.

    Attributes
    ----------
    mean, sd
        Mean and standard deviation of the scores that it was fitted to.
    known
        Placements (trials, features) of the trials.
    values
        Standardised scores (trials,).
    squared_scale, noise
        Squared length of the kernel, and share of noise in 0..1.
    """

    mean: float
    sd: float
    known: Tensor
    values: Tensor
    squared_scale: float
    noise: float

    @classmethod
    def fit(cls, architectures: Sequence[Architecture], scores: Sequence[float]) -> Surrogate:
        """Fit the process to the scores of at least two different architectures."""
        known = placement(architectures)
        y = torch.tensor(scores, dtype=torch.float64)
        mean, sd = float(y.mean()), float(y.std()) or 1.0
        values = (y - mean) / sd
        distances = _squared_distances(known, known)
        median = float(distances[distances > 0].median())
        found = (
            cls(mean, sd, known, values, scale**2 * median, noise)
            for scale in _SCALES
            for noise in _NOISES
        )
        return max(found, key=lambda each: each.log_likelihood)

    @property
    def log_likelihood(self) -> float:
        """Log of the marginal likelihood of the scores, without its constant."""
        factor = self._factor()
        weights = torch.cholesky_solve(self.values[:, None], factor)[:, 0]
        return float(-0.5 * self.values @ weights - factor.diagonal().log().sum())

    def expected_improvement(self, architectures: Sequence[Architecture]) -> Tensor:
        """Return how far each is expected to exceed the best of the trials; of the true scores.

        Expected improvement (Mockus 1975) over the best mean of a trial, as the scores are noisy.

        Returns
        -------
        Tensor
            (architectures,) float64, in units of the score.
        """
        return self.sd * self._improvement(placement(architectures))

    def batch(self, architectures: Sequence[Architecture], count: int) -> list[Architecture]:
        """Choose several of them to try at once, most promising first.

        Each is the one of highest expected improvement, as if those before it had scored what is
        expected of them (the kriging believer, Ginsbourger et al. 2010).
        """
        rows = placement(architectures)
        left = list(range(len(architectures)))
        process = self
        chosen: list[Architecture] = []
        while left and len(chosen) < count:
            at = left.pop(int(process._improvement(rows[left]).argmax()))
            chosen.append(architectures[at])
            process = process._believing(rows[at : at + 1])
        return chosen

    def posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the variance of standardised scores without noise, each (rows,)."""
        cross = self._kernel(rows, self.known)
        factor = self._factor()
        mean = cross @ torch.cholesky_solve(self.values[:, None], factor)[:, 0]
        explained = torch.linalg.solve_triangular(factor, cross.T, upper=False).square().sum(dim=0)
        return mean, (1 - self.noise - explained).clamp_min(1e-12)

    def _improvement(self, rows: Tensor) -> Tensor:
        best = float(self.posterior(self.known)[0].max())
        mean, variance = self.posterior(rows)
        sd = variance.sqrt()
        ahead = (mean - best) / sd
        density = torch.exp(-0.5 * ahead.square()) / math.sqrt(2 * math.pi)
        improvement: Tensor = sd * (ahead * torch.special.ndtr(ahead) + density)
        return improvement

    def _believing(self, row: Tensor) -> Surrogate:
        known = torch.cat([self.known, row])
        values = torch.cat([self.values, self.posterior(row)[0]])
        return Surrogate(self.mean, self.sd, known, values, self.squared_scale, self.noise)

    def _factor(self) -> Tensor:
        """The Cholesky factor of the covariance of the trials."""
        covariance = self._kernel(self.known, self.known)
        noise = (self.noise + 1e-9) * torch.eye(len(covariance), dtype=torch.float64)
        factor: Tensor = torch.linalg.cholesky(covariance + noise)
        return factor

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        return (1 - self.noise) * torch.exp(-_squared_distances(a, b) / (2 * self.squared_scale))


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None, :] - b[None, :, :]).square().sum(dim=-1)
