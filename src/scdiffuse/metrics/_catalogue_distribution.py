"""Registered metrics of the distribution in principal components: distances, fidelity, diversity, mixing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from scdiffuse.metrics import _distances, _luo2024, _neighbours
from scdiffuse.metrics._feature_matrices import equal_sizes
from scdiffuse.metrics._labelled_cells import LabelledCells
from scdiffuse.metrics._metric import Metric, Score
from scdiffuse.metrics._neighbours import PRDC
from scdiffuse.metrics._sample_pair import SamplePair, labelled_cells

__all__ = ["DISTRIBUTION", "mixing"]

_LABELS = frozenset({"labels"})
_UNIT = (0.0, 1.0)
_NAEEM = "Naeem et al. 2020, arXiv:2002.09797, eq. 3-4, k = 5"
_KYNKAANNIEMI = "Kynkaanniemi et al. 2019, arXiv:1904.06991, eq. 1-2, k = 5"


def _pcs(function: Callable[..., float], pair: SamplePair) -> Score:
    """Score principal components by a function that takes a seed and a limit."""
    return Score(function(pair.real.pcs, pair.generated.pcs, max_cells=pair.max_cells, seed=pair.seed))


def _transport(order: int, pair: SamplePair) -> Score:
    """Measure the exact distance at equal sizes, with or without POT installed."""
    cells = equal_sizes(pair.real.pcs, pair.generated.pcs, max_cells=min(2000, pair.max_cells), seed=pair.seed)
    return Score(_distances.wasserstein(*cells, order=order))


def _prdc(which: str, pair: SamplePair) -> Score:
    """Read one of precision, recall, density and coverage, computed once."""
    return Score(float(getattr(pair.cached("prdc", lambda: _all_prdc(pair)), which)))


def _all_prdc(pair: SamplePair) -> PRDC:
    """Compute all four at equal sizes, as recall and coverage depend on the sizes."""
    cells = equal_sizes(pair.real.pcs, pair.generated.pcs, max_cells=pair.max_cells, seed=pair.seed)
    return _neighbours.precision_recall_density_coverage(*cells)


def mixing(pair: SamplePair) -> Score:
    """Measure the mixing of neighbourhoods once, for ``lisi`` and for ``ilisi`` of Luo et al. 2024."""
    x, y = pair.real.pcs, pair.generated.pcs
    return Score(pair.cached("lisi", lambda: _luo2024.ilisi(x, y, max_cells=pair.max_cells, seed=pair.seed)))


def _worst_coverage(pair: SamplePair) -> Score:
    """Find the coverage of the worst label; the worst three are named with the fraction that is missing."""
    by_label = _neighbours.precision_recall_by_label(labelled_cells(pair.real), labelled_cells(pair.generated))
    worst = sorted((result.coverage, label) for label, result in by_label.items())
    if not worst:
        return Score(float("nan"))
    return Score(worst[0][0], features=tuple((label, 1 - coverage) for coverage, label in worst[:3]))


def _distance_by_label(pair: SamplePair) -> Score:
    """Average the exact distance in the first 30 components over labels."""
    real, generated = (
        LabelledCells(cells.values[:, :30], cells.labels)
        for cells in (labelled_cells(pair.real), labelled_cells(pair.generated))
    )
    return Score(_distances.wasserstein_by_label(real, generated, max_cells=1000, seed=pair.seed).mean)


_distribution = partial(Metric, group="distribution", space="pcs", by_label=True)
_share = partial(_distribution, better="higher", target=1.0, range=_UNIT, cost="cheap")
_distance = partial(_distribution, better="lower", target=0.0, range=(0.0, inf), cost="cheap")

DISTRIBUTION: tuple[Metric, ...] = (
    _distance(
        name="wasserstein2",
        title="exact Wasserstein-2 distance",
        source="Peyre and Cuturi 2019, arXiv:1803.00567, eq. 2.11 and 2.14",
        suite="quick",
        compute=partial(_transport, 2),
    ),
    _distance(
        name="wasserstein1",
        title="exact Wasserstein-1 distance",
        source="Peyre and Cuturi 2019, arXiv:1803.00567, eq. 2.11 and 2.14",
        compute=partial(_transport, 1),
    ),
    _distance(
        name="wasserstein2_by_label",
        title="exact Wasserstein-2 distance, mean over labels",
        source="CFGen protocol, centred: Palma et al. 2025, arXiv:2407.11734",
        needs=_LABELS,
        by_label=False,
        compute=_distance_by_label,
    ),
    _distance(
        name="energy",
        title="energy distance",
        source="Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018, eq. 1.1",
        suite="quick",
        range=(-inf, inf),
        compute=partial(_pcs, _distances.energy_distance),
    ),
    _distance(
        name="mmd",
        title="maximum mean discrepancy, unbiased, median heuristic",
        source="Gretton et al. 2012, jmlr.org/papers/v13/gretton12a.html, eq. 3",
        suite="quick",
        range=(-inf, inf),
        compute=partial(_pcs, _distances.mmd),
    ),
    _distance(
        name="frechet",
        title="Frechet distance of means and covariances",
        source="Heusel et al. 2017, arXiv:1706.08500, eq. 6",
        suite="quick",
        compute=lambda pair: Score(_distances.frechet_distance(pair.real.pcs, pair.generated.pcs)),
    ),
    _share(
        name="precision",
        title="generated cells within the real manifold (precision)",
        source=_KYNKAANNIEMI,
        suite="quick",
        compute=partial(_prdc, "precision"),
    ),
    _share(
        name="recall",
        title="real cells within the generated manifold (recall)",
        source=_KYNKAANNIEMI,
        suite="quick",
        compute=partial(_prdc, "recall"),
    ),
    _distribution(
        name="density",
        title="real neighbourhoods around a generated cell",
        source=_NAEEM,
        better="nearest",
        target=1.0,
        range=(0.0, inf),
        cost="cheap",
        suite="quick",
        compute=partial(_prdc, "density"),
    ),
    _share(
        name="coverage",
        title="real neighbourhoods that hold a generated cell",
        source=_NAEEM,
        suite="quick",
        compute=partial(_prdc, "coverage"),
    ),
    _share(
        name="worst_label_coverage",
        title="coverage of the worst covered label",
        source=_NAEEM,
        suite="quick",
        needs=_LABELS,
        by_label=False,
        compute=_worst_coverage,
    ),
    _distribution(
        name="one_nn_accuracy",
        title="accuracy of the nearest neighbour as two-sample test",
        source="Lopez-Paz and Oquab 2017, arXiv:1610.06545, section 3",
        better="nearest",
        target=0.5,
        range=_UNIT,
        cost="cheap",
        suite="quick",
        compute=partial(_pcs, _neighbours.one_nn_accuracy),
    ),
    _share(
        name="lisi",
        title="mixing of real and generated cells",
        source="Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0, methods",
        suite="quick",
        by_label=False,
        compute=mixing,
    ),
)
