"""The object that users hold: fit it to cells, generate cells from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from scdiffuse._core.errors import SettingError
from scdiffuse._core.resources import explain_memory
from scdiffuse.cells import MIN_CELLS, CellData, read_origin
from scdiffuse.fitting import read_data
from scdiffuse.foundation import Foundation
from scdiffuse.generator._augment import AugmentMixin
from scdiffuse.generator._classifiers import ClassifierMixin
from scdiffuse.generator._distill import DistillMixin
from scdiffuse.generator._encode import EncodeMixin
from scdiffuse.generator._fit import FitMixin
from scdiffuse.generator._generate import GenerateMixin
from scdiffuse.generator._map_query import MapQueryMixin
from scdiffuse.generator._predict import PredictMixin
from scdiffuse.generator._trajectory import TrajectoryMixin
from scdiffuse.model import ModelConfig, ModelMetadata

__all__ = ["CellGenerator"]


class CellGenerator(
    FitMixin,
    GenerateMixin,
    PredictMixin,
    MapQueryMixin,
    TrajectoryMixin,
    AugmentMixin,
    ClassifierMixin,
    DistillMixin,
    EncodeMixin,
):
    """Learn what cells look like and generate new ones, as integer counts, under any of their conditions.

    Parameters
    ----------
    adata
        Cells with raw counts: in memory or backed, the path of a ``.h5ad`` file, a ``.zarr`` store, a folder of shards,
        a file of another tool (``.h5`` or folder of 10x Genomics, ``.mtx``, ``.loom``, ``.csv``, ``.tsv``), or several
        of these, of which the genes are kept that all have.
    conditions
        Columns of `obs` with labels, such as ``"cell_type"``. Missing labels are fine; labels of one cell count as
        missing.
    continuous
        Columns of `obs` with numbers, such as ``"day"``. Missing numbers are fine.
    layer
        Layer with raw counts, or ``"raw.X"`` for ``adata.raw``. If not given, ``X``; if that holds none, the one place
        that does.
    min_cells
        Genes detected in fewer cells are left out; `summary` says how many.
    config
        Settings of the networks, their training and the calibration.
    latent
        A pretrained latent space, one of `scdiffuse.foundation`; the model learns its own if not given.
    condition_features
        Tables of numbers that describe labels, by condition: a row for each label, such as the pathways of a gene or
        the fingerprint of a drug. Labels in the table that no cell has can be generated too, as *unseen labels*: the
        model predicts their effects from those of trained labels with similar features.
    round_counts
        Round counts with decimals, as SoupX makes them, to whole ones. If `layer` is not given, those of ``X`` are
        rounded even where another place holds whole counts.
    progress
        Show a bar while counts are read.

    Raises
    ------
    CountsError
        The values are not raw counts, there are too few cells, or names occur twice.
    UnknownNameError
        A column, or an entry of `obsm`, does not exist.
    GenesError
        `latent` knows too few of the genes.
    ConditionError
        Most labels have one cell only, a continuous column holds text, or `condition_features` are no finite numbers.
    DataFileError
        The path does not lead to readable cells.
    SettingError
        `config` is no `ModelConfig`, or `latent` none of `scdiffuse.foundation`.

    Warns
    -----
    UserWarning
        Genes that only some of several files have, or cells without counts, are left out; labels of one cell count as
        missing; counts are read from another place than ``X``.

    Examples
    --------
    >>> import scdiffuse as scd
    >>> model = scd.CellGenerator(scd.datasets.pbmc68k(), conditions=["cell_type"])
    >>> len(model.genes)
    748
    """

    def __init__(  # noqa: PLR0913 - everything that decides what is learnt from
        self,
        adata: CellData,
        *,
        conditions: Sequence[str] = (),
        continuous: Sequence[str] = (),
        layer: str | None = None,
        min_cells: int = MIN_CELLS,
        config: ModelConfig | None = None,
        latent: Foundation | None = None,
        condition_features: Mapping[str, pd.DataFrame] | None = None,
        round_counts: bool = False,
        progress: bool = True,
    ) -> None:
        config = ModelConfig() if config is None else config
        _require_settings(config, latent)
        with explain_memory("Pass the path of a `.h5ad` file; its cells are then read as they are needed."):
            data = read_data(
                adata,
                conditions=conditions,
                continuous=continuous,
                layer=layer,
                min_cells=min_cells,
                calibration=config.calibration,
                latent=latent,
                condition_features=condition_features,
                round_counts=round_counts,
                progress=progress,
            )
        if latent is not None:
            config = config.with_latent(latent.describe(data.source))
        metadata = ModelMetadata(
            config=config, conditions=data.conditions, var=data.var, data=data.summary(), origin=read_origin(adata)
        )
        super().__init__(metadata, data=data)


def _require_settings(config: object, latent: object) -> None:
    """Refuse what merely stands for settings or for a latent space, such as the name of an entry of `obsm`."""
    if not isinstance(config, ModelConfig):
        msg = f"`config` is of type {type(config).__name__}; expected a `ModelConfig`. Pass one, or of a dictionary"
        raise SettingError(msg + " `ModelConfig.from_dict(...)`.")
    if latent is not None and (isinstance(latent, type) or not hasattr(latent, "choose_genes")):
        msg = f"`latent` is {latent!r}; expected a latent space of `scdiffuse.foundation`. Pass one, such as"
        raise SettingError(msg + f" `foundation.Embedding({latent if isinstance(latent, str) else 'X_pca'!r})`.")
