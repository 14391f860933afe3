"""Rare cell type augmentation: real cells of a user with generated ones beside them."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import anndata as ad
import pandas as pd

from scdiffuse._core.resources import explain_memory
from scdiffuse.cells import find_counts, open_source
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.generator._encode import infer_latents
from scdiffuse.model import open_given
from scdiffuse.sampling import CellsPerLabel, Guidance, Scale, combine, plan_numbers, provenance

__all__ = ["AugmentMixin"]


class AugmentMixin(GeneratorBase):
    """The part of `CellGenerator` that adds to given cells."""

    @abstractmethod
    def generate(
        self,
        n_cells: int | None = None,
        *,
        where: pd.DataFrame,
        guidance: Scale | Guidance,
        seed: int,
        progress: bool,
    ) -> ad.AnnData | Path:
        """Generate cells."""

    def augment(
        self,
        adata: ad.AnnData | str | Path,
        *,
        by: str,
        n_per_label: CellsPerLabel = "max",
        guidance: Scale | Guidance = 1.0,
        seed: int = 0,
        layer: str | None = None,
        progress: bool = True,
    ) -> ad.AnnData:
        """Augment rare cell types: add generated cells to real ones, until each label has enough.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes, such as those it was fitted to. None of them is taken away.
        by
            A condition with labels, such as ``"cell_type"``. Other conditions of the generated cells are drawn as the
            training cells of that label have them. Real cells without a label stay and are not counted.
        n_per_label
            How many cells each label has at least afterwards: as the largest (``"max"``) or the median label has, a
            number, or numbers by label; labels that are not named then stay as they are, and so do those that no
            training cell has.
        guidance
            Guidance, as in `generate`.
        seed
            Seed of the generated cells.
        layer
            Layer with raw counts; if not given, ``X``, or the one place that holds counts.
        progress
            Show a bar.

        Returns
        -------
        Real cells first, then generated ones, which ``obs["source"]`` names: ``"real"`` or ``"generated"``. ``X`` is
        CSR ``int32`` with the genes of the model, which are all that both kinds have. Columns of `obs` are those of
        the real cells; where generated cells have none, they are missing. Columns that count, such as ``n_counts``,
        count the genes of the model. ``obsm["X_scdiffuse"]`` holds latents: those that `encode` finds of the real
        cells, and those that the generated cells were drawn from.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            `by` or a label is not known to the model or the cells.
        ConditionError
            `by` has numbers instead of labels, or ``obs["source"]`` is taken.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts.
        SettingError
            `n_per_label` is no whole number of at least 1, or no such word.

        Warns
        -----
        UserWarning
            Genes of the cells that the model does not know are left out, with their number.
        """
        model = self._fitted("augment")
        with explain_memory("Pass fewer cells at a time."):
            source = open_given(adata, model.metadata, layer=layer)
            numbers = plan_numbers(source.obs, by=by, n_per_label=n_per_label, conditions=model.conditions)
            place = find_counts(adata, layer=layer, round_counts=model.metadata.data.get("round_counts", False))
            n_left_out = open_source(place.data, layer=place.layer).n_genes - source.n_genes
            made: ad.AnnData | Path | None = None
            if len(numbers):
                where = pd.DataFrame({by: pd.Series(list(numbers.index), dtype=object)})
                if "n_cells" in model.conditions.names:  # no column of numbers then: a row for each cell
                    where = where.loc[where.index.repeat(numbers.to_list())]
                else:
                    where["n_cells"] = numbers.to_numpy()
                n_cells = int(numbers.sum())
                made = self.generate(n_cells, where=where, guidance=guidance, seed=seed, progress=progress)
            settings = {
                "augment": by,
                "n_per_label": n_per_label,
                "n_generated": int(numbers.sum()),
                "genes_left_out": n_left_out,
                "guidance": Guidance.of(guidance).to_uns(),
            }
            uns = provenance(model, seed=seed, settings=settings)
            generated = made if isinstance(made, ad.AnnData) else None
            latents = infer_latents(model.networks, source)
            return combine(
                source, generated, latents=latents, conditions=self.conditions, uns=uns, n_left_out=n_left_out
            )
