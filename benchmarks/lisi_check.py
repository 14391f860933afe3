"""Hold `scdiffusion.metrics.lisi` against scib-metrics, on the cells of its test.

Run ``python -m benchmarks.lisi_check`` with ``PYTHONPATH=src`` in an environment of its own, where
``pip install scib-metrics==0.5.10`` was run beside this package. The number it writes is the one in
``tests/metrics/test_neighbours.py::test_lisi_agrees_with_scib_metrics``.
"""

from __future__ import annotations

import sys

import numpy as np

N_NEIGHBOURS, PERPLEXITY, TOLERANCE = 90, 30, 1e-6


def make_cells() -> tuple[np.ndarray, np.ndarray]:
    """Draw the cells of the test: two clouds of 200 cells, a part of their width apart."""
    stream = np.random.default_rng(7)
    return stream.normal(size=(200, 4)), stream.normal(size=(200, 4)) + 0.7


def theirs(x: np.ndarray, y: np.ndarray) -> float:
    """Average the index of scib-metrics over all cells, less 1."""
    import scib_metrics
    from scib_metrics.nearest_neighbors import NeighborsResults
    from sklearn.neighbors import NearestNeighbors

    pooled = np.concatenate([x, y])
    search = NearestNeighbors(n_neighbors=N_NEIGHBOURS, algorithm="brute").fit(pooled)
    distances, indices = search.kneighbors(pooled)
    found = NeighborsResults(indices=indices, distances=distances)
    return float(np.asarray(scib_metrics.lisi_knn(found, np.repeat([0, 1], [len(x), len(y)]), PERPLEXITY)).mean() - 1)


def main() -> int:
    """Write both numbers; 1 where they differ."""
    from scdiffusion.metrics import lisi

    cells = make_cells()
    expected, ours = theirs(*cells), lisi(*cells, perplexity=PERPLEXITY)
    sys.stdout.write(f"scib-metrics {expected:.7f}, scdiffusion {ours:.7f}\n")
    return int(abs(expected - ours) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
