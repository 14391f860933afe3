"""Encoder and decoder networks between sparse counts and latents."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from scdiffuse.autoencoder._config import AutoencoderConfig

__all__ = ["Decoder", "Encoder", "StandardisingDecoder", "code_scale", "gene_product", "normalise"]

_DENSE = 0.1  # fraction of non-zeros from which on a dense product trains faster
_LEAST_SPREAD = 1e-6  # of a code, over its mean: what is below is rounding of ``float32``


def normalise(counts: sp.csr_matrix, target_sum: float = 1e4) -> sp.csr_matrix:
    """Scale each cell to the same library size and take ``log1p``, non-zeros only.

    Parameters
    ----------
    counts
        Counts, shape ``(B, G)``; a cell without counts stays empty.
    target_sum
        Library size to scale to.

    Returns
    -------
    A new matrix of the same shape, ``float32``.
    """
    totals = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    scale = np.repeat((target_sum / totals).astype(np.float32), np.diff(counts.indptr))
    data = np.log1p(counts.data.astype(np.float32) * scale)
    return sp.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)


class _SparseProduct(torch.autograd.Function):
    """Product of sparse rows and dense weights, whose cost and that of its gradient grow with the non-zeros."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: sp.csr_matrix) -> Tensor:  # noqa: ANN401
        ctx.rows = rows
        return torch.from_numpy(np.ascontiguousarray(rows @ weight.detach().cpu().numpy())).to(weight.device)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (grad,) = grads
        return torch.from_numpy(ctx.rows.T @ grad.cpu().numpy()).to(grad.device), None


def gene_product(rows: sp.csr_matrix, weight: Tensor) -> Tensor:
    """Multiply the sparse values of cells by the weights of genes.

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
    is_dense = torch.is_grad_enabled() and rows.nnz > _DENSE * rows.shape[0] * rows.shape[1]
    if weight.device.type == "cpu" and not is_dense:
        product: Tensor = _SparseProduct.apply(weight, rows)  # type: ignore[no-untyped-call]
        return product
    # On an accelerator a dense batch is cheaper than a copy back.
    dense = torch.zeros(rows.shape, device=weight.device)
    at = torch.from_numpy(np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))).to(dense.device)
    genes = torch.from_numpy(rows.indices.astype(np.int64)).to(dense.device)
    dense[at, genes] = torch.from_numpy(rows.data).to(dense.device)
    return dense @ weight


class Encoder(nn.Module):
    """Encode sparse counts as the mean and log variance of a Gaussian over latents.

    Parameters
    ----------
    n_genes
        Number of genes ``G``.
    config
        Widths, scaling and initial values.
    """

    def __init__(self, n_genes: int, config: AutoencoderConfig) -> None:
        super().__init__()
        width, network = config.n_hidden, config.network
        self.target_sum = network.target_sum
        self.log_variance_range = network.lowest_log_variance, network.highest_log_variance
        self.gene_weight = nn.Parameter(torch.randn(n_genes, width) * network.initial_weight_std)
        self.gene_bias = nn.Parameter(torch.zeros(width))
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width), nn.LayerNorm(width), nn.SiLU()
        )
        self.head = nn.Linear(width, 2 * config.n_latent)
        with torch.no_grad():
            self.head.weight.mul_(network.initial_output_scale)
            self.head.bias[config.n_latent :] = network.initial_log_variance

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
        product = gene_product(normalise(counts, self.target_sum), self.gene_weight)
        mean, log_variance = self.head(self.body(product + self.gene_bias)).chunk(2, dim=1)
        return mean, log_variance.clamp(*self.log_variance_range)


class Decoder(nn.Module):
    r"""Decode latents to the log expression fraction of each gene.

    In the linear path, the effects of several conditions add up and weak gene programmes survive. A nonlinear path is
    added to it:

    .. math:: \log p = \mathrm{log\,softmax}(b + z W + h(z) U), \quad |h| < 1.

    The bound of :math:`h` keeps the prior of :math:`U` effective, and :math:`U` starts at 0, so that the linear path
    explains what it can.

    Parameters
    ----------
    fractions
        Mean expression fraction of each gene in the training cells, shape ``(G,)``, positive; the logits start there.
    config
        Widths and initial values.
    """

    def __init__(self, fractions: Tensor, config: AutoencoderConfig) -> None:
        super().__init__()
        n_genes, width, n_nonlinear = fractions.numel(), config.n_hidden, config.n_nonlinear
        self.bias = nn.Parameter(fractions.log())
        self.loadings = nn.Parameter(torch.randn(config.n_latent, n_genes) * config.network.initial_weight_std)
        self.body = nn.Sequential(
            nn.Linear(config.n_latent, width), nn.SiLU(), nn.Linear(width, n_nonlinear), nn.Tanh()
        )
        self.nonlinear_loadings = nn.Parameter(torch.zeros(n_nonlinear, n_genes))
        self.dispersion_loadings = nn.Parameter(torch.zeros(config.n_latent))

    def forward(self, latent: Tensor) -> Tensor:
        """Compute unnormalised log expression fractions.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Logits, shape ``(B, G)``.
        """
        nonlinear = torch.addmm(self.bias, self.body(latent), self.nonlinear_loadings)
        return nonlinear.addmm_(latent, self.loadings)  # in place: logits are the largest tensors of a step

    def dispersion_shift(self, latent: Tensor) -> Tensor:
        """Compute what is added to the logs of the inverse dispersions of all genes in each cell.

        Parameters
        ----------
        latent
            Latent codes, shape ``(B, D)``.

        Returns
        -------
        Shifts, shape ``(B,)``; 0 until the final fit of dispersions.
        """
        return latent @ self.dispersion_loadings


class StandardisingDecoder(Decoder):
    """Decode pretrained embeddings, which have a mean and scale of their own.

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
        """Compute unnormalised log expression fractions.

        Parameters
        ----------
        latent
            Embeddings before standardisation, shape ``(B, D)``.

        Returns
        -------
        Logits, shape ``(B, G)``.
        """
        return super().forward(self._standardise(latent))

    def dispersion_shift(self, latent: Tensor) -> Tensor:
        """Compute what is added to the logs of the inverse dispersions of all genes in each cell.

        Parameters
        ----------
        latent
            Embeddings before standardisation, shape ``(B, D)``.

        Returns
        -------
        Shifts, shape ``(B,)``.
        """
        return super().dispersion_shift(self._standardise(latent))

    def _standardise(self, latent: Tensor) -> Tensor:
        return (latent - self.code_mean) / self.code_std


def code_scale(mean: Tensor, std: Tensor) -> Tensor:
    """Choose what codes are divided by: their standard deviation, and 1 for a code that is the same in all cells.

    A small number instead would turn the errors with which the diffusion makes such a code into large ones.

    Parameters
    ----------
    mean, std
        Mean and standard deviation of each code over cells, shape ``(D,)``.

    Returns
    -------
    Scales, shape ``(D,)``, positive.
    """
    return torch.where(std > _LEAST_SPREAD * mean.abs(), std, torch.ones_like(std))
