"""Labels that nothing can be learnt of become missing: those of one cell, and empty text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scdiffuse._core.errors import ConditionError

__all__ = ["MaskedLabels", "is_blank", "mask_labels", "require_scalars", "require_single"]

_SHOWN = 3


class MaskedLabels(NamedTuple):
    """A table of labels, and what became missing in it."""

    obs: pd.DataFrame
    """The table; only columns that change are copied."""
    messages: tuple[str, ...]
    """A sentence for each column that changed, with the number of cells."""


def is_blank(label: object) -> bool:
    """Return whether a label is text without a visible character."""
    return isinstance(label, str) and not label.strip()


def require_single(obs: pd.DataFrame, name: object) -> None:
    """Check that no other column has the same name.

    Parameters
    ----------
    obs
        Columns of the cells.
    name
        A column that there is.

    Raises
    ------
    ConditionError
        There are several columns of that name.
    """
    n = int((obs.columns == name).sum())
    if n > 1:
        msg = f"`adata.obs` has {n} columns {name!r}; expected one. Rename or drop the others."
        raise ConditionError(msg)


def require_scalars(column: pd.Series[Any], name: object) -> None:
    """Check that a column holds text or numbers, one a cell, and neither lists nor other containers.

    Parameters
    ----------
    column
        The column.
    name
        Its name.

    Raises
    ------
    ConditionError
        A cell has several values.
    """
    if column.dtype != object:
        return
    several = next((value for value in column if type(value).__hash__ is None), None)
    if several is not None:
        kind = type(several).__name__
        msg = f"The column {name!r} holds a {kind}, such as {several!r:.50}; expected one text or number a cell. Write"
        raise ConditionError(msg + " each part into a column of its own.")


def mask_labels(obs: pd.DataFrame, names: Sequence[str]) -> MaskedLabels:
    """Set labels to missing that one cell has alone, or that are empty text.

    Parameters
    ----------
    obs
        Labels of the training cells.
    names
        Columns with labels; those that `obs` lacks are skipped.

    Returns
    -------
    The table, and what changed.

    Raises
    ------
    ConditionError
        Most labelled cells would lose their label: the column names cells, or its labels have to be merged first. Or
        there are several columns of one name, or a cell has several labels.

    Examples
    --------
    >>> obs = pd.DataFrame({"cell_type": ["B", "B", "T", "T", "T", ""]})
    >>> mask_labels(obs, ["cell_type"]).messages
    ("1 cell has no text in 'cell_type'; its label counts as missing.",)
    """
    changed: dict[str, pd.Series[Any]] = {}
    messages = []
    for name in names:
        if name not in obs:
            continue
        require_single(obs, name)
        column = obs[name]
        require_scalars(column, name)
        counts = column.value_counts()
        counts = counts[counts > 0]
        blank = [label for label in counts.index if is_blank(label)]
        rare = [label for label in counts.index[counts == 1] if label not in blank]
        n_labelled = int(counts.sum()) - int(counts[blank].sum())
        if 2 * len(rare) > n_labelled:
            msg = f"{len(rare):,} of the {n_labelled:,} cells with a label in {name!r} have one of their own, such as"
            msg += f" {_plain(rare[0])!r}; expected labels that cells share. Merge labels, or leave the column out."
            raise ConditionError(msg + ("" if isinstance(rare[0], str) else " Numbers can be `continuous`."))
        if blank:
            messages.append(_sentence(int(counts[blank].sum()), f"no text in {name!r}"))
        if rare:
            shown = ", ".join(repr(_plain(label)) for label in rare[:_SHOWN]) + (", ..." if len(rare) > _SHOWN else "")
            messages.append(_sentence(len(rare), f"a label of {name!r} of their own ({shown})"))
        if blank or rare:
            kept = ~column.isin([*blank, *rare])
            is_whole = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu"
            changed[name] = (column.astype(object) if is_whole else column).where(kept)  # not as fractions
    return MaskedLabels(obs.assign(**changed) if changed else obs, tuple(messages))


def _sentence(n: int, what: str) -> str:
    if n == 1:
        return f"1 cell has {what.replace('of their own', 'of its own')}; its label counts as missing."
    return f"{n:,} cells have {what}; their labels count as missing."


def _plain(label: Any) -> Any:  # noqa: ANN401 - any scalar
    return label.item() if hasattr(label, "item") else label
