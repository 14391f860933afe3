"""Encoder and decoder networks between sparse counts and latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from scdiffuse._core.errors import SettingError

__all__ = ["AutoencoderConfig", "Decoder", "Encoder", "StandardisingDecoder", "gene_product", "normalise"]

_TARGET_SUM = 1e4
_LOG_VARIANCE_RANGE = (-12.0, 4.0)
_FULL = 0.1  # share of non-zeros from which on a dense product trains faster


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderConfig:
    """The shape of the autoencoder and what holds it back from fitting noise."""

    n_latent: int = 40
    """Width of the latent code."""
    n_hidden: int = 128
    """Width of the hidden layers."""
    n_nonlinear: int = 32
    """Width of the decoder's path that is not linear in the latent code."""
    likelihood: Literal["burst", "negative_binomial"] = "burst"
    """Distribution of counts given the latent code."""
    kl_weight: float = 1.0
    """Weight of the pull towards the prior; 1 is the evidence lower bound."""
    shrinkage: float = 20.0
    """Precision of the Gaussian prior on the linear loadings of each gene."""
    nonlinear_shrinkage: float = 60.0
    """The same of the loadings that are not linear; the larger, the better do effects of conditions add up."""
    thinning: float = 0.6
    """Largest share of a cell's counts that is hidden from the encoder in training, so that it learns the state of a
    cell and not its noise."""
    balance: float = 0.25
    """How far rare combinations of labels are brought up to frequent ones in training: a cell of a combination of ``n``
    cells weighs as ``n ** -balance``. At 0 all cells weigh the same, at 1 all combinations."""

    def __post_init__(self) -> None:
        if min(self.n_latent, self.n_hidden, self.n_nonlinear) < 1:
            widths = (self.n_latent, self.n_hidden, self.n_nonlinear)
            msg = f"`n_latent`, `n_hidden` and `n_nonlinear` must be at least 1, got {widths}."
            raise SettingError(msg)
        if not 0 <= self.thinning < 1:
            msg = f"`thinning` must be at least 0 and below 1, got {self.thinning}; 0.6 suits most data."
            raise SettingError(msg)
        if not 0 <= self.balance <= 1:
            msg = f"`balance` must be between 0 and 1, got {self.balance}; 0.25 suits most data."
            raise SettingError(msg)
        weights = (self.kl_weight, self.shrinkage, self.nonlinear_shrinkage)
        if min(weights) < 0:
            msg = f"`kl_weight`, `shrinkage` and `nonlinear_shrinkage` must not be negative, got {weights}."
            raise SettingError(msg)
        if self.likelihood not in {"burst", "negative_binomial"}:
            msg = f"`likelihood` must be 'burst' or 'negative_binomial', got {self.likelihood!r}."
            raise SettingError(msg)


def normalise(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Scale each cell to 10,000 counts and take ``log1p``, non-zeros only.

    Parameters
    ----------
    counts
        Counts, shape ``(B, G)``; a cell without counts stays empty.

    Returns
    -------
    A new matrix of the same shape, ``float32``.
    """
    totals = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    scale = np.repeat((_TARGET_SUM / totals).astype(np.float32), np.diff(counts.indptr))
    data = np.log1p(counts.data.astype(np.float32) * scale)
    return sp.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)


class _SparseProduct(torch.autograd.Function):
    """Rows of a sparse matrix times dense weights; the gradient costs non-zeros too."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: sp.csr_matrix) -> Tensor:  # noqa: ANN401
        ctx.rows = rows
        return torch.from_numpy(np.ascontiguousarray(rows @ weight.detach().cpu().numpy())).to(weight.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (grad,) = grads
        return torch.from_numpy(ctx.rows.T @ grad.cpu().numpy()).to(grad.device), None


def gene_product(rows: sp.csr_matrix, weight: Tensor) -> Tensor:
    """Multiply sparse cells with the weights of genes.

    Parameters
    ----------
    rows
        Values of the genes, shape ``(B, G)``.
    weight
        Weights of each gene, shape ``(G, width)``.

    Returns
    -------
    The product, shape ``(B, width)``, differentiable by the weights.
    """
    full = torch.is_grad_enabled() and rows.nnz > _FULL * rows.shape[0] * rows.shape[1]
    if weight.device.type == "cpu" and not full:
        product: Tensor = _SparseProduct.apply(weight, rows)  # type: ignore[no-untyped-call]
        return product
    # On an accelerator the dense batch is cheaper than a transfer back.
    dense = torch.zeros(rows.shape, device=weight.device)
    at = torch.from_numpy(np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))).to(dense.device)
    genes = torch.from_numpy(rows.indices.astype(np.int64)).to(dense.device)
    dense[at, genes] = torch.from_numpy(rows.data).to(dense.device)
    return dense @ weight


