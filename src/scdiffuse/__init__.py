"""Generate single cells as integer counts, and measure how real they are.

The names below load on first use, so that ``import scdiffuse`` takes milliseconds.

Examples
--------
>>> import scdiffuse as scd
>>> sorted(scd.__all__)[:3]
['AutoencoderConfig', 'Benchmark', 'CalibrationConfig']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from scdiffuse._core.version import __version__

if TYPE_CHECKING:
    from types import ModuleType

    from scdiffuse import foundation
    from scdiffuse._core.errors import UserError
    from scdiffuse.cells import datasets, shard, split
    from scdiffuse.evaluation import Benchmark, Report, audit, evaluate, plot_umap
    from scdiffuse.fitting import gene_loadings, sum_features
    from scdiffuse.generator import CellGenerator, load, plot_history
    from scdiffuse.model import (
        AutoencoderConfig,
        CalibrationConfig,
        DiffusionConfig,
        DispersionConfig,
        ModelConfig,
        TrainConfig,
    )
    from scdiffuse.sampling import Guidance, Support, plot_trajectory

__all__ = [
    "AutoencoderConfig",
    "Benchmark",
    "CalibrationConfig",
    "CellGenerator",
    "DiffusionConfig",
    "DispersionConfig",
    "Guidance",
    "ModelConfig",
    "Report",
    "Support",
    "TrainConfig",
    "UserError",
    "__version__",
    "audit",
    "datasets",
    "evaluate",
    "foundation",
    "gene_loadings",
    "load",
    "plot_history",
    "plot_trajectory",
    "plot_umap",
    "shard",
    "split",
    "sum_features",
]

_HOMES = {
    "AutoencoderConfig": "scdiffuse.model",
    "Benchmark": "scdiffuse.evaluation",
    "CalibrationConfig": "scdiffuse.model",
    "CellGenerator": "scdiffuse.generator",
    "DiffusionConfig": "scdiffuse.model",
    "DispersionConfig": "scdiffuse.model",
    "Guidance": "scdiffuse.sampling",
    "ModelConfig": "scdiffuse.model",
    "Report": "scdiffuse.evaluation",
    "Support": "scdiffuse.sampling",
    "TrainConfig": "scdiffuse.model",
    "UserError": "scdiffuse._core.errors",
    "audit": "scdiffuse.evaluation",
    "evaluate": "scdiffuse.evaluation",
    "gene_loadings": "scdiffuse.fitting",
    "load": "scdiffuse.generator",
    "plot_history": "scdiffuse.generator",
    "plot_trajectory": "scdiffuse.sampling",
    "plot_umap": "scdiffuse.evaluation",
    "shard": "scdiffuse.cells",
    "split": "scdiffuse.cells",
    "sum_features": "scdiffuse.fitting",
}
_MODULES = {"datasets": "scdiffuse.cells.datasets", "foundation": "scdiffuse.foundation"}


def __getattr__(name: str) -> ModuleType | object:
    """Load a public name on first use."""
    if name in _MODULES:
        value: object = import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        msg = f"Module `scdiffuse` has no attribute {name!r}; public names are {', '.join(sorted(__all__))}."
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
