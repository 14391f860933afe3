"""Expected expression of combinations of conditions, learnt gene by gene beside the latents."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.calibration._config import CalibrationConfig
from scdiffuse.calibration._covariance import (
    Combinations,
    NoiseBins,
    best_components,
    covariance_grid,
    explain,
    label_similarity,
)
from scdiffuse.calibration._grid import ConditionGrid
from scdiffuse.calibration._pseudobulk import Pseudobulk
from scdiffuse.nn import UnseenLabels

__all__ = ["ExpectedExpression"]

Array = NDArray[np.float64]
_LEAST_VARIANCE = 1e-6
_FEWEST_RELATED = 3  # labels of a condition; of two, nothing tells how alike they are


class ExpectedExpression(nn.Module):
    r"""Expression of each gene by combination of conditions: a Gaussian process over pseudobulks.

    .. math:: y_g(c) = \log(1 + s\, p_g(c)) = \mu_g + f_g(c) + \varepsilon_g(c)

    .. math::

        \operatorname{Cov}(f_g(c), f_g(c')) = \sum_k a_{gk} C_k(c_k, c'_k) + b_g \prod_k S_k(c_k, c'_k) + r_g [c = c']

    with :math:`p` the fraction of the counts and :math:`s` `CalibrationConfig.expected_scale`. The first term holds the
    effects of single labels, which add up. Labels that are alike, :math:`S_k`, have effects that are alike:
    :math:`C_k = S_k`, but :math:`C_k(l, l') = [l = l']` for a condition of two labels, as nothing tells how alike
    these are. The second term lets a combination borrow from those that are alike in all conditions: the response of
    monocytes to a stimulus says more about dendritic cells than the response of T cells. The third is what a
    combination has for itself. The variance of :math:`\varepsilon` is that of the sum of the counts of few cells. Each
    gene has the variances :math:`(a, b, r)` of a grid that are most probable for it, given how frequent they are over
    all genes. So a gene that nothing changes is left alone, however noisy it is, and one that a label switches on moves
    in full.

    Parameters
    ----------
    grid
        The combinations.
    n_genes
        Number of genes ``G``.
    unseen
        Labels that no training cell has, as weighted means of trained ones; whoever builds both registers it.

    References
    ----------
    Bonilla et al. 2007, https://papers.nips.cc/paper/3189 (a kernel of combinations as the product of kernels).
    Urbut et al. 2019, https://doi.org/10.1038/s41588-018-0268-8 (effects in many conditions, shrunk by a mixture of
    covariances).
    """

    mean: Tensor
    solution: Tensor
    component: Tensor
    noise_bin: Tensor
    noise: Tensor
    label_embedding: Tensor
    rare_factors: Tensor

    def __init__(self, grid: ConditionGrid, n_genes: int, *, unseen: UnseenLabels | None = None) -> None:
        super().__init__()
        self.grid = grid
        self._unseen = (unseen or UnseenLabels(()),)  # in a tuple, so that it is saved once
        config = grid.config
        self._codes, self._n_cells = grid.seen[grid.pooled], grid.n_cells[grid.pooled]
        self._covariances = covariance_grid(len(grid.n_labels), config)
        n_combinations = len(self._codes)
        ends = np.cumsum([0, *grid.n_labels])
        self._labels = [slice(begin, end) for begin, end in pairwise(ends)]
        self.register_buffer("mean", torch.zeros(n_genes))
        self.register_buffer("solution", torch.zeros(n_combinations, n_genes))
        self.register_buffer("component", torch.zeros(n_genes, dtype=torch.int64))
        self.register_buffer("noise_bin", torch.zeros(n_genes, dtype=torch.int64))
        self.register_buffer("noise", torch.ones(config.n_noise_bins, n_combinations))
        self.register_buffer("label_embedding", torch.zeros(sum(grid.n_labels), config.label_rank))
        self.register_buffer("rare_factors", torch.ones(len(grid.rare), n_genes))
        for at, n in enumerate(self._unseen[0].n_mapped):
            if n:
                self.register_buffer(f"mapped_factors_{at}", torch.ones(n, 2, n_genes))

    @torch.no_grad()
    def learn(self, pseudobulk: Pseudobulk) -> None:
        """Find the covariance of each gene, and what it explains of the pseudobulks.

        Parameters
        ----------
        pseudobulk
            Counts of the training cells.
        """
        config, codes = self.grid.config, self._codes
        n_cells = self._n_cells.astype(np.float64)
        values, variance = _measured(pseudobulk, n_cells, config)
        mean = np.average(values, axis=0, weights=n_cells)
        values -= mean
        self.mean.copy_(torch.from_numpy(mean))
        self.label_embedding.copy_(torch.from_numpy(self._embed(values, n_cells)))
        bins = NoiseBins.of(variance, config.n_noise_bins)
        self.noise.copy_(torch.from_numpy(bins.variance))
        self.noise_bin.copy_(torch.from_numpy(bins.of_gene))
        most = np.sort(np.argsort(-n_cells, kind="stable")[: config.n_evidence_combinations])
        some = self._combinations()._replace(codes=codes[most])
        noise = NoiseBins(bins.of_gene, bins.variance[:, most])
        component = best_components(values[most], noise, some, config=config)
        self.component.copy_(torch.from_numpy(component))
        for genes, _, factor in self._factors():
            self.solution[:, genes] = torch.from_numpy(explain(factor, values[:, genes])).float()

    def forward(self, codes: NDArray[np.int64]) -> Array:
        """Expect the expression of combinations.

        Parameters
        ----------
        codes
            ``U`` combinations, shape ``(U, C)``.

        Returns
        -------
        Expression on the scale of `transform`, shape ``(U, G)``; the fractions of a combination sum to 1.
        """
        if not self._has_unseen(codes):
            return self._expect(codes)
        trained, weights = self._in_trained_labels(codes)
        return self._normalised(weights @ self._expect(trained))

    def is_mapped(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which labels of one combination are mapped, shape ``(C,)``."""
        (unseen,) = self._unseen
        found = np.zeros(len(codes), dtype=bool)
        for at in unseen.conditions:
            found[at] = unseen.mapped_row(at, int(codes[at])) >= 0
        return found

    def mapped_factors(self, codes: NDArray[np.int64], *, carried: NDArray[np.bool_] | None = None) -> Array | None:
        """Look up what the mapped labels of a combination do to each gene.

        Parameters
        ----------
        codes
            One combination, shape ``(C,)``.
        carried
            Conditions whose mapped label is that of the cell whose latents are decoded, shape ``(C,)``: they carry
            some of it already.

        Returns
        -------
        Factors, shape ``(G,)``; `None` where no label is mapped.
        """
        (unseen,), found = self._unseen, None
        for at in np.flatnonzero(self.is_mapped(codes)).tolist():
            row, part = unseen.mapped_row(at, int(codes[at])), int(carried is not None and carried[at])
            own = _numbers(self.get_buffer(f"mapped_factors_{at}")[row, part])
            found = own if found is None else found * own
        return found

    def with_mapped(self, expression: Array, factors: Array | None) -> Array:
        """Multiply the fractions of a combination, shape ``(G,)``, by `mapped_factors`, and let them sum to 1."""
        return expression if factors is None else self._normalised(expression, factors)

    def _expect(self, codes: NDArray[np.int64]) -> Array:
        """Expect the expression of combinations of trained labels."""
        mean, solution = np.tile(_numbers(self.mean), (len(codes), 1)), _numbers(self.solution)
        component, combinations = self.component.cpu().numpy(), self._combinations()
        for at in np.unique(component):
            genes = component == at
            mean[:, genes] += combinations.covariance(self._covariances[at], codes).T @ solution[:, genes]
        return self._normalised(mean)

    def _normalised(self, expression: Array, factors: Array | float = 1.0) -> Array:
        """Let the fractions of each combination, times factors, sum to 1."""
        fractions = self.fractions(expression) * factors
        return self.transform(fractions / fractions.sum(axis=-1, keepdims=True))

    def variance(self, codes: NDArray[np.int64]) -> Array:
        """Compute the posterior variance of the expression that `forward` expects, shape ``(U, G)``."""
        found, known = np.empty((len(codes), len(self.component))), self._combinations()
        trained, weights = self._in_trained_labels(codes)
        asked = known._replace(codes=trained)
        for genes, at, factor in self._factors():
            shared = known.covariance(self._covariances[at], trained) @ weights.T
            own = ((weights @ asked.covariance(self._covariances[at], trained)) * weights).sum(axis=1)
            found[:, genes] = (own - (shared * explain(factor, shared)).sum(axis=0))[:, None]
        return found

    def unseen_variance(self, codes: NDArray[np.int64]) -> Array:
        """Compute the variance of what unseen labels do beside the weighted mean of trained ones, shape ``(U, G)``.

        The part of it that is expected to be missed, of what labels of the condition do to each gene.
        """
        (unseen,), component = self._unseen, self.component.cpu().numpy()
        found = np.zeros((len(codes), len(component)))
        for at in unseen.conditions:
            between = np.array([one.labels[at] + one.shared + one.own for one in self._covariances])[component]
            missed = np.concatenate([np.zeros(unseen.n_labels[at]), _numbers(unseen.expected_error(at))])
            found += missed[codes[:, at]][:, None] * between
        return found

    def expected_error(self, codes: NDArray[np.int64], *, measured: NDArray[np.bool_] | None = None) -> float:
        r"""Estimate how much of what a combination has of its own is missed.

        A change of label changes the expression of a gene by :math:`d_g`, against the mean of the trained combinations
        that differ in this label alone. With the posterior variance :math:`v_g`, the part of the square of the change
        that is likely to be missed is :math:`\sum_g v_g / \sum_g (v_g + d_g^2)`. Of the conditions, the worst counts.

        Parameters
        ----------
        codes
            One combination, shape ``(C,)``.
        measured
            Conditions whose change does not count, as cells show it, shape ``(C,)``; none unless given.

        Returns
        -------
        Between 0, all of it is known, and 1, nothing is.
        """
        counted = np.arange(len(codes)) if measured is None else np.flatnonzero(~measured)
        if not counted.size:
            return 0.0
        trained = self._codes
        expected, variance = self(codes[None])[0], float(self.variance(codes[None]).mean())
        others, same = self(trained), trained == codes
        found = []
        for condition in counted:
            rows = np.delete(same, condition, axis=1).all(axis=1) & ~same[:, condition]
            if rows.any():
                change = expected - np.average(others[rows], axis=0, weights=self._n_cells[rows])
                found.append(float(np.square(change).mean()))
        if not found:
            found.append(float(np.square(others - expected).mean(axis=1).min()))
        return max(variance / (variance + min(found)), *self._unseen_errors(codes), 0.0)

    def transform(self, fractions: Array) -> Array:
        """Bring fractions to the scale of expectations, any shape."""
        return np.asarray(np.log1p(self.grid.config.expected_scale * fractions))

    def fractions(self, expression: Array) -> Array:
        """Invert `transform`; what lies below 0 is 0."""
        return np.asarray(np.expm1(expression.clip(min=0.0)) / self.grid.config.expected_scale)

    def _has_unseen(self, codes: NDArray[np.int64]) -> bool:
        (unseen,) = self._unseen
        return any((codes[:, at] >= unseen.n_labels[at]).any() for at in unseen.conditions)

    def _in_trained_labels(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], Array]:
        """Write combinations as weighted means of combinations of trained labels.

        Returns
        -------
        Combinations of trained labels, shape ``(V, C)``, and their weights in each combination asked, ``(U, V)``.
        """
        (unseen,), weights = self._unseen, np.eye(len(codes))
        for at in unseen.conditions:
            rows = np.concatenate([np.eye(unseen.n_labels[at]), _numbers(unseen.weights(at))])[codes[:, at]]
            row, label = rows.nonzero()
            codes, weights = codes[row], weights[:, row] * rows[row, label]
            codes[:, at] = label
        return codes, weights

    def _unseen_errors(self, codes: NDArray[np.int64]) -> list[float]:
        """List the expected errors of the effects of the unseen labels of a combination."""
        (unseen,) = self._unseen
        labels = [(at, int(codes[at]) - unseen.n_labels[at]) for at in unseen.conditions]
        return [float(unseen.expected_error(at)[label]) for at, label in labels if label >= 0]

    def _combinations(self) -> Combinations:
        embedding, config = _numbers(self.label_embedding), self.grid.config
        similarity = [label_similarity(embedding[labels], config.length_scale) for labels in self._labels]
        fewest = _FEWEST_RELATED if config.alike_labels else np.inf
        correlation = [one if len(one) >= fewest else np.eye(len(one)) for one in similarity]
        return Combinations(self._codes, similarity, correlation, config.mean_variance)

    def _embed(self, values: Array, n_cells: Array) -> Array:
        """Embed each label by the largest principal components of the effects of the labels of its condition."""
        config, codes = self.grid.config, self._codes
        design = np.concatenate([np.eye(n)[column] for n, column in zip(self.grid.n_labels, codes.T, strict=True)], 1)
        gram = design.T @ (n_cells[:, None] * design) + config.effect_ridge * np.eye(design.shape[1])
        effects = np.linalg.solve(gram, design.T @ (n_cells[:, None] * values))
        found = np.zeros((len(effects), config.label_rank))
        for labels in self._labels:
            left, scale, _ = np.linalg.svd(effects[labels] - effects[labels].mean(axis=0), full_matrices=False)
            n = min(config.label_rank, len(scale))
            found[labels, :n] = left[:, :n] * scale[:n]
        return found

    def _factors(self) -> list[tuple[NDArray[np.int64], int, Array]]:
        """Factorise the covariance of the pseudobulks for the genes of each component and bin."""
        combinations, noise = self._combinations(), _numbers(self.noise)
        pairs = np.stack([self.component.cpu().numpy(), self.noise_bin.cpu().numpy()], axis=1)
        kinds, which = np.unique(pairs, axis=0, return_inverse=True)
        return [
            (
                np.flatnonzero(which.ravel() == row),
                int(at),
                combinations.factorise(self._covariances[at], noise[one]),
            )
            for row, (at, one) in enumerate(kinds)
        ]


def _measured(pseudobulk: Pseudobulk, n_cells: Array, config: CalibrationConfig) -> tuple[Array, Array]:
    """Bring pseudobulks to the scale of expectations, with the sampling variance of each value, shapes ``(M, G)``.

    The variance is that of a sum of counts, and of cells that differ: the one by the counts, the other by the cells. It
    is taken at a fraction halfway to that of all cells, as a gene that was never counted would seem certain otherwise.
    """
    fractions, counts = pseudobulk.fractions, pseudobulk.counts
    totals, cell = counts.sum(axis=1, keepdims=True), counts.sum() / n_cells.sum()
    likely = ((counts + cell * fractions) / (totals + cell) + fractions) / 2
    slope = config.expected_scale / (1 + config.expected_scale * likely)
    totals = totals.clip(min=1.0)
    variance = slope**2 * (likely / totals + config.gene_variance * likely**2 / n_cells[:, None])
    return np.log1p(config.expected_scale * counts / totals), variance + _LEAST_VARIANCE


def _numbers(tensor: Tensor) -> Array:
    return np.asarray(tensor.double().cpu().numpy())
