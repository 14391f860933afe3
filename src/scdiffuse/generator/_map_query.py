"""New donors or batches: labels that a model comes to know by some of their cells."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import anndata as ad

from scdiffuse._core.errors import SettingError
from scdiffuse._core.resources import explain_memory
from scdiffuse.fitting import map_query
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.generator._checks import MEMORY_ADVICE

__all__ = ["MapQueryMixin"]


class MapQueryMixin(GeneratorBase):
    """The part of `CellGenerator` that adds labels to a fitted model."""

    def map_query(
        self, adata: ad.AnnData | str | Path, condition: str, *, layer: str | None = None, progress: bool = True
    ) -> Self:
        """Map cells of new donors, batches or studies, of which there may be control cells only, without a new fit.

        `predict` then says what these cells become under a perturbation, and `generate` makes cells of the new labels
        under any condition. What a new label does to each gene is measured on its cells, against what the model
        generates for the mean of the trained labels; what perturbations do is as in the trained labels.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes. `obs` has a column for each condition of the model; missing
            values are unknown. Cells whose label of `condition` is known or missing are left out.
        condition
            Condition whose new labels are added, such as ``"donor"``.
        layer
            Layer with raw counts; if not given, ``X``, or the one place that holds counts.
        progress
            Show a bar.

        Returns
        -------
        A new model that knows the labels; this one does not change. Call `save` to keep it. ``obs["unseen"]`` is true
        for cells of mapped labels, and ``obs["support"]`` says what it would without the label.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        SettingError
            The model is distilled.
        UnknownNameError
            The model has no such condition, a column is missing, or a label of another condition is not known.
        ConditionError
            No cell has a new label, most have one of their own, or a number of the model has too many values.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts.

        Warns
        -----
        UserWarning
            Cells of known labels are left out, and so is a label that one cell has alone.
        """
        model = self._fitted("map_query")
        if model.distilled is not None:
            msg = "A distilled model takes no new labels; expected the model that it was distilled from."
            raise SettingError(msg + " Map the cells with that one, and distill the new model.")
        with explain_memory(MEMORY_ADVICE):
            return self._with_model(map_query(model, adata, condition, layer=layer, progress=progress))
