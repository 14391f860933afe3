"""Given cells under other conditions, and how much of a request was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import pandas as pd
from pandas.api.types import is_list_like

from scdiffuse._core.errors import SettingError
from scdiffuse._core.resources import explain_memory
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.generator._checks import MEMORY_ADVICE, require_batch_size
from scdiffuse.model import read_given
from scdiffuse.sampling import (
    CellLibrarySizes,
    GivenLibrarySize,
    Guidance,
    Scale,
    Support,
    Transport,
    expect,
    find_support,
    predict_cells,
    read_screen,
    read_target,
    shorten,
    warn_beyond,
)

__all__ = ["PredictMixin"]


class PredictMixin(GeneratorBase):
    """The part of `CellGenerator` that predicts given cells under other conditions."""

    def support(self, where: Mapping[str, Any]) -> Support:
        """Look up the training coverage of a combination of conditions.

        Parameters
        ----------
        where
            Conditions with a label or number each, as in `generate`.

        Returns
        -------
        Training cells of the combination (``n_cells``) and of each label alone (``marginals``), the combinations that
        were trained with the labels they share (``nearest``, a table), and for each number the range and the nearest
        measured values (``numbers``). ``print`` describes it in plain sentences, ``verdict`` in a word: ``"seen"``,
        ``"near"``, ``"extrapolated"`` or ``"cannot tell"``.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            `where` names an untrained condition or label.
        ConditionError
            The model has no conditions, or a number is asked for in text.
        """
        model = self._fitted("support")
        asked = read_target(model, where, name="where")
        return find_support(model.conditions, model.trained_on, asked, expected=model.networks.expected)

    def expected_expression(self, where: Mapping[str, Any]) -> pd.DataFrame:
        """Expect the mean expression of each gene in a combination of conditions, with its standard error.

        The training cells are added up by combination, and a Gaussian process learns from these sums what each label
        does to each gene, and which labels are alike. What it expects of a combination that no training cell has is
        what `generate` brings its cells towards.

        Parameters
        ----------
        where
            A label or number for each condition of the model.

        Returns
        -------
        A row for each gene: ``expression``, the log of 1 + counts per 10,000 (`CalibrationConfig.expected_scale`) of
        the sum of the cells, and its ``standard_error``.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        UnknownNameError
            `where` names an untrained condition or label.
        ConditionError
            `where` leaves a condition open, a number lies outside of what was measured, or the model expects nothing,
            as it has no labels or a number of too many values.
        """
        model = self._fitted("expected_expression")
        expression, error = expect(model, read_target(model, where, name="where"))
        return pd.DataFrame({"expression": expression, "standard_error": error}, index=self.genes)

    def predict(  # noqa: PLR0913 - everything that can be asked of cells
        self,
        adata: ad.AnnData | str | Path,
        to: Mapping[str, Any] | None = None,
        *,
        layer: str | None = None,
        guidance: Scale | Guidance = 1.0,
        seed: int = 0,
        library_size: GivenLibrarySize = "own",
        solver_steps: int | None = None,
        batch_size: int = 4096,
        progress: bool = True,
    ) -> ad.AnnData:
        """Predict given cells under other conditions: perturbed, of another donor, batch or day.

        Each cell is encoded and inverted to the noise that it comes from, under its own conditions, and that noise is
        integrated back under those of `to`: what makes the cell itself stays, and what belongs to the changed
        conditions changes. So control cells become stimulated ones, or all cells those of one batch.

        Parameters
        ----------
        adata
            Cells with raw counts of the model's genes; the conditions that they have now are read from `obs`. A column
            or label that is missing is unknown.
        to
            Conditions to change, with their new label or number; all others stay the cell's own. ``None`` asks for no
            label. A list of labels or numbers is a screen: the cells are predicted under each, and with lists for
            several conditions under each combination. May be left out where `guidance` has something to go toward or
            away from.
        layer
            Layer with raw counts; if not given, ``X``, or the one place that holds counts.
        guidance
            Guidance on the way back, as in `generate`. On the way to the noise each classifier guides a cell, at scale
            1, to the cell's own label, if `obs` has it under the classifier's name or where it was learnt.
        seed
            Seed of what the counts leave open: the draw of latents and of new counts.
        library_size
            ``"own"`` keeps the counts of each cell, so that only the composition changes; ``None`` lets the library
            size change with the conditions too; or numbers as in `generate`.
        solver_steps
            Steps of the solver in each direction; the default of the settings if not given.
        batch_size
            Cells at once; memory grows with it, the cells stay the same.
        progress
            Show a bar.

        Returns
        -------
        One cell for each, with its name and its own columns of `obs`, but for the changed conditions, labels that
        classifiers guided toward, and columns that count, such as ``n_counts``, which count the new counts. A screen
        has all cells under the first label, then under the next; names of its cells end in ``-`` and the label.
        ``obs["unseen"]``, ``obs["support"]``, ``obs["source"]``, ``obsm["X_scdiffuse"]`` and ``uns["scdiffuse"]`` are
        as in `generate`, in place of columns of these names; a warning says so.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts, or a cell has none.
        UnknownNameError
            `to` or `obs` names an untrained condition or label, or there is no such classifier.
        ConditionError
            The model has no conditions, or a number is asked for in text.
        SettingError
            A number is out of range, nothing is asked for or something twice, a cell is asked to be what it keeps away
            from, or no step of the solver lies in the guidance interval.

        Warns
        -----
        ExtrapolationWarning
            A number lies outside of what was measured.
        ScdiffuseWarning
            Guidance has driven cells further than any training cell lies.
        """
        model, asked = self._fitted("predict"), Guidance.of(guidance)
        if to is None and not asked.targets:
            msg = "Neither `to` nor `guidance` says what the cells become; expected one of them to."
            raise SettingError(msg + " Write such as `to={'donor': 'd3'}`.")
        require_batch_size(batch_size)
        targets = read_screen(model, to, name="to")
        transport = Transport.of(model, asked, seed=seed, solver_steps=solver_steps)
        with explain_memory(MEMORY_ADVICE):
            given = read_given(adata, model.networks, model.metadata, layer=layer)
            for target in targets.values():
                warn_beyond(model.conditions, target.requests, argument="to")
            library_sizes = CellLibrarySizes.plan(library_size, given.library_sizes, n_cells=len(given), seed=seed)
            asked_for = {name: list(one) if is_list_like(one) else one for name, one in (to or {}).items()}
            settings = {"predict": asked_for, "library_size": shorten(library_size)}
            return predict_cells(
                transport,
                given,
                targets,
                library_sizes=library_sizes,
                settings=settings,
                batch_size=batch_size,
                progress=progress,
            )
