"""The cells of an evaluation: real cells split by purpose, samples of equal size, and baselines at every seed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypedDict

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scdiffuse._core.errors import CountsError
from scdiffuse._core.random import generator
from scdiffuse.evaluation._feature_space import FeatureSpace, fit_space
from scdiffuse.evaluation._invalid_values import InvalidValues, clip_invalid_values, count_invalid_values
from scdiffuse.evaluation._reading import Sample
from scdiffuse.evaluation._scoring import Comparison
from scdiffuse.evaluation._shared_cells import note_shared_cells
from scdiffuse.evaluation._stratified import stratified_order
from scdiffuse.evaluation.baselines import BASELINES, MEMORISING_BASELINE
from scdiffuse.metrics import CellFeatures, SamplePair
from scdiffuse.metrics._labelled_cells import FEWEST_CONTRASTED, frequent_labels

__all__ = ["PreparedCells", "n_threads", "prepare"]

_MIN_CELLS = 20
_STREAMS = {"real": "real", "reference": "floor", "generated": "generated"}  # names fix which cells are drawn
_BOOTSTRAP = ("truth", "refitted")
_PROJECTION_FRACTION = 1 / 3  # of the reference cells, when all others are compared
_HELD_OUT_FRACTION = 0.4  # of the real cells, when there is no reference
_MOST_PROJECTION_CELLS = 3000
_NO_REFERENCE = (
    "No reference was given: the real cells were split at random into 40 % held out, 40 % for the "
    "real-vs-real reference and 20 % for choosing genes and fitting principal components."
)
_NO_TRAIN = "No training cells were given: baselines are fitted to the reference cells, and memorisation is not scored."


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedCells:
    """All cells of an evaluation in the same feature spaces, in random order."""

    space: FeatureSpace
    real: CellFeatures
    """Held-out real cells."""
    reference: CellFeatures
    """Other real cells, for the real-vs-real reference."""
    generated: CellFeatures
    projection: CellFeatures
    """Real cells that the feature space is fitted to; they are compared with nothing."""
    train: CellFeatures | None
    baseline_source: Sample
    """Cells that the baselines are fitted to."""
    invalid: InvalidValues
    """Generated values that cannot be counts."""
    generated_notes: tuple[str, ...]
    """Remarks on the generated cells."""
    n_equal: int
    """Most cells a side in a comparison of whole samples."""
    notes: tuple[str, ...]
    """Remarks on the real cells."""
    folds: int
    """Cross-validation folds of classifier two-sample tests."""
    n_trees: int
    """Trees of a forest."""
    pooled: CellFeatures | None
    """Held-out and other real cells together, where both are random parts of one sample: each draw splits them anew."""
    bootstrap: tuple[CellFeatures, CellFeatures] | None
    """Cells of the fitted model, and cells of a model that was refitted to its cells."""

    def pair(
        self,
        generated: CellFeatures,
        *,
        real: CellFeatures | None = None,
        seed: int = 0,
        contrasted: tuple[str, ...] | None = None,
    ) -> SamplePair:
        """Pair some cells with the held-out real cells."""
        return SamplePair(
            real=self.real if real is None else real,
            generated=generated,
            gene_names=self.space.genes,
            chosen=self.space.chosen,
            qc_names=self.space.qc_names,
            train=self.train,
            reference=self.projection,
            seed=seed,
            folds=self.folds,
            n_trees=self.n_trees,
            n_jobs=n_threads(),
            contrasted=contrasted,
        )

    def with_generated(self, generated: Sample, *, seed: int) -> PreparedCells:
        """Replace the generated cells by others with the same genes and the same number of cells."""
        return replace(self, **_generated_fields(self.space, generated, seed=seed))

    def compare(
        self, *, n_cells: int, seed: int, baselines: Iterable[str], earlier: Comparison | None = None
    ) -> Comparison:
        """Draw samples of equal size, stratified by label, and baselines of the same size.

        Parameters
        ----------
        n_cells
            Most cells a side.
        seed
            Chooses cells, where there are more than needed, and draws the baselines.
        baselines
            Names of the baselines to draw.
        earlier
            Comparison of other generated cells at the same seed; its reference and baselines are kept.

        Returns
        -------
        The comparisons.
        """
        n_cells = min(n_cells, self.n_equal)
        real, reference, pools = self._draw_real(n_cells, seed=seed)
        generated = _draw(self.generated, n_cells, stream=_STREAMS["generated"], seed=seed)
        if earlier is not None:
            return replace(earlier, model=earlier.model.with_generated(generated))
        pair = partial(self.pair, real=real, seed=seed, contrasted=_contrasted(real, reference))
        return Comparison(
            model=pair(generated),
            reference=pair(reference),
            baselines={name: pair(self.baseline(name, n_cells=n_cells, seed=seed)) for name in baselines},
            bootstrap=self._draw_bootstrap(n_cells, seed=seed),
            pools=pools,
        )

    def _draw_real(self, n_cells: int, *, seed: int) -> tuple[CellFeatures, CellFeatures, dict[str, int]]:
        """Draw held-out and other real cells; parts of one sample are split anew, as far as cells are enough."""
        pools = {"real": self.real.n_cells, "reference": self.reference.n_cells, "generated": self.generated.n_cells}
        if self.bootstrap is not None:
            pools |= {role: cells.n_cells for role, cells in zip(_BOOTSTRAP, self.bootstrap, strict=True)}
        if self.pooled is None:
            real, reference = (
                _draw(cells, n_cells, stream=_STREAMS[role], seed=seed)
                for role, cells in (("real", self.real), ("reference", self.reference))
            )
            return real, reference, pools
        order = stratified_order(self.pooled.labels, self.pooled.n_cells, generator(seed, "arena", "split"))
        together = self.pooled.n_cells
        # Cells in turn, so that both samples hold the labels in their proportions whatever their number.
        real, reference = (self.pooled.take(order[: 2 * n_cells][k::2]) for k in (0, 1))
        return real, reference, pools | {"real": together, "reference": together}

    def _draw_bootstrap(self, n_cells: int, *, seed: int) -> SamplePair | None:
        """Draw from the fitted and from the refitted model."""
        if self.bootstrap is None:
            return None
        truth, refitted = (
            _draw(cells, n_cells, stream=role, seed=seed)
            for role, cells in zip(_BOOTSTRAP, self.bootstrap, strict=True)
        )
        return self.pair(refitted, real=truth, seed=seed)

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """Available baselines; memorised training cells need training cells."""
        return tuple(name for name in BASELINES if self.train is not None or name != MEMORISING_BASELINE)

    def baseline(self, name: str, *, n_cells: int, seed: int) -> CellFeatures:
        """Draw a baseline in the same feature spaces."""
        by = None if self.baseline_source.labels is None else "label"
        obs = pd.DataFrame(index=pd.RangeIndex(self.baseline_source.n_cells).astype(str))
        if by is not None:
            obs[by] = self.baseline_source.labels
        cells = ad.AnnData(X=self.baseline_source.counts, obs=obs, var=pd.DataFrame(index=self.space.genes))
        drawn = BASELINES[name](cells, by=by, n_cells=n_cells, seed=seed)
        labels = None if by is None else np.asarray(drawn.obs[by], dtype=str)
        return self.space.features(Sample(counts=drawn.X.astype(np.float32), labels=labels))


def _contrasted(real: CellFeatures, other: CellFeatures) -> tuple[str, ...] | None:
    """List the labels that both samples of real cells have cells enough of, in halves of them too; none if too few."""
    if real.labels is None or other.labels is None:
        return None
    frequent = [frequent_labels(labels, min_cells=2 * FEWEST_CONTRASTED) for labels in (real.labels, other.labels)]
    shared = tuple(label for label in frequent[0] if label in frequent[1])
    return shared if len(shared) > 1 else None


def prepare(
    samples: Mapping[str, Sample],
    genes: NDArray[np.str_],
    *,
    max_cells: int,
    folds: int,
    n_trees: int = 100,
    seed: int,
) -> PreparedCells:
    """Split the real cells, fit the feature space to a part of them, and map every sample into it.

    Parameters
    ----------
    samples
        ``"real"`` and ``"generated"``, and ``"reference"``, ``"train"``, ``"truth"`` and ``"refitted"`` where given.
    genes
        Names of their genes, shape ``(G,)``.
    max_cells
        Most cells on either side of a comparison.
    folds
        Cross-validation folds of classifier two-sample tests.
    n_trees
        Trees of a forest.
    seed
        Seed of the splits.

    Returns
    -------
    The prepared cells, with remarks on how they are used.

    Raises
    ------
    CountsError
        Too few cells are left on a side.
    """
    notes = [note for role, sample in samples.items() if role != "generated" for note in sample.notes]
    notes += note_shared_cells(samples)
    real, generated, train = samples["real"], samples["generated"], samples.get("train")
    if "reference" in samples:
        reference = samples["reference"]
    else:
        kept = _stratified(real, _HELD_OUT_FRACTION, generator(seed, "held out"))
        reference, real = real.take(~kept), real.take(kept)
        notes.append(_NO_REFERENCE)
    others = [samples[role].n_cells for role in _BOOTSTRAP if role in samples]
    needed = min(real.n_cells, generated.n_cells, max_cells, *others)
    projected = _stratified(
        reference, max(_PROJECTION_FRACTION, 1 - needed / reference.n_cells), generator(seed, "fit")
    )
    projection, compared = reference.take(projected), reference.take(~projected)
    n_equal = min(needed, compared.n_cells)
    if n_equal < _MIN_CELLS:
        msg = (
            f"{n_equal} cells are left on each side ({real.n_cells} held out, {compared.n_cells} reference, "
            f"{generated.n_cells} generated), expected at least {_MIN_CELLS}. Give more cells."
        )
        raise CountsError(msg)
    if train is None:
        notes.append(_NO_TRAIN)
    if projection.n_cells > _MOST_PROJECTION_CELLS:
        order = generator(seed, "fit cells").permutation(projection.n_cells)
        projection = projection.take(order[:_MOST_PROJECTION_CELLS])
    space = fit_space(projection, genes, seed=seed)
    held_out = space.features(_shuffled(real, stream="real", seed=seed))
    others_real = space.features(_shuffled(compared, stream=_STREAMS["reference"], seed=seed))
    bootstrap = [space.features(_clipped(samples[role])) for role in _BOOTSTRAP if role in samples]
    return PreparedCells(
        space=space,
        real=held_out,
        reference=others_real,
        pooled=None if "reference" in samples else held_out.join(others_real),
        bootstrap=(bootstrap[0], bootstrap[1]) if len(bootstrap) == 2 else None,
        projection=space.features(_shuffled(projection, stream="fit", seed=seed)),
        train=None if train is None else space.features(train),
        baseline_source=reference if train is None else train,
        n_equal=n_equal,
        notes=tuple(notes),
        folds=folds,
        n_trees=n_trees,
        **_generated_fields(space, generated, seed=seed),
    )


def n_threads() -> int:
    """Threads for forests: the available cores, or fewer where ``OMP_NUM_THREADS`` says so."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(n_cores, int(limit)) if limit.isdigit() and int(limit) else n_cores


