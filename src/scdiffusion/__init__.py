"""Generate single cells as integer counts, and measure how real they are.

The names below load on first use, so that ``import scdiffusion`` takes milliseconds.

Examples
--------
>>> import scdiffusion as scd
>>> sorted(scd.__all__)[:3]
['CellGenerator', 'Report', 'UserError']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from scdiffusion._core.version import __version__

if TYPE_CHECKING:
    from types import ModuleType

    from scdiffusion import foundation
    from scdiffusion._core.errors import UserError
    from scdiffusion.cells import datasets, shard, split
    from scdiffusion.evaluation import Report, audit, evaluate
    from scdiffusion.model import CellGenerator, load, plot_trajectory

__all__ = [
    "CellGenerator",
    "Report",
    "UserError",
    "__version__",
    "audit",
    "datasets",
    "evaluate",
    "foundation",
    "load",
    "plot_trajectory",
    "shard",
    "split",
]

_HOMES = {
    "CellGenerator": "scdiffusion.model",
    "Report": "scdiffusion.evaluation",
    "UserError": "scdiffusion._core.errors",
    "audit": "scdiffusion.evaluation",
    "evaluate": "scdiffusion.evaluation",
    "load": "scdiffusion.model",
    "plot_trajectory": "scdiffusion.model",
    "shard": "scdiffusion.cells",
    "split": "scdiffusion.cells",
}
_MODULES = {"datasets": "scdiffusion.cells.datasets", "foundation": "scdiffusion.foundation"}


def __getattr__(name: str) -> ModuleType | object:
    """Load a public name on first use."""
    if name in _MODULES:
        value: object = import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        msg = f"Module `scdiffusion` has no attribute {name!r}; public names are {', '.join(sorted(__all__))}."
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
