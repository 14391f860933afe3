"""Groups of cells that were held out as a whole: donors, batches or times, which nobody may have named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import anndata as ad
import pandas as pd
from pandas.api.types import is_numeric_dtype

from scdiffuse.evaluation._formatting import join_words
from scdiffuse.evaluation._plan import Plan

__all__ = ["find_untrained_groups"]

_BY_CHANCE = 1e-6  # probability that a random split leaves out all cells of a group


def find_untrained_groups(tables: Mapping[str, ad.AnnData], plan: Plan) -> Plan:
    """Find the column whose groups were held out as a whole, where no donor is named.

    Held-out cells of groups that no training cell is of differ from training cells by their group, which an attack on
    single cells takes for membership. A column counts where a random split would not leave out a whole group, and where
    it does more than name the two samples.

    Parameters
    ----------
    tables
        The samples; without ``"train"`` there is nothing to find.
    plan
        What is asked for.

    Returns
    -------
    The plan; ``untrained`` is the column with the most cells of such groups, and ``notes`` tell of it.
    """
    if plan.donor is not None or "train" not in tables or not min(table.n_obs for table in tables.values()):
        return plan
    train, held_out = tables["train"].obs, tables["real"].obs
    found = {
        column: _untrained(train[column], held_out[column])
        for column in held_out.columns
        if _has_groups(train.get(column), held_out[column])
    }
    n_cells = {column: int(sizes.sum()) for column, sizes in found.items() if len(sizes)}
    if not n_cells:
        return plan
    most = max(n_cells, key=lambda column: n_cells[column])
    groups = join_words([str(group) for group in found[most].index])
    note = (
        f"No training cell has the {most!r} of {n_cells[most]:,} held-out cells ({groups}). So attacks can only "
        f"compare cells of the same {most!r}. Name the column of donors with `donor` to test donors too."
    )
    return replace(plan, untrained=most, notes=(note,))


def _untrained(train: pd.Series, held_out: pd.Series) -> pd.Series:
    """Count the held-out cells of each group that training cells lack, for more than chance."""
    sizes = held_out.astype(object).value_counts()
    least = math.log(_BY_CHANCE) / math.log(len(held_out) / (len(held_out) + len(train)))
    return sizes[(sizes > least) & ~sizes.index.isin(train.unique())]


def _has_groups(train: object, held_out: object) -> bool:
    """Whether two columns hold values that can be counted and compared, and more than the name of their sample."""
    if not (isinstance(train, pd.Series) and isinstance(held_out, pd.Series) and isinstance(train.name, str)):
        return False  # the column is missing, or there twice, or has no name that can be asked for
    try:
        is_one = max(train.nunique(), held_out.nunique()) <= 1
    except TypeError:  # lists and the like
        return False
    return not is_one and is_numeric_dtype(train) == is_numeric_dtype(held_out)
