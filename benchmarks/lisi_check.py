"""Hold `scdiffusion.metrics.lisi` against scib-metrics, on the cells of its test and on real ones.

Run ``python -m benchmarks.lisi_check`` with ``PYTHONPATH=src`` in an environment of its own, where
``pip install scib-metrics==0.5.10`` was run beside this package. The first number it writes is the one in
``tests/metrics/test_neighbours.py::test_lisi_agrees_with_scib_metrics``.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np

LISI_FILE = "lisi.json"
N_NEIGHBOURS, PERPLEXITY, TOLERANCE = 90, 30, 1e-6
_RESULTS = Path(__file__).resolve().parent / "results"


def make_cells() -> tuple[np.ndarray, np.ndarray]:
    """Draw the cells of the test: two clouds of 200 cells, a part of their width apart."""
    stream = np.random.default_rng(7)
    return stream.normal(size=(200, 4)), stream.normal(size=(200, 4)) + 0.7


def real_cells() -> tuple[np.ndarray, np.ndarray]:
    """Deal the 700 cells of scanpy's wheel, in principal components, out to two sides, one of them shifted a little."""
    import scanpy

    components = scanpy.datasets.pbmc68k_reduced().obsm["X_pca"]
    return components[::2], components[1::2] + components.std() / 2


def theirs(x: np.ndarray, y: np.ndarray) -> float:
    """Average the index of scib-metrics over all cells, less 1."""
    from sklearn.neighbors import NearestNeighbors

    # By name, as scib-metrics stands in no environment in which types are checked.
    scib_metrics = import_module("scib_metrics")
    results = import_module("scib_metrics.nearest_neighbors").NeighborsResults
    search = NearestNeighbors(n_neighbors=N_NEIGHBOURS, algorithm="brute").fit(np.concatenate([x, y]))
    distances, indices = search.kneighbors()  # without the cell itself
    found = results(indices=indices, distances=distances)
    return float(np.asarray(scib_metrics.lisi_knn(found, np.repeat([0, 1], [len(x), len(y)]), PERPLEXITY)).mean() - 1)


def section(results: Path) -> str:
    """Write the section of the results page; nothing before the first check."""
    path = results / LISI_FILE
    if not path.exists():
        return ""
    record = json.loads(path.read_text(encoding="utf-8"))
    lines = ["| cells | scib-metrics | scdiffusion | difference |", "|" + " --- |" * 4]
    lines += [
        f"| {one['cells']} | {one['theirs']:.7f} | {one['ours']:.7f} | {abs(one['theirs'] - one['ours']):.0e} |"
        for one in record["cases"]
    ]
    return (
        "## Mixing as another package measures it\n\n"
        f"`python -m benchmarks.lisi_check`: mean LISI less 1 by scib-metrics {record['scib_metrics']} (JAX "
        f"{record['jax']}, single precision) and by `scdiffusion.metrics.lisi`, on the same cells.\n\n"
        + "\n".join(lines)
    )


def main() -> int:
    """Write and record both numbers of every case; 1 where they differ."""
    from scdiffusion.metrics import lisi

    cases: list[dict[str, Any]] = []
    for name, cells in (("two clouds", make_cells()), ("pbmc68k, components", real_cells())):
        cases.append({"cells": name, "theirs": theirs(*cells), "ours": lisi(*cells, perplexity=PERPLEXITY)})
        sys.stdout.write("{cells}: scib-metrics {theirs:.7f}, scdiffusion {ours:.7f}\n".format(**cases[-1]))
    record = {"scib_metrics": metadata.version("scib-metrics"), "jax": metadata.version("jax"), "cases": cases}
    (_RESULTS / LISI_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return int(any(abs(one["theirs"] - one["ours"]) > TOLERANCE for one in cases))


if __name__ == "__main__":
    sys.exit(main())
