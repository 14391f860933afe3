"""Classifiers of a model: added after its fit, any number of them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import anndata as ad

from scdiffuse._core.errors import ConditionError, OutputExistsError, SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.resources import explain_memory
from scdiffuse._core.scalars import whole_number
from scdiffuse.cells import require_column_name
from scdiffuse.fitting import Kind, learn_classifier, read_labelled
from scdiffuse.generator._base import GeneratorBase
from scdiffuse.model import ClassifierRecord, open_given

__all__ = ["ClassifierMixin"]


class ClassifierMixin(GeneratorBase):
    """The part of `CellGenerator` that learns labels after the fit."""

    @property
    def classifiers(self) -> dict[str, ClassifierRecord]:
        """What each classifier was trained on and how well it does, by name.

        ``kind``, ``obs_key``, ``n_cells``, ``labels`` with their cells or the ``range`` of numbers, and ``accuracy``:
        the fraction of held-out cells that get the right label (for numbers, the variance explained) at each time from
        0, no noise, to 1, nothing else; ``chance`` is the accuracy of always naming the most frequent label.
        """
        return {name: one.metadata for name, one in self._model.classifiers.items()} if self._model else {}

    def add_classifier(  # noqa: PLR0913 - what, from where, and how
        self,
        name: str,
        adata: ad.AnnData | str | Path,
        *,
        obs_key: str | None = None,
        layer: str | None = None,
        kind: Kind | None = None,
        library_size: bool = False,
        max_epochs: int | None = None,
        seed: int = 0,
        overwrite: bool = False,
        progress: bool = True,
    ) -> Self:
        """Learn a label, or a number, at every level of noise, to guide generation towards it.

        Nothing of the fitted model changes: the label may be one that it never saw, and the cells others than it was
        fitted to. A tenth of the cells stops the training and another tenth measures the accuracy. Call `save` to keep
        the classifier with the model.

        Parameters
        ----------
        name
            What to call the classifier in `generate`.
        adata
            Cells with raw counts of the model's genes; other genes are ignored.
        obs_key
            Column of `obs` to learn; `name` if not given. Cells without a label are left out.
        layer
            Layer with raw counts; if not given, ``X``, or the one place that holds counts.
        kind
            ``"categorical"`` or ``"continuous"``; if not given, columns of fractions are numbers and all others labels.
        library_size
            Whether the classifier sees the library size too. Library size is technical for the most part: a classifier
            that relies on it guides the library size of the cells instead of their state.
        max_epochs
            Passes over the cells at most.
        seed
            Seed of everything drawn.
        overwrite
            Replace the classifier of that name.
        progress
            Show bars.

        Returns
        -------
        The same object, with one more classifier.

        Raises
        ------
        NotFittedError
            The model is not fitted.
        OutputExistsError
            There is a classifier of that name and `overwrite` is false.
        UnknownNameError
            There is no such column or layer.
        ConditionError
            The column has one label or number only, too few cells, or a label with a single cell.
        GenesError
            Genes of the model are missing from the data.
        CountsError
            The values are not raw counts.
        SettingError
            `kind` is neither, `max_epochs` is below 1, it or `seed` is no whole number, or `name` is empty or no name
            of a column.
        """
        model = self._fitted("add_classifier")
        seed = whole_number(seed, "seed")
        max_epochs = None if max_epochs is None else whole_number(max_epochs, "max_epochs")
        _check(name, kind=kind, max_epochs=max_epochs)
        if name in model.classifiers and not overwrite:
            msg = f"A classifier {name!r} already exists; expected a new name. Choose another one, or pass"
            raise OutputExistsError(msg + " `overwrite=True` to replace it.")
        key = name if obs_key is None else obs_key
        with explain_memory("Give fewer cells."):
            source = open_given(adata, self._metadata, layer=layer)
            cells = read_labelled(source, key, name=name, kind=kind)
            model.classifiers[name] = learn_classifier(
                model.networks,
                cells,
                self.config,
                obs_key=key,
                library_size=library_size,
                max_epochs=max_epochs,
                seed=seed,
                progress=progress,
            )
        return self

    def remove_classifier(self, name: str) -> Self:
        """Forget a classifier.

        Parameters
        ----------
        name
            As given to `add_classifier`.

        Returns
        -------
        The same object.

        Raises
        ------
        UnknownNameError
            There is no such classifier.
        """
        classifiers = self._model.classifiers if self._model else {}
        if name not in classifiers:
            msg = f"{name!r} is not a classifier of this model; expected one of {list(classifiers)}."
            raise UnknownNameError(msg + did_you_mean(name, classifiers))
        del classifiers[name]
        return self


def _check(name: object, *, kind: object, max_epochs: int | None) -> None:
    if not isinstance(name, str) or not name.strip():
        msg = f"The name of a classifier is {name!r}; expected text. Name it after its labels, such as 'organ'."
        raise SettingError(msg)
    try:
        require_column_name(name.replace("/", "|"))
    except ConditionError as error:
        msg = f"The name of a classifier is {name[:50]!r}, and generated cells have a column of that name, which no"
        raise SettingError(msg + " `.h5ad` file can hold; expected a short plain text, such as 'organ'.") from error
    if kind not in {None, "categorical", "continuous"}:
        msg = f"`kind` must be 'categorical' or 'continuous', got {kind!r}. Leave it out to go by the column's type."
        raise SettingError(msg)
    if max_epochs is not None and max_epochs < 1:
        msg = f"`max_epochs` must be at least 1, got {max_epochs}; leave it out to let the training stop by itself."
        raise SettingError(msg)
