"""Settings of the model as typed on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scdiffuse._core.errors import SettingError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from scdiffuse.model import ModelConfig

__all__ = ["read_settings"]


def read_settings(pairs: Sequence[str]) -> ModelConfig:
    """Read a `ModelConfig` with some settings other than the defaults.

    Parameters
    ----------
    pairs
        Words such as ``diffusion.solver_steps=20``, named as in the ``config.json`` of a model.

    Raises
    ------
    UnknownNameError
        There is no such setting.
    SettingError
        A word has no ``=``, or a value is out of range or has another type.
    """
    from scdiffuse.model import ModelConfig

    tree = ModelConfig().to_dict()
    for pair in pairs:
        name, equals, _ = pair.partition("=")
        if not equals:
            msg = (
                f"`--set` {pair!r} has no `=`; expected `--set name=value`, such as `--set diffusion.solver_steps=20`."
            )
            raise SettingError(msg)
        known = _flat(tree)
        if name not in known:
            msg = f"{name!r} is not a setting; expected one of {', '.join(sorted(known))}."
            raise UnknownNameError(msg + did_you_mean(name, known))
        branch, leaf = tree, name
        while "." in leaf:
            at, _, leaf = leaf.partition(".")
            branch = branch[at]
        branch[leaf] = _value(pair, known[name])
    return ModelConfig.from_dict(tree)


def _flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    """List all settings by their path, such as ``diffusion.width``."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return leaves


def _value(pair: str, default: object) -> object:
    """Read a value of the same type as the default."""
    name, _, text = pair.partition("=")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if default is not None and type(value) is not type(default):
        msg = f"`--set` {pair!r} has another type than the default {default!r}; expected {type(default).__name__}."
        raise SettingError(msg + f" Write it as `--set {name}={json.dumps(default)}`.")
    return value
