"""What a fitted model is made of: networks, the scale of latents, and what the training cells were."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scdiffuse.autoencoder import CountAutoencoder, Posterior
from scdiffuse.autoencoder.likelihoods import NegativeBinomial
from scdiffuse.calibration import ConditionGrid, ExpectedExpression
from scdiffuse.cells import Conditions, ConditionTable
from scdiffuse.diffusion import LatentDenoiser
from scdiffuse.foundation import build_latent
from scdiffuse.model._config import ModelConfig
from scdiffuse.model._library_size import LibrarySizeScore
from scdiffuse.model._restore import build_like, require_depth, require_finite

__all__ = ["Networks"]

_DUPLICATION_RATE = "autoencoder.likelihood.duplication_rate"
AnyNetworks = TypeVar("AnyNetworks", bound="Networks")


class Networks(nn.Module):
    """All tensors of a model.

    Parameters
    ----------
    config
        Settings.
    conditions
        Vocabulary.
    fractions
        Mean expression fraction of each gene, shape ``(G,)``.
    training
        Distinct condition rows of the training cells, with their numbers.
    """

    latent_mean: Tensor
    latent_std: Tensor
    conditions_codes: Tensor
    conditions_values: Tensor
    conditions_counts: Tensor

    def __init__(
        self, config: ModelConfig, *, conditions: Conditions, fractions: Tensor, training: ConditionTable
    ) -> None:
        super().__init__()
        width = config.autoencoder.n_latent + 1
        self.autoencoder = (
            CountAutoencoder(fractions, config.autoencoder)
            if config.latent is None
            else build_latent(config.latent, fractions=fractions, config=config.autoencoder)
        )
        self.denoiser = LatentDenoiser(
            width,
            n_labels=conditions.n_labels,
            n_continuous=len(conditions.continuous),
            config=config.diffusion,
            n_unseen=conditions.n_unseen,
            n_mapped=[conditions.n_mapped.get(name, 0) for name in conditions.categorical],
        )
        grid = ConditionGrid.of(conditions.n_labels, training, config.calibration)
        self.expected = (
            ExpectedExpression(grid, fractions.numel(), unseen=self.denoiser.conditions.unseen) if grid else None
        )
        self.register_buffer("latent_mean", torch.zeros(width))
        self.register_buffer("latent_std", torch.ones(width))
        self.library_size_score = LibrarySizeScore(
            by_quantiles=config.library_size_scores, n_knots=config.library_size_knots
        )
        self.register_buffer("conditions_codes", torch.from_numpy(training.codes))
        self.register_buffer("conditions_values", torch.from_numpy(training.values))
        self.register_buffer("conditions_counts", torch.from_numpy(training.counts))

    @property
    def trained_on(self) -> ConditionTable:
        """Distinct condition rows of the training cells, with their numbers."""
        parts = (self.conditions_codes, self.conditions_values, self.conditions_counts)
        return ConditionTable(*(part.cpu().numpy() for part in parts))

    @property
    def n_genes(self) -> int:
        """Number of genes that are decoded."""
        return _n_genes(self.state_dict())

    def with_library_sizes(self, posterior: Posterior, library_sizes: NDArray[np.number]) -> Posterior:
        """Put the scores of library sizes beside the posterior of codes.

        Parameters
        ----------
        posterior
            Of the codes, each part of shape ``(B, D)``.
        library_sizes
            Counts a cell, shape ``(B,)``, at least 1.

        Returns
        -------
        Each part of shape ``(B, D + 1)``; the deviation of the library size is 0.
        """
        scores = torch.from_numpy(self.library_size_score.of(library_sizes)).to(posterior.mean)[:, None]
        mean = torch.cat([posterior.mean, scores], dim=1)
        return Posterior(mean, torch.cat([posterior.std, torch.zeros_like(scores)], dim=1))

    def standardise(self, posterior: Posterior, library_sizes: NDArray[np.number]) -> Posterior:
        """Join the posterior of codes with library sizes, as the diffusion sees cells; `split` goes back.

        Parameters
        ----------
        posterior, library_sizes
            As for `with_library_sizes`.

        Returns
        -------
        Standardised, each part of shape ``(B, D + 1)``.
        """
        mean, std = self.with_library_sizes(posterior, library_sizes)
        return Posterior((mean - self.latent_mean) / self.latent_std, std / self.latent_std)

    def split(self, standardised: Tensor) -> tuple[Tensor, NDArray[np.int64]]:
        """Split diffused vectors into latent codes and library sizes.

        Parameters
        ----------
        standardised
            What the diffusion made, shape ``(B, D + 1)``.

        Returns
        -------
        Codes, shape ``(B, D)``, and library sizes, shape ``(B,)``, kept within the range of the training cells.
        """
        both = standardised * self.latent_std + self.latent_mean
        return both[:, :-1], self.library_size_score.library_sizes(both[:, -1])

    @property
    def duplication_rate(self) -> float:
        """How many more times than once a molecule of the training cells is counted on average."""
        likelihood = self.negative_binomial
        return 0.0 if likelihood is None else likelihood.duplicates

    @property
    def negative_binomial(self) -> NegativeBinomial | None:
        """The likelihood, where it is one that molecules may have duplicates in."""
        likelihood = getattr(self.autoencoder, "likelihood", None)
        return likelihood if isinstance(likelihood, NegativeBinomial) else None

    def copies(self) -> dict[str, Tensor]:
        """Return all tensors by name, copied to main memory."""
        return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self.state_dict().items()}

    def fingerprint(self, words: str) -> str:
        """Return 16 hexadecimal digits that change with any weight or word.

        Parameters
        ----------
        words
            What belongs to the model and is no tensor: genes and vocabulary.
        """
        digest = hashlib.sha256(words.encode())
        for name, tensor in sorted(self.copies().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], *, config: ModelConfig, conditions: Conditions) -> Self:
        """Build the parts from saved tensors.

        Parameters
        ----------
        tensors
            What `copies` returned.
        config
            Settings.
        conditions
            Vocabulary.

        Raises
        ------
        ValueError
            The tensors do not fit the settings or the vocabulary.
        """
        training = ConditionTable(*(tensors[f"conditions_{part}"].numpy() for part in ("codes", "values", "counts")))
        n_genes = _n_genes(tensors)
        _require_table(training, conditions)
        require_depth(config.diffusion.depth, tensors)
        networks = build_like(
            tensors,
            lambda: _prepared(
                cls(config, conditions=conditions, fractions=torch.ones(n_genes), training=training), tensors
            ),
        )
        require_finite(networks)
        return networks


def _prepared(networks: AnyNetworks, tensors: Mapping[str, Tensor]) -> AnyNetworks:
    """Give the likelihood a duplication rate where one was saved."""
    likelihood = networks.negative_binomial
    if _DUPLICATION_RATE in tensors and likelihood is not None:
        rate = tensors[_DUPLICATION_RATE]
        if rate.shape != (1,) or not 0 < rate.item() < math.inf:
            msg = f"the duplication rate is {rate.tolist()}; expected a positive number"
            raise ValueError(msg)
        likelihood.set_duplication_rate(rate.item())
    return networks


def _require_table(table: ConditionTable, conditions: Conditions) -> None:
    """Make sure that the conditions of the training cells are in the vocabulary."""
    (n_rows, n_columns), n_labels = table.codes.shape, np.array(conditions.n_labels, dtype=np.int64)
    if table.values.shape != (n_rows, len(conditions.continuous)) or table.counts.shape != (n_rows,):
        msg = f"the conditions of the training cells have shapes {table.codes.shape}, {table.values.shape}, "
        raise ValueError(msg + f"{table.counts.shape}")
    if n_columns != len(n_labels) or (table.codes < -1).any() or (table.codes >= n_labels).any():
        msg = "the training cells have labels that are not in the vocabulary"
        raise ValueError(msg)
    if table.counts.min(initial=1) < 1 or not table.counts.sum():
        msg = "the training cells are not counted"
        raise ValueError(msg)


def _n_genes(tensors: Mapping[str, Tensor]) -> int:
    """Find the number of genes, which not every latent space has in the same place."""
    per_gene = ("autoencoder.decoder.bias", "autoencoder.likelihood.log_inverse_dispersion")
    for name in per_gene:
        if name in tensors:
            return tensors[name].numel()
    msg = f"there is neither of the tensors `{per_gene[0]}` and `{per_gene[1]}`"
    raise ValueError(msg)
