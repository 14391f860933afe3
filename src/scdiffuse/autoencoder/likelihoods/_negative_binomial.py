"""Negative binomial likelihood of counts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder._counts import SparseCounts
from scdiffuse.autoencoder.cpu._nll import compiled_nll, is_compiled_for
from scdiffuse.autoencoder.likelihoods._base import CountLikelihood
from scdiffuse.autoencoder.likelihoods._config import DispersionConfig
from scdiffuse.autoencoder.likelihoods._dense import dense_terms, varying_dense_terms
from scdiffuse.autoencoder.likelihoods._draw import OutlierComponent, draw_counts
from scdiffuse.autoencoder.likelihoods._duplicates import duplicated_log_ratio
from scdiffuse.autoencoder.likelihoods._log_ratio import plain_log_ratio

__all__ = ["NegativeBinomial"]


class NegativeBinomial(CountLikelihood):
    r"""Negative binomial with a dispersion for each gene, which can reach Poisson.

    .. math:: x_g \sim \mathrm{NB}(\mu_g = p_g \ell,\; r_{cg}), \qquad \mathrm{var} = \mu_g + \mu_g^2 / r_{cg}, \qquad
              \log r_{cg} = \log r_g + b \log \mu_g + u_c .

    The exponent :math:`b` lets dispersions depend on the mean: 0 is the usual negative binomial, whose variance is
    quadratic in the mean, and 1 has a variance in proportion to the mean. The shift :math:`u_c` of a cell comes with
    its latent. Both are left out in training, and fitted at its end.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    config
        Starts and priors of dispersion parameters; the defaults unless given.

    References
    ----------
    Lopez et al. 2018, https://doi.org/10.1038/s41592-018-0229-2, eq. 4 (negative binomial on expression fractions and
    library size). Greene 2008, https://doi.org/10.1016/j.econlet.2007.10.015, eq. 3 (the exponent of the mean).
    """

    takes_shift = True

    def __init__(self, n_genes: int, config: DispersionConfig | None = None) -> None:
        super().__init__(n_genes, config)
        self._start = self.config.start()
        self.log_inverse_dispersion = nn.Parameter(torch.full((n_genes,), self._start.log_inverse_dispersion))
        self.mean_exponent = nn.Parameter(torch.zeros(1))
        self.register_parameter("duplication_rate", None)

    def initialise(self, counts_per_detection: float) -> None:
        """Set the dispersion parameters to the start of UMI or read counts; the prior of outliers is centred there too.

        Parameters
        ----------
        counts_per_detection
            Counts of a typical gene in the cells that it is detected in: little more than 1 for UMIs, dozens for reads.
        """
        self._start = self.config.start(counts_per_detection)
        for name in self.precisions():
            nn.init.constant_(self.get_parameter(name), getattr(self._start, name))

    def precisions(self) -> dict[str, float]:
        """Return the precision of the Gaussian prior on each parameter of a gene in the final fit, by its name."""
        found = super().precisions()
        for name in ("mean_exponent", "duplication_rate"):
            found.pop(name, None)  # of all genes together, also where there is one gene only
        return found

    @property
    def duplicates(self) -> float:
        """The duplication rate: how many more times than once a molecule is counted on average."""
        return 0.0 if self.duplication_rate is None else self.duplication_rate.item()

    def set_duplication_rate(self, rate: float) -> None:
        """Set how many more times than once a molecule is counted on average.

        Parameters
        ----------
        rate
            The duplication rate; 0, where training starts, removes the parameter.
        """
        like = self.log_inverse_dispersion
        self.duplication_rate = nn.Parameter(like.detach().new_full((1,), rate)) if rate else None

    def nll_per_cell(
        self, logits: Tensor, cells: SparseCounts, *, outliers: bool = True, shift: Tensor | None = None
    ) -> Tensor:
        """Compute the negative log-likelihood of the counts of each cell.

        Parameters
        ----------
        logits
            Unnormalised log expression fractions, shape ``(B, G)``.
        cells
            The non-zero counts of the cells.
        outliers
            Whether the outlier component is on, in likelihoods that have one.
        shift
            What is added to the logs of inverse dispersions in each cell, shape ``(B,)``; without it, dispersions are
            the same in all cells and at all means.

        Returns
        -------
        Negative log-likelihood in nats, shape ``(B,)``.
        """
        rate, log_plain_fraction = self._outlier_terms(outliers=outliers)
        if self.duplication_rate is not None:
            log_plain_fraction = log_plain_fraction - torch.log1p(self.duplication_rate)
        of_genes = (logits, self.log_inverse_dispersion, rate, log_plain_fraction, cells)
        if shift is None:
            zero_cost, log_mean = dense_terms(*of_genes)
            log_r = self.log_inverse_dispersion[cells.genes]
        else:
            zero_cost, log_mean, log_r = varying_dense_terms(*of_genes, self.mean_exponent, shift)
        log_ratio = partial(self._log_ratio, outliers=outliers)
        if self.duplication_rate is None:
            found = log_ratio(log_mean, log_r, cells)
        else:
            found = duplicated_log_ratio(log_ratio, log_mean, log_r, cells, self.duplication_rate)
        return zero_cost.index_add(0, cells.rows, -found)

    def nll(
        self,
        logits: Tensor,
        cells: SparseCounts,
        weights: Tensor,
        *,
        outliers: bool = True,
        shift: Tensor | None = None,
    ) -> Tensor:
        """Sum the negative log-likelihood over cells, on the CPU by compiled loops in a quarter of the time.

        Parameters
        ----------
        logits, cells
            As in `nll_per_cell`.
        weights
            Weight of each cell, shape ``(B,)``, not differentiable.
        outliers, shift
            As in `nll_per_cell`.

        Returns
        -------
        Negative log-likelihood in nats, each cell times its weight, shape ``()``.
        """
        if self.duplication_rate is None and is_compiled_for(logits):
            return compiled_nll(
                logits,
                cells,
                weights,
                log_inverse_dispersion=self.log_inverse_dispersion,
                outlier_component=self._outlier_parameters(outliers=outliers),
                state=(None, None) if shift is None else (self.mean_exponent, shift),
            )
        return (weights * self.nll_per_cell(logits, cells, outliers=outliers, shift=shift)).sum()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        """Read saved parameters, the duplication rate among them where there is one."""
        if f"{prefix}duplication_rate" in state_dict:
            self.set_duplication_rate(0.5)  # any rate that is there to be read into
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @torch.no_grad()
    def sample(
        self,
        fractions: NDArray[np.float32],
        library_size: NDArray[np.int64],
        keys: NDArray[np.uint64],
        *,
        shift: NDArray[np.float32] | None = None,
    ) -> sp.csr_matrix:
        """Draw counts.

        Parameters
        ----------
        fractions
            Expression fraction of each gene, shape ``(B, G)``, rows summing to 1.
        library_size
            Counts of each cell, shape ``(B,)``.
        keys
            Key of the random stream of each cell, shape ``(B,)``.
        shift
            As in `nll_per_cell`.

        Returns
        -------
        Counts, shape ``(B, G)``, rows summing to `library_size`.
        """
        return draw_counts(
            fractions,
            library_size,
            inverse_dispersion=np.exp(_double(self.log_inverse_dispersion)),
            outlier_component=self._outlier_component(),
            keys=keys,
            state=None if shift is None else (self.mean_exponent.item(), shift),
            duplication_rate=self.duplicates,
        )

    def _outlier_terms(self, *, outliers: bool) -> tuple[Tensor, Tensor]:
        """Return the rate of outliers and the log of the fraction of counts that are none, each of shape ``(G,)``."""
        none = torch.zeros_like(self.log_inverse_dispersion)
        return none, none

    def _log_ratio(self, log_mean: Tensor, log_r: Tensor, cells: SparseCounts, *, outliers: bool) -> Tensor:
        """Compute log-likelihood ratios of the counts against zero, shape ``(nnz,)``."""
        return plain_log_ratio(log_mean, log_r, cells)

    def _outlier_parameters(self, *, outliers: bool) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Return the logs of rate and size of outliers, where the outlier component is on."""
        return (None, None)

    def _outlier_component(self) -> OutlierComponent | None:
        """Return rate and size of outliers to draw, if there are any."""
        return None


def _double(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().cpu().numpy()
