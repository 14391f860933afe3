"""The cells of an audit: all of them for copies, a random part in feature spaces for attacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError
from scdiffuse._core.random import generator
from scdiffuse.evaluation._feature_space import fit_space
from scdiffuse.evaluation._invalid_values import InvalidValues, clip_invalid_values, count_invalid_values
from scdiffuse.evaluation._plan import Plan
from scdiffuse.evaluation._reading import (
    Sample,
    check_labels,
    read_rows,
    read_sample,
    shared_genes,
)
from scdiffuse.metrics import CellFeatures, SamplePair
from scdiffuse.metrics._copies import CopyScore, Fingerprints, exact_copies, fingerprints

__all__ = ["AuditCells", "find_copies", "prepare_audit"]

_MIN_CELLS = 20
_REFERENCE_FRACTION = 1 / 3  # of the held-out cells, or of the donors that were not trained on
_MIN_SPARE_DONORS = 4
_BLOCK_CELLS = 4096
_SPLIT_NOTE = (
    "A third of the held-out cells{donors} fits the feature space and is what attackers know of other cells; the rest "
    "stands for cells that were not trained on."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditCells:
    """Everything that attacks need."""

    pair: SamplePair
    memorised: CellFeatures
    """Training cells in the place of generated ones, as many, to show what the audit can find."""
    invalid: InvalidValues
    notes: tuple[str, ...]


def prepare_audit(tables: Mapping[str, ad.AnnData], plan: Plan) -> AuditCells:
    """Read the samples, set reference cells aside, and map all into feature spaces.

    Parameters
    ----------
    tables
        ``"train"``, ``"real"`` (held out) and ``"generated"``.
    plan
        Seed, sizes and columns.

    Returns
    -------
    The cells of the attacks.

    Raises
    ------
    CountsError
        Too few cells are left.
    """
    genes, seed = shared_genes(tables), plan.seeds[0]
    samples = {
        role: read_sample(table, role=role, genes=genes, settings=plan.read_settings) for role, table in tables.items()
    }
    held_out, generated = samples["real"], samples["generated"]
    check_labels(held_out.labels, generated.labels, by=plan.by)
    aside, by_donor = _reference_rows(held_out, samples["train"], seed=seed)
    asked = held_out.take(~aside)
    least = min(asked.n_cells, generated.n_cells, samples["train"].n_cells)
    if least < _MIN_CELLS:
        msg = (
            f"{least} cells are left on a side ({samples['train'].n_cells} training, {asked.n_cells} held out, "
            f"{generated.n_cells} generated), expected at least {_MIN_CELLS}. Give more cells."
        )
        raise CountsError(msg)
    space = fit_space(held_out.take(aside), genes, seed=seed)
    train = space.features(samples["train"])
    drawn = generator(seed, "audit", "memorised").permutation(train.n_cells)[: generated.n_cells]
    clipped = replace(generated, counts=clip_invalid_values(generated.counts))
    return AuditCells(
        pair=SamplePair(
            real=space.features(asked),
            generated=space.features(clipped),
            gene_names=genes,
            chosen=space.chosen,
            qc_names=space.qc_names,
            train=train,
            reference=space.features(held_out.take(aside)),
            seed=seed,
            max_cells=plan.max_cells,
        ),
        memorised=train.take(drawn),
        invalid=count_invalid_values(generated.counts),
        notes=(
            *(note for sample in samples.values() for note in sample.notes),
            *plan.notes,
            _SPLIT_NOTE.format(donors=", whole donors," if by_donor else ""),
        ),
    )


def _reference_rows(held_out: Sample, train: Sample, *, seed: int) -> tuple[NDArray[np.bool_], bool]:
    """Mark the cells set aside, and tell whether they are whole donors.

    Where donors were held out as a whole, some of these are set aside: reference cells of a donor in question would
    make his other cells look like no members. Else, where training donors have held-out cells too, every donor gives as
    many.
    """
    stream = generator(seed, "audit", "reference")
    if held_out.donors is None or train.donors is None:
        return stream.permutation(held_out.n_cells) < _REFERENCE_FRACTION * held_out.n_cells, False
    names, sizes = np.unique(held_out.donors[held_out.donors != ""], return_counts=True)
    others = names[~np.isin(names, train.donors)]
    if len(others) >= _MIN_SPARE_DONORS:
        spare = stream.permutation(others)[: max(int(_REFERENCE_FRACTION * len(others)), 1)]
        return np.isin(held_out.donors, spare), True
    marked = np.zeros(held_out.n_cells, dtype=bool)
    each = max(int(_REFERENCE_FRACTION * sizes.min()), 1) if len(sizes) else 0
    for name in names:
        marked[stream.permutation(np.flatnonzero(held_out.donors == name))[:each]] = True
    if marked.sum() < _REFERENCE_FRACTION * held_out.n_cells / 2:
        return stream.permutation(held_out.n_cells) < _REFERENCE_FRACTION * held_out.n_cells, False
    return marked, False


def find_copies(
    tables: Mapping[str, ad.AnnData], plan: Plan
) -> tuple[CopyScore, tuple[tuple[str, float], ...], dict[str, Fingerprints]]:
    """Look up every generated cell among all training cells, a block of cells at a time.

    Parameters
    ----------
    tables
        ``"train"``, ``"real"`` (held out) and ``"generated"``.
    plan
        Layer and columns.

    Returns
    -------
    The copies, the donors (or else types) that they come from with their numbers, and the fingerprints.
    """
    genes = shared_genes(tables)
    prints = {
        role: _joined([fingerprints(block) for block in _blocks(table, role, genes, layer=plan.layer)])
        for role, table in tables.items()
    }
    found = exact_copies(prints["train"], prints["real"], prints["generated"])
    key = next((key for key in (plan.group, plan.by) if key is not None and key in tables["train"].obs), None)
    if key is None or not found.n_copies:
        return found, (), prints
    names = tables["train"].obs[key].iloc[found.sources].astype(str).value_counts()
    ranked = sorted(names.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return found, tuple((str(name), float(count)) for name, count in ranked[:5]), prints


def _blocks(table: ad.AnnData, role: str, genes: NDArray[np.str_], *, layer: str | None) -> Iterator[object]:
    matrix = table.layers.get(layer, table.X)
    if table.isbacked and getattr(matrix, "format", None) == "csc":
        table = table.to_memory()  # blocks of rows would each read all of it
    for start in range(0, table.n_obs, _BLOCK_CELLS):
        rows = np.arange(start, min(start + _BLOCK_CELLS, table.n_obs))
        counts = read_rows(table, rows, role=role, layer=layer, genes=genes)
        yield clip_invalid_values(counts) if role == "generated" else counts


def _joined(parts: list[Fingerprints]) -> Fingerprints:
    return Fingerprints(*(np.concatenate(side) for side in zip(*parts, strict=True)))
