"""Figure of the demo: real and generated cells side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["draw"]


def draw(real: ad.AnnData, generated: ad.AnnData, path: Path) -> None:
    """Draw real and generated cells in one PCA, and the statistics of their genes against each other.

    Parameters
    ----------
    real, generated
        Counts. The real cells have all genes of the generated cells; ``obs['cell_type']`` gives the colours.
    path
        The ``.png`` file to write.
    """
    import numpy as np
    from matplotlib.figure import Figure

    real = real[:, generated.var_names]
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    axes = figure.subplots(1, 4)
    scores = _pca(_log_normalised(real), _log_normalised(generated))
    names = sorted(set(real.obs["cell_type"].astype(str)))
    for ax, adata, points, title in zip(axes, (real, generated), scores, ("real, held out", "generated"), strict=False):
        types = adata.obs["cell_type"].astype(str).to_numpy()
        for index, name in enumerate(names):
            ax.scatter(*points[types == name].T, s=5, color=f"C{index}", label=name, linewidths=0)
        ax.set(title=f"{title} ({adata.n_obs})", xticks=[], yticks=[])
    axes[1].sharex(axes[0])
    axes[1].sharey(axes[0])
    both = [np.asarray(adata.X.todense(), dtype=np.float64) for adata in (real, generated)]
    _against(axes[2], [counts.mean(axis=0) for counts in both], "mean count of each gene")
    _against(axes[3], [(counts == 0).mean(axis=0) for counts in both], "fraction of zeros of each gene")
    axes[2].set(xscale="log", yscale="log")
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, markerscale=3
    )
    figure.savefig(path, dpi=110)


def _against(ax: Axes, pair: list[NDArray[np.float64]], title: str) -> None:
    """Draw one statistic of the genes in generated cells against the same statistic in real cells."""
    ax.scatter(pair[0], pair[1], s=5, color="0.3", linewidths=0)
    low, high = min(value[value > 0].min() for value in pair), max(value.max() for value in pair)
    ax.plot([low, high], [low, high], color="C3", linewidth=1)
    ax.set(title=title, xlabel="real", ylabel="generated")


def _log_normalised(adata: ad.AnnData) -> NDArray[np.float64]:
    import numpy as np

    counts = np.asarray(adata.X.todense(), dtype=np.float64)
    library_size: NDArray[np.float64] = counts.sum(axis=1, keepdims=True).clip(1)
    normalised: NDArray[np.float64] = np.log1p(counts / library_size * 1e4)
    return normalised


def _pca(real: NDArray[np.float64], generated: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project both on the first two principal components of the real cells."""
    import numpy as np

    mean = real.mean(axis=0)
    axes = np.linalg.svd(real - mean, full_matrices=False)[2][:2]
    return (real - mean) @ axes.T, (generated - mean) @ axes.T