class Encoder(nn.Module):
    """Sparse counts to the mean and standard deviation of a Gaussian over latents.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    config
        Widths.
    """

    def __init__(self, n_genes: int, config: AutoencoderConfig) -> None:
        super().__init__()
        width = config.n_hidden
        self.gene_weight = nn.Parameter(torch.randn(n_genes, width) * 0.02)
        self.gene_bias = nn.Parameter(torch.zeros(width))
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width), nn.SiLU()
        )
        self.head = nn.Linear(width, 2 * config.n_latent)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias[config.n_latent :] = -1.0

    def forward(self, counts: sp.csr_matrix) -> tuple[Tensor, Tensor]:
        """Encode cells; a row depends on its own counts only.

        Parameters
        ----------
        counts
            Counts, shape ``(B, G)``.

        Returns
        -------
        Mean and log variance of the latents, each of shape ``(B, D)``.
        """
        product = gene_product(normalise(counts), self.gene_weight)
        mean, log_variance = self.head(self.body(product + self.gene_bias)).chunk(2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCE_RANGE)


class Decoder(nn.Module):
    r"""Latents to the log share of each gene.

    A linear path, in which the effects of several conditions add up and weak programmes survive, beside a network for
    what is not linear:

    .. math:: \log p = \mathrm{log\,softmax}(b + z W + h(z) U), \quad |h| < 1.

    The bound keeps :math:`h` from growing past the prior of :math:`U`, and :math:`U` starts at 0, so that the linear
    path explains what it can.

    Parameters
    ----------
    fractions
        Mean share of each gene in the training cells, shape ``(G,)``, positive; the logits start there.
    config
        Widths and shrinkage.
    """

    def __init__(self, fractions: Tensor, config: AutoencoderConfig) -> None:
        super().__init__()
        n_genes, width, n_nonlinear = fractions.numel(), config.n_hidden, config.n_nonlinear
        self.bias = nn.Parameter(fractions.log())
        self.loadings = nn.Parameter(torch.randn(config.n_latent, n_genes) * 0.02)
        self.body = nn.Sequential(
            nn.Linear(config.n_latent, width), nn.SiLU(), nn.Linear(width, n_nonlinear), nn.Tanh()
        )
        self.nonlinear_loadings = nn.Parameter(torch.zeros(n_nonlinear, n_genes))

    def forward(self, latent: Tensor) -> Tensor:
        """Return unnormalised log shares.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Logits, shape ``(B, G)``.
        """
        bent = torch.addmm(self.bias, self.body(latent), self.nonlinear_loadings)
        return bent.addmm_(latent, self.loadings)  # in its place: logits are the largest thing there is


class StandardisingDecoder(Decoder):
    """A decoder of codes that were made elsewhere, at whatever place and scale.

    Parameters
    ----------
    fractions, config
        As in `Decoder`.
    """

    code_mean: Tensor
    code_std: Tensor

    def __init__(self, fractions: Tensor, config: AutoencoderConfig) -> None:
        super().__init__(fractions, config)
        self.register_buffer("code_mean", torch.zeros(config.n_latent))
        self.register_buffer("code_std", torch.ones(config.n_latent))

    def forward(self, latent: Tensor) -> Tensor:
        """Return unnormalised log shares.

        Parameters
        ----------
        latent
            Codes as they were made, shape ``(B, D)``.

        Returns
        -------
        Logits, shape ``(B, G)``.
        """
        return super().forward((latent - self.code_mean) / self.code_std)
