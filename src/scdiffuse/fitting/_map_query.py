"""Labels that a fitted model comes to know by some of their cells, such as the control cells of a new donor."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import torch
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, ScdiffuseWarning
from scdiffuse._core.progress import Progress
from scdiffuse._core.random import cell_normals
from scdiffuse.calibration import factor_variance, shrunk_factors
from scdiffuse.cells import ConditionTable, Label, Source, mask_labels
from scdiffuse.model import ENCODED_AT_ONCE, FittedModel, Networks, gene_factor_table, mean_expression, open_given

__all__ = ["map_query"]

Array = NDArray[np.float64]


def map_query(
    model: FittedModel, adata: ad.AnnData | str | Path, condition: str, *, layer: str | None, progress: bool
) -> FittedModel:
    r"""Add the labels of new cells to a condition, without changing what was fitted.

    Latents of a mapped label are those of the mean of the trained labels. What it has for itself are factors of genes,
    those of `shrunk_factors` between the counts of its cells and as many counts that the model generates under their
    other conditions. How far they are shrunk follows from how much they vary over genes, `factor_variance`.

    Cells of the label that are given to `predict` carry a part of this in their latents; for these the factors are
    those between their counts and what their latents decode to.

    Parameters
    ----------
    model
        The fitted model; it is not changed.
    adata, condition, layer, progress
        As in `CellGenerator.map_query`.

    Returns
    -------
    A model with the labels, as `unseen` ones, and the classifiers of `model`.

    Raises
    ------
    UnknownNameError
        The model has no such condition, or `obs` has none of its columns.
    ConditionError
        No cell has a new label, the cells of one have no counts, or the model expects nothing of genes.
    """
    at = _position(model, condition)
    source = open_given(adata, model.metadata, layer=layer)
    model.conditions.require_columns(source.obs)
    obs, messages = mask_labels(source.obs, [condition])
    for message in messages:
        warnings.warn(message, ScdiffuseWarning, stacklevel=3)
    labels = model.conditions.new_labels(obs, condition)
    if not labels:
        known = list(model.conditions.categorical[condition])
        msg = f"No cell has a new label of {condition!r}; the model knows {known}."
        raise ConditionError(msg + " Pass cells of labels that it does not know.")
    own = _with_labels(model, condition, labels)
    table = own.conditions.encode(obs)
    which = table.codes[:, at] - len(model.conditions.categorical[condition])
    if (which < 0).any():
        msg = f"{np.count_nonzero(which < 0)} of {len(which)} cells have no new label of {condition!r}; they are left"
        warnings.warn(msg + " out.", ScdiffuseWarning, stacklevel=3)
    with Progress("map", 2 * source.n_cells, enabled=progress) as bar:
        counts, decoded, totals = _sums(own, source, which, n_labels=len(labels), bar=bar)
        _require_counts(counts, labels)
        generated = _generated(own, table, which, totals=totals, bar=bar)
    n_cells = np.bincount(which[which >= 0], minlength=len(labels))
    config = own.metadata.config.calibration
    factors = own.networks.get_buffer(f"expected.mapped_factors_{at}")[-len(labels) :]
    for row, n in enumerate(n_cells.tolist()):
        for part, mean in enumerate((generated[row], decoded[row])):
            how = {"n_cells": n, "gene_variance": config.gene_variance}
            variance = factor_variance(counts[row], mean, limits=config.mapped_variances, **how)
            factors[row, part] = torch.from_numpy(shrunk_factors(counts[row], mean, prior=1 / variance, **how))
    mapped = {str(label): int(n) for label, n in zip(labels, n_cells, strict=True)}
    known_before = own.metadata.data.get("mapped", {})
    data = own.metadata.data | {"mapped": known_before | {condition: known_before.get(condition, {}) | mapped}}
    return replace(own, metadata=replace(own.metadata, data=data))


def _position(model: FittedModel, condition: str) -> int:
    """Find a condition whose labels can be mapped."""
    model.conditions.require(condition)
    if condition in model.conditions.continuous:
        msg = (
            f"{condition!r} is a number; expected a condition with labels, one of {list(model.conditions.categorical)}."
        )
        raise ConditionError(msg + " Numbers need no mapping.")
    if model.networks.expected is None:
        most, held = model.metadata.config.calibration.most_grid_values, model.trained_on.values
        for name, column in zip(model.conditions.continuous, held.T, strict=True):
            n = len(np.unique(column[~np.isnan(column)]))
            if n > most:
                msg = f"{name!r} has {n} values in the training cells; expected at most {most}, each with an expression"
                msg += f" that the new cells are compared with. Fit a model to a coarser {name!r}, such as rounded"
                raise ConditionError(msg + f" numbers, or with the setting `calibration.most_grid_values` = {n}.")
        msg = f"No training cell has a value of each of {', '.join(model.conditions.names)}; expected some, which new"
        raise ConditionError(msg + " cells are compared with. Fit a model to fewer conditions.")
    return list(model.conditions.categorical).index(condition)


def _with_labels(model: FittedModel, condition: str, labels: tuple[Label, ...]) -> FittedModel:
    """Rebuild a model with more labels, each at the mean of the trained ones."""
    before, n = model.conditions, len(labels)
    conditions, at = before.with_mapped(condition, labels), list(before.categorical).index(condition)
    tensors, n_trained = model.networks.copies(), before.n_labels[at]
    more = {
        f"denoiser.conditions.unseen.weights_{at}": torch.full((n, n_trained), 1.0 / n_trained),
        f"denoiser.conditions.unseen.expected_error_{at}": torch.zeros(n),
        f"expected.mapped_factors_{at}": torch.ones(n, 2, model.networks.n_genes),
    }
    tensors |= {name: torch.cat([tensors[name], own]) if name in tensors else own for name, own in more.items()}
    device = str(model.networks.latent_mean.device)
    networks = Networks.from_tensors(tensors, config=model.metadata.config, conditions=conditions).to(device)
    return replace(model, networks=networks, metadata=replace(model.metadata, conditions=conditions))


def _sums(
    model: FittedModel, source: Source, which: NDArray[np.int64], *, n_labels: int, bar: Progress
) -> tuple[Array, Array, Array]:
    """Add up the counts of each label, and as many as its cells decode to.

    Returns
    -------
    Counts and decoded counts, each ``(n_labels, G)``, and the counts of each cell, shape ``(N,)``.
    """
    networks, totals = model.networks, np.zeros(source.n_cells)
    counts, decoded = np.zeros((2, n_labels, networks.n_genes))
    for where, block in source.blocks(ENCODED_AT_ONCE):
        rows = np.arange(source.n_cells)[where]
        posterior = networks.autoencoder.encode(block)
        noise = torch.from_numpy(cell_normals(model.seed, "mapped cells", rows, posterior.mean.shape[1]))
        fractions = networks.autoencoder.mean_fractions(posterior.mean + posterior.std * noise.to(posterior.mean))
        totals[rows] = np.asarray(block.sum(axis=1)).ravel()
        for label in np.unique(which[rows][which[rows] >= 0]):
            mine = which[rows] == label
            counts[label] += np.asarray(block[mine].sum(axis=0)).ravel()
            decoded[label] += totals[rows][mine] @ fractions[mine]
        bar.advance(len(rows))
    return counts, decoded, totals


def _require_counts(counts: Array, labels: tuple[Label, ...]) -> None:
    """Refuse labels whose cells say nothing."""
    silent = [label for label, held in zip(labels, counts.sum(axis=1), strict=True) if held == 0]
    if silent:
        msg = f"The cells of {', '.join(map(repr, silent))} have no counts in the genes of the model; expected some."
        raise ConditionError(msg + " Leave these cells out, or check their genes.")


def _generated(
    model: FittedModel, table: ConditionTable, which: NDArray[np.int64], *, totals: Array, bar: Progress
) -> Array:
    """Add up the counts that the model generates under the conditions of the cells of each label."""
    found = np.zeros((which.max() + 1, model.networks.n_genes))
    factors = gene_factor_table(model.networks, seed=model.seed)
    numbers, first, group = np.unique(
        np.nan_to_num(table.numbers, nan=np.inf), axis=0, return_index=True, return_inverse=True
    )
    for at in range(len(numbers)):
        rows = np.flatnonzero(group.ravel() == at)
        if which[rows[0]] >= 0:
            asked = table.take(first[at : at + 1])
            fractions = mean_expression(model.networks, asked, seed=model.seed)
            own = factors.of(asked) if factors else None
            if own is not None:
                (fractions,) = own.apply(fractions[None].astype(np.float32), slice(None))
            found[which[rows[0]]] += totals[rows].sum() * fractions
        bar.advance(len(rows))
    return found
