"""What a classifier of cell types gains from generated cells of rare types."""

from __future__ import annotations

from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from scdiffuse._core.errors import UnknownNameError, did_you_mean
from scdiffuse._core.random import generator
from scdiffuse.evaluation._feature_space import FeatureSpace, fit_space
from scdiffuse.evaluation._reading import Sample, shared_genes
from scdiffuse.metrics import LabelledCells, label_accuracy_by_label

__all__ = ["AugmentationGain", "augmentation_gain"]

_MOST_LEARNT = 5_000


class AugmentationGain(NamedTuple):
    """Recall of a classifier on other real cells."""

    table: pd.DataFrame
    """By label: ``n_tested`` cells, ``recall_real`` of the classifier that learns from real cells, and
    ``recall_augmented`` of the one that learns from generated cells as well."""
    real: float
    """Mean recall over labels."""
    augmented: float


def augmentation_gain(
    real: ad.AnnData, generated: ad.AnnData, test: ad.AnnData, *, by: str, seed: int = 0
) -> AugmentationGain:
    """Fit a classifier with and without generated cells, and test both on other real cells.

    Parameters
    ----------
    real
        Real cells to learn from; of more than 5,000, as many drawn at random.
    generated
        Cells to add to them.
    test
        Other real cells.
    by
        Column of `obs` to learn.
    seed
        Seed of the classifier.

    Returns
    -------
    Recall by label and on average; labels of fewer than three cells in `real` or `test` are not tested.

    Raises
    ------
    ConditionError
        Fewer than two labels can be learnt, or none can be tested.
    GenesError
        The cells share too few genes.
    UnknownNameError
        Some of the cells have no such column.
    """
    genes = shared_genes({"real": real, "generated": generated, "test": test})
    if real.n_obs > _MOST_LEARNT:
        real = real[np.sort(generator(seed, "augmentation, real").permutation(real.n_obs)[:_MOST_LEARNT])]
    samples = [_sample(cells, genes, by=by) for cells in (real, generated, test)]
    space = fit_space(samples[0], genes, seed=seed)
    learnt, added, tested = (_labelled(space, sample) for sample in samples)
    both = LabelledCells(np.vstack([learnt.values, added.values]), np.concatenate([learnt.labels, added.labels]))
    order = generator(seed, "augmentation").permutation(len(both.labels))
    both = LabelledCells(both.values[order], both.labels[order])
    alone, augmented = (
        label_accuracy_by_label(train, tested, min_cells=3, max_cells=len(both.labels), seed=seed)
        for train in (learnt, both)
    )
    shown = [label for label in augmented.by_label if label in alone.by_label]
    table = pd.DataFrame(
        {
            "n_tested": [int((tested.labels == label).sum()) for label in shown],
            "recall_real": [alone.by_label[label] for label in shown],
            "recall_augmented": [augmented.by_label[label] for label in shown],
        },
        index=pd.Index(shown, name=by),
    )
    return AugmentationGain(table, float(table["recall_real"].mean()), float(table["recall_augmented"].mean()))


def _sample(cells: ad.AnnData, genes: np.ndarray[tuple[int], np.dtype[np.str_]], *, by: str) -> Sample:
    if by not in cells.obs:
        msg = f"{by!r} is not a column of the cells' `obs`; expected one of {list(cells.obs.columns)}."
        raise UnknownNameError(msg + did_you_mean(by, list(cells.obs.columns)))
    known = cells[cells.obs[by].notna().to_numpy()]
    counts = sparse.csr_matrix(known.X, dtype=np.float32)[:, known.var_names.get_indexer_for(pd.Index(genes))]
    return Sample(counts=counts, labels=known.obs[by].astype(str).to_numpy(dtype=str))


def _labelled(space: FeatureSpace, sample: Sample) -> LabelledCells:
    assert sample.labels is not None
    return LabelledCells(space.features(sample).pcs, sample.labels)
