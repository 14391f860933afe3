"""Real cells with generated ones beside them, until each label has enough."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from scdiffuse._core.errors import ConditionError, ScdiffuseWarning, SettingError, UnknownNameError, did_you_mean
from scdiffuse._core.slots import OBS_SOURCE, OBS_SUPPORT, OBS_UNSEEN, OBSM_LATENT
from scdiffuse.cells import Conditions, Label, Source, require_column_name
from scdiffuse.sampling._count_columns import refresh_counts

__all__ = ["CellsPerLabel", "combine", "plan_numbers"]

CellsPerLabel = Literal["max", "median"] | int | Mapping[Label, int]
"""Cells that each label has at least afterwards: as many as the largest or the median label, a number, or one each."""


def plan_numbers(obs: pd.DataFrame, *, by: str, n_per_label: CellsPerLabel, conditions: Conditions) -> pd.Series[int]:
    """Decide how many cells of each label to generate.

    Parameters
    ----------
    obs
        Columns of the real cells.
    by
        The condition whose labels are to be evened out.
    n_per_label
        How many cells each label has at least afterwards.
    conditions
        Those of the model.

    Returns
    -------
    Cells to generate by label; labels that have enough are not among them.

    Raises
    ------
    UnknownNameError
        `by` is no condition, no column of the cells, or a label was not trained.
    ConditionError
        `by` is a continuous condition, the cells have a column ``source`` already, or one that no file can hold.
    SettingError
        A number of cells is not a whole one of at least 1, or there is no such word.
    """
    conditions.require(by)
    if by not in conditions.categorical:
        msg = f"`by` is {by!r}, whose values are numbers; expected a condition with labels, one of"
        raise ConditionError(msg + f" {list(conditions.categorical)}. Name one of these.")
    if by not in obs:
        known = [str(name) for name in obs.columns]
        msg = f"{by!r} is not a column of `adata.obs`; expected one of {known}."
        raise UnknownNameError(msg + did_you_mean(by, known))
    if OBS_SOURCE in obs:
        msg = f"`adata.obs` has a column {OBS_SOURCE!r} already, which tells real cells from generated ones;"
        raise ConditionError(msg + f" expected none. Keep the real cells and drop or rename {OBS_SOURCE!r}.")
    for name in obs.columns:
        require_column_name(str(name))
    codes = conditions.encode(obs[[by]], partial=True).codes[:, list(conditions.categorical).index(by)]
    held = pd.Series(np.bincount(codes[codes >= 0], minlength=len(conditions.categorical[by])))
    held.index = pd.Index(conditions.categorical[by])
    held = held[[label in conditions.measured(by) for label in held.index]]
    if isinstance(n_per_label, Mapping):
        n_per_label = {conditions.written(by, label): n for label, n in n_per_label.items()}
    missing = _at_least(held, n_per_label, by=by) - held
    return missing[missing > 0].astype(int)


def _at_least(held: pd.Series[int], n_per_label: CellsPerLabel, *, by: str) -> pd.Series[int]:
    """Read how many cells each label gets."""
    if isinstance(n_per_label, Mapping):
        labels = {str(label): label for label in held.index}
        for label in n_per_label:
            if str(label) not in labels:
                msg = (
                    f"`n_per_label` names {label!r}, not a trained label of {by!r}; expected one of {list(held.index)}."
                )
                raise UnknownNameError(msg + did_you_mean(label, held.index))
        asked = {labels[str(label)]: _whole(n) for label, n in n_per_label.items()}
        return pd.Series([asked.get(label, 0) for label in held.index], index=held.index)
    if isinstance(n_per_label, str):
        found = held[held > 0]
        if n_per_label not in {"max", "median"} or found.empty:
            msg = f"`n_per_label` is {n_per_label!r}; expected 'max', 'median', a number of cells, or numbers by label,"
            raise SettingError(msg + f" and cells with labels in {by!r}. Pass one of these.")
        level = int(found.max() if n_per_label == "max" else np.ceil(found.median()))
        return pd.Series([level if n else 0 for n in held], index=held.index)
    return pd.Series(_whole(n_per_label), index=held.index)


def _whole(n: object) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        msg = f"`n_per_label` asks for {n!r} cells of a label; expected a whole number of at least 1."
        raise SettingError(msg + " Pass one such as 200.")
    return int(n)


def combine(
    real: Source,
    made: ad.AnnData | None,
    *,
    latents: NDArray[np.float32],
    conditions: Conditions,
    uns: Mapping[str, object],
    n_left_out: int,
) -> ad.AnnData:
    """Put real and generated cells together.

    Parameters
    ----------
    real
        The real cells, genes of the model in its order.
    made
        The generated ones; `None` where none are needed.
    latents
        Latents of the real cells.
    conditions
        Those of the model.
    uns
        What to keep beside them.
    n_left_out
        Genes of the real cells that the model does not know.

    Returns
    -------
    Real cells first. Columns of `obs` are those of the real cells, missing where generated cells have none, labels
    that guided, and ``source``.
    """
    if n_left_out:
        msg = f"{n_left_out} genes of the cells are not known to the model and are left out of the augmented cells."
        warnings.warn(msg + " Measure and fit them, or go on without.", ScdiffuseWarning, stacklevel=4)
    blocks, embeddings = [block for _, block in real.blocks()], [latents]
    tables, types = [real.obs.assign(**{OBS_SOURCE: "real"})], {str(name): real.obs[name] for name in real.obs}
    if made is not None:
        blocks.append(made.X)
        embeddings.append(made.obsm[OBSM_LATENT])
        other = {*conditions.names, *real.obs, OBS_UNSEEN, OBS_SUPPORT, OBS_SOURCE}
        guided = {str(name): made.obs[name] for name in made.obs if name not in other}
        tables.append(
            _like(made.obs.drop(columns=[OBS_UNSEEN, OBS_SUPPORT], errors="ignore"), real.obs).assign(**guided)
        )
        types |= guided
    obs = pd.concat([table.astype(object) for table in tables])
    for name, column in types.items():
        obs[name] = _typed(obs[name], column)
    obs[OBS_SOURCE] = pd.Categorical(obs[OBS_SOURCE], categories=["real", "generated"])
    obs.index = obs.index.astype(str)
    counts = sp.csr_matrix(sp.vstack(blocks, format="csr"), dtype=np.int32)
    obs = _unique(refresh_counts(obs, counts, like=real.obs, but=conditions.names))
    obsm = {OBSM_LATENT: np.concatenate(embeddings)}
    return ad.AnnData(X=counts, obs=obs, var=real.var.copy(), uns=dict(uns), obsm=obsm)


def _like(made: pd.DataFrame, real: pd.DataFrame) -> pd.DataFrame:
    """Give generated cells the columns of the real ones, with labels of the same kind."""
    columns = {}
    for name in [*real.columns, OBS_SOURCE]:
        column = made[name].astype(object) if name in made else pd.Series(None, index=made.index, dtype=object)
        if name in real:
            kinds = {str(label): label for label in real[name].dropna().unique()}
            column = column.map(lambda label, kinds=kinds: kinds.get(str(label), label))
        columns[str(name)] = column
    return pd.DataFrame(columns, index=made.index)


def _typed(column: pd.Series[Any], real: pd.Series[Any]) -> pd.Series[Any]:
    """Store a column as the real cells have it, where that type knows missing values; numbers beside text as text."""
    if len({isinstance(label, str) for label in column.dropna().unique()}) > 1:
        column, real = (one.astype(object).map(str, na_action="ignore") for one in (column, real))
    if isinstance(real.dtype, pd.CategoricalDtype):
        new = [label for label in column.dropna().unique() if label not in real.cat.categories]
        return column.astype(pd.CategoricalDtype([*real.cat.categories, *new], ordered=real.cat.ordered))
    if real.dtype.kind == "b":
        return column.astype("boolean") if column.isna().any() else column.astype(bool)
    if real.dtype.kind in "iuf":
        numbers = pd.to_numeric(column)
        return numbers if column.isna().any() or numbers.dtype.kind == "f" else numbers.astype(real.dtype)
    return column.astype("category")


def _unique(obs: pd.DataFrame) -> pd.DataFrame:
    """Rename generated cells whose names real cells have."""
    taken = set(obs.index[obs[OBS_SOURCE] == "real"])
    names = []
    for name, source in zip(obs.index, obs[OBS_SOURCE], strict=True):
        free, at = name, 1
        while source != "real" and free in taken:
            at += 1
            free = f"{name}-{at}"
        names.append(free)
    return obs.set_axis(pd.Index(names, dtype=str))