class _GeneratedFields(TypedDict):
    generated: CellFeatures
    invalid: InvalidValues
    generated_notes: tuple[str, ...]


def _generated_fields(space: FeatureSpace, generated: Sample, *, seed: int) -> _GeneratedFields:
    """Count invalid generated values, clip them, and map the cells into the feature spaces."""
    return {
        "generated": space.features(_shuffled(_clipped(generated), stream="generated", seed=seed)),
        "invalid": count_invalid_values(generated.counts),
        "generated_notes": generated.notes,
    }


def _clipped(sample: Sample) -> Sample:
    return replace(sample, counts=clip_invalid_values(sample.counts))


def _draw(cells: CellFeatures, n_cells: int, *, stream: str, seed: int) -> CellFeatures:
    """Draw cells of one sample, every label in its proportion."""
    order = stratified_order(cells.labels, cells.n_cells, generator(seed, "arena", stream))
    return cells.take(order[:n_cells])


def _shuffled(sample: Sample, *, stream: str, seed: int) -> Sample:
    """Shuffle cells with a random stream of their own."""
    return sample.take(generator(seed, "order", stream).permutation(sample.n_cells))


def _stratified(sample: Sample, fraction: float, stream: np.random.Generator) -> NDArray[np.bool_]:
    """Mark a fraction of the cells, the same fraction of every label."""
    shuffled = stream.permutation(sample.n_cells)
    if sample.labels is not None:
        shuffled = shuffled[np.argsort(sample.labels[shuffled], kind="stable")]
    places = np.arange(sample.n_cells + 1)
    marked = np.zeros(sample.n_cells, dtype=np.bool_)
    marked[shuffled] = np.diff(np.floor(places * fraction + 0.5)) > 0
    return marked
