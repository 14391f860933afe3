"""Several predictions of the same cells: what each list of labels or numbers asks for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from pandas.api.types import is_list_like

from scdiffuse._core.errors import SettingError
from scdiffuse.cells import ConditionPlan
from scdiffuse.model import FittedModel
from scdiffuse.sampling._checks import read_target

__all__ = ["read_screen"]


def read_screen(model: FittedModel, to: object, *, name: str) -> dict[tuple[str, ...], ConditionPlan]:
    """Read combinations of conditions: one, or where conditions have lists each choice from these.

    Parameters
    ----------
    model
        The fitted model.
    to
        As for `read_target`; a label or number may also be a list of several.
    name
        The argument, for messages.

    Returns
    -------
    A plan of one cell for each combination, by the choices from the lists.

    Raises
    ------
    ConditionError, UnknownNameError
        As in `read_target`.
    SettingError
        `to` is not a mapping, or a list is empty or names something twice.
    """
    if not isinstance(to, Mapping):
        return {(): read_target(model, to, name=name)}
    lists = {condition: list(one) for condition, one in to.items() if _is_ordered(one)}
    for condition, choices in lists.items():
        if not choices or len({str(one) for one in choices}) < len(choices):
            what = "names nothing" if not choices else "names something twice"
            msg = f"`{name}` gives {condition!r} {choices}, which {what}; expected different labels or numbers."
            raise SettingError(msg + " Name each once.")
    return {
        tuple(map(str, chosen)): read_target(model, {**to, **dict(zip(lists, chosen, strict=True))}, name=name)
        for chosen in product(*lists.values())
    }


def _is_ordered(one: object) -> bool:
    """Whether a value is a list; sets have no order that predictions could have, and are refused as labels."""
    return is_list_like(one, allow_sets=False) and not isinstance(one, Mapping)
