"""Who is compared with whom: the split of the real cells, equal sizes, and the baselines at every seed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError
from scdiffuse._core.random import generator
from scdiffuse.evaluation._samples import Faults, Sample, as_scored, find_faults
from scdiffuse.evaluation._scoring import Arena
from scdiffuse.evaluation._views import Space, fit_space
from scdiffuse.evaluation.baselines import BASELINES, COPIER
from scdiffuse.metrics import Pair, View

__all__ = ["Material", "prepare"]

_MIN_CELLS = 20
_FIT_PART = 1 / 3  # of the reference cells, when none can be spared
_HELD_OUT_PART = 0.4  # of the real cells, when there is no reference
_MOST_FIT_CELLS = 3000
_NO_REFERENCE = (
    "No reference was given: the real cells were split at random into 40 % held out, 40 % for the floor and 20 % for "
    "choosing genes and fitting components."
)
_NO_TRAIN = "No training cells were given: baselines learn from the reference cells, and copying is not scored."


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """All cells of an evaluation in the same spaces, in random order."""

    space: Space
    real: View
    floor: View
    generated: View
    fit: View
    train: View | None
    source: Sample
    """Cells that the baselines learn from."""
    faults: Faults
    """What is wrong with the generated values."""
    made_notes: tuple[str, ...]
    """Remarks on the generated cells."""
    n_equal: int
    """Most cells that either side of a comparison of the whole samples can have."""
    notes: tuple[str, ...]
    """Remarks on the real cells."""
    folds: int
    """Folds of the discriminators."""

    def pair(self, generated: View, *, real: View | None = None, seed: int = 0) -> Pair:
        """Oppose some cells to the held-out real ones."""
        return Pair(
            real=self.real if real is None else real,
            generated=generated,
            gene_names=self.space.genes,
            chosen=self.space.chosen,
            depth_names=self.space.depth_names,
            train=self.train,
            reference=self.fit,
            seed=seed,
            folds=self.folds,
            n_jobs=_n_threads(),
        )

    def renew(self, made: Sample, *, seed: int) -> Material:
        """Put other generated cells, on the same genes and as many, in the place of these."""
        return replace(self, **_see_generated(self.space, made, seed=seed))

    def arena(self, *, n_cells: int, seed: int, baselines: Iterable[str], known: Arena | None = None) -> Arena:
        """Draw samples of equal size, and every baseline as large.

        Parameters
        ----------
        n_cells
            Most cells a side.
        seed
            Other seeds draw other cells, where there are more than needed, and other baselines.
        baselines
            Names of those wanted.
        known
            The arena of other generated cells at the same seed, whose real side is kept.

        Returns
        -------
        The comparisons.
        """
        n_cells = min(n_cells, self.n_equal)
        real, floor, generated = (
            view.take(generator(seed, "arena", role).permutation(view.n_cells)[:n_cells])
            for role, view in (("real", self.real), ("floor", self.floor), ("generated", self.generated))
        )
        if known is not None:
            return replace(known, model=known.model.with_generated(generated))
        return Arena(
            model=self.pair(generated, real=real, seed=seed),
            floor=self.pair(floor, real=real, seed=seed),
            baselines={
                name: self.pair(self.baseline(name, n=n_cells, seed=seed), real=real, seed=seed) for name in baselines
            },
        )

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """Baselines that can be had: without training cells nothing can be copied from them."""
        return tuple(name for name in BASELINES if self.train is not None or name != COPIER)

    def baseline(self, name: str, *, n: int, seed: int) -> View:
        """Draw a baseline and see it in the same spaces."""
        by = None if self.source.labels is None else "label"
        obs = pd.DataFrame(index=pd.RangeIndex(self.source.n_cells).astype(str))
        if by is not None:
            obs[by] = self.source.labels
        cells = ad.AnnData(X=self.source.counts, obs=obs, var=pd.DataFrame(index=self.space.genes))
        drawn = BASELINES[name](cells, by=by, n=n, seed=seed)
        labels = None if by is None else np.asarray(drawn.obs[by], dtype=str)
        return self.space.view(Sample(counts=drawn.X.astype(np.float32), labels=labels))


def prepare(
    samples: Mapping[str, Sample], genes: NDArray[np.str_], *, max_cells: int, folds: int, seed: int
) -> Material:
    """Split the real cells, fit the spaces on their part, and see every sample in them.

    Parameters
    ----------
    samples
        ``"real"`` and ``"generated"``, and ``"reference"`` and ``"train"`` where they exist.
    genes
        Names of their genes, shape ``(G,)``.
    max_cells
        Most cells on either side of a comparison.
    folds
        Folds of the discriminators.
    seed
        Seed of the splits.

    Returns
    -------
    The material, with remarks on how the cells were used.

    Raises
    ------
    CountsError
        Too few cells are left on a side.
    """
    notes = [note for role, sample in samples.items() if role != "generated" for note in sample.notes]
    real, made, train = samples["real"], samples["generated"], samples.get("train")
    if "reference" in samples:
        reference = samples["reference"]
    else:
        kept = _stratified(real, _HELD_OUT_PART, generator(seed, "held out"))
        reference, real = real.take(~kept), real.take(kept)
        notes.append(_NO_REFERENCE)
    needed = min(real.n_cells, made.n_cells, max_cells)
    for_fit = _stratified(reference, max(_FIT_PART, 1 - needed / reference.n_cells), generator(seed, "fit"))
    fit, floor = reference.take(for_fit), reference.take(~for_fit)
    n_equal = min(needed, floor.n_cells)
    if n_equal < _MIN_CELLS:
        msg = (
            f"{n_equal} cells are left on each side ({real.n_cells} held out, {floor.n_cells} for the floor, "
            f"{made.n_cells} generated), expected at least {_MIN_CELLS}. Give more cells."
        )
        raise CountsError(msg)
    if train is None:
        notes.append(_NO_TRAIN)
    if fit.n_cells > _MOST_FIT_CELLS:
        fit = fit.take(generator(seed, "fit cells").permutation(fit.n_cells)[:_MOST_FIT_CELLS])
    space = fit_space(fit, genes, seed=seed)
    return Material(
        space=space,
        real=space.view(_shuffled(real, "real", seed=seed)),
        floor=space.view(_shuffled(floor, "floor", seed=seed)),
        fit=space.view(_shuffled(fit, "fit", seed=seed)),
        train=None if train is None else space.view(train),
        source=reference if train is None else train,
        n_equal=n_equal,
        notes=tuple(notes),
        folds=folds,
        **_see_generated(space, made, seed=seed),
    )


def _n_threads() -> int:
    """Threads for forests: the cores at hand, unless the variable that limits all numeric libraries asks for fewer."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(n_cores, int(asked)) if asked.isdigit() and int(asked) else n_cores


def _see_generated(space: Space, made: Sample, *, seed: int) -> dict[str, Any]:
    """Note what is wrong with the generated values, and see them in the spaces as far as they can be scored."""
    scorable = replace(made, counts=as_scored(made.counts))
    return {
        "generated": space.view(_shuffled(scorable, "generated", seed=seed)),
        "faults": find_faults(made.counts),
        "made_notes": made.notes,
    }


def _shuffled(sample: Sample, role: str, *, seed: int) -> Sample:
    """Bring cells into random order, by a stream of their own."""
    return sample.take(generator(seed, "order", role).permutation(sample.n_cells))


def _stratified(sample: Sample, part: float, stream: np.random.Generator) -> NDArray[np.bool_]:
    """Mark a part of the cells, the same part of every label."""
    shuffled = stream.permutation(sample.n_cells)
    if sample.labels is not None:
        shuffled = shuffled[np.argsort(sample.labels[shuffled], kind="stable")]
    places = np.arange(sample.n_cells + 1)
    marked = np.zeros(sample.n_cells, dtype=np.bool_)
    marked[shuffled] = np.diff(np.floor(places * part + 0.5)) > 0
    return marked
