"""The figure of the README: ``python -m benchmarks.figures.overview --data FOLDER``.

Three panels. A: held-out and generated cells of `pbmc3k`, equal numbers, on one UMAP. B: AUC of a classifier two-sample
test for six generators on the data sets that each was run on, from the records of the study `comparison`. C: predicted
against true log fold changes of a cell type of `kang_ifnb` whose stimulated cells no fit saw. A and C need one fit
each; what they show is kept in `overview.npz`, so that ``--draw`` needs neither data nor fits.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data import DATA_SETS, DATA_VARIABLE, PARTS, file_of, prepare
from benchmarks.records import Store
from benchmarks.studies import comparison

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PICTURE = ROOT / "docs/images/overview.png"
NUMBERS = HERE / "overview.npz"
RESULTS = HERE.parent / "results"
TOOLS = {
    "ours": "scdiffuse",
    "pca-mixture": "PCA + mixture",
    "scdesigner": "scDesign3 (Python)",
    "scvi-posterior": "scVI, posterior",
    "scvi-nb": "scVI, NB, 30 latents",
    "original": "scDiffusion recipe",
}
HELD_OUT = {"condition": "stimulated", "cell_type": "B"}
BASE = "control"
REAL, GENERATED, QUIET = "#3b6ea5", "#e07b39", "0.65"
N_TOP, N_NAMED = 200, 3
Array = Any


def measure(data: Path, work: Path) -> dict[str, Array]:
    """Fit both models, and return the numbers behind panels A and C."""
    return _umap(data, work) | _fold_changes(data)


def _umap(data: Path, work: Path) -> dict[str, Array]:
    import anndata as ad
    import umap

    import scdiffuse as scd
    from benchmarks.spaces import Components, log_normalise

    split = prepare(DATA_SETS["pbmc3k"], folder=data, work=work, max_cells=None)
    fit, reference, held_out = (ad.read_h5ad(split / f"{part}.h5ad") for part in PARTS)
    model = scd.CellGenerator(fit, conditions=["cell_type"]).fit(seed=0, progress=False)
    made: Any = model.generate(where=held_out.obs[["cell_type"]].reset_index(drop=True), seed=0, progress=False)
    genes = model.genes
    project = Components.of(log_normalise(reference, genes), seed=0)
    points = np.vstack([project(log_normalise(cells, genes)) for cells in (held_out, made)])
    positions = umap.UMAP(n_neighbors=20, min_dist=0.4, random_state=0).fit_transform(points)
    return {
        "positions": positions.astype(np.float32),
        "is_generated": np.repeat([False, True], [held_out.n_obs, made.n_obs]),
        "cell_type": np.concatenate([cells.obs["cell_type"].to_numpy(dtype=str) for cells in (held_out, made)]),
        "n_fit": np.array(fit.n_obs),
    }


def _fold_changes(data: Path) -> dict[str, Array]:
    import anndata as ad

    import scdiffuse as scd
    from benchmarks.spaces import log_fold_change, log_normalise

    adata = ad.read_h5ad(file_of("kang_ifnb", data))
    of_type = (adata.obs["cell_type"] == HELD_OUT["cell_type"]).to_numpy()
    stimulated = (adata.obs["condition"] == HELD_OUT["condition"]).to_numpy()
    training = adata[~(of_type & stimulated)].copy()
    model = scd.CellGenerator(training, conditions=["condition", "cell_type"]).fit(seed=0, progress=False)
    control, truth = adata[of_type & ~stimulated].copy(), adata[of_type & stimulated]
    predicted = model.predict(control, to={"condition": HELD_OUT["condition"]}, seed=0, progress=False)
    base, true, made = (log_normalise(cells, model.genes) for cells in (control, truth, predicted))
    return {
        "true_change": log_fold_change(true, base).astype(np.float32),
        "predicted_change": log_fold_change(made, base).astype(np.float32),
        "genes": np.array(model.genes, dtype=str),
        "n_true": np.array(truth.n_obs),
        "n_control": np.array(control.n_obs),
        "n_fit_perturbation": np.array(training.n_obs),
    }


def draw(numbers: dict[str, Array], path: Path) -> None:
    """Draw the three panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.6, 4.1))
    figure.set_layout_engine("constrained", wspace=0.06)
    first, second, third = figure.subplots(1, 3, width_ratios=[1.05, 1, 1])
    _draw_umap(first, numbers)
    _draw_auc(second)
    _draw_changes(third, numbers)
    for letter, ax in zip("ABC", (first, second, third), strict=True):
        ax.set_title(f"{letter}  {ax.get_title()}", loc="left", fontsize=11, fontweight="bold")
        ax.set_title("")
        ax.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _draw_umap(ax: Axes, numbers: dict[str, Array]) -> None:
    made = numbers["is_generated"]
    order = np.random.default_rng(0).permutation(len(made))
    colours = np.where(made, GENERATED, REAL)[order]
    across, up = numbers["positions"][order].T
    ax.scatter(across, up, s=7, c=colours, linewidths=0, alpha=0.75)
    for label in np.unique(numbers["cell_type"]):
        rows = numbers["positions"][(numbers["cell_type"] == label) & ~made]
        if label != "unlabelled" and len(rows) > 20:
            x, y = np.median(rows, axis=0)
            ax.text(x, y, label, fontsize=7.5, ha="center", bbox=_BOX)
    for colour, name, n in ((REAL, "real, held out", (~made).sum()), (GENERATED, "generated", made.sum())):
        ax.scatter([], [], c=colour, s=25, label=f"{name} ({n} cells)")
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(-0.02, 1.02), handletextpad=0.1)
    ax.margins(y=0.14)
    ax.set(title="Real and generated blood cells", xlabel="UMAP 1", ylabel="UMAP 2", xticks=[], yticks=[])


_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "edgecolor": "none"}


def auc_of_tools() -> pd.DataFrame:
    """Read the AUC of each tool on each data set, mean over seeds; missing where it was not run.

    Returns
    -------
    A row for each data set, and a column for each tool, ``"reference"`` (real against real cells) and ``"n_cells"``,
    the cells a side.
    """
    table = comparison.table_of(Store(RESULTS, comparison.name, comparison.unit).read())
    rows = table[(table["metric"] == comparison.MAIN) & table["generator"].isin(list(TOOLS))]
    values = rows.groupby(["data_set", "generator"])["value"].mean().unstack()[list(TOOLS)]
    shared = rows.groupby("data_set")[["reference", "n_held_out"]].mean()
    return values.join(shared.rename(columns={"n_held_out": "n_cells"}))


def _draw_auc(ax: Axes) -> None:
    values = auc_of_tools()
    means = values.mean()
    tools = sorted(TOOLS, key=lambda tool: float(means[tool]), reverse=True)
    for at, tool in enumerate(tools):
        colour = GENERATED if tool == "ours" else QUIET
        ax.scatter(values[tool], np.full(len(values), at), s=14, color=colour, alpha=0.7, linewidths=0)
        ax.plot([means[tool]] * 2, [at - 0.3, at + 0.3], color=colour, linewidth=3)
        ax.text(means[tool], at + 0.34, f"{means[tool]:.2f}", ha="center", fontsize=9)
    reference = float(means["reference"])
    ax.axvline(reference, color=REAL, linestyle="--", linewidth=1.5)
    ax.text(reference + 0.008, -0.78, "real vs real", color=REAL, fontsize=8.5, va="center")
    ax.set(
        title=f"Two-sample tests, {len(values)} data sets",
        xlim=(0.4, 1.04),
        ylim=(-1.05, len(tools) - 0.3),
        yticks=range(len(tools)),
        yticklabels=[TOOLS[tool] for tool in tools],
    )
    n_cells = values["n_cells"]
    ax.set_xlabel(
        f"AUC of a random forest on genes, {n_cells.min():,.0f} to {n_cells.max():,.0f} cells a side\n"
        "(0.5: indistinguishable with so many cells; bars: means)"
    )


def _draw_changes(ax: Axes, numbers: dict[str, Array]) -> None:
    true, made, genes = numbers["true_change"], numbers["predicted_change"], numbers["genes"]
    top = np.argsort(-np.abs(true), kind="stable")[:N_TOP]
    ends = np.array([min(true.min(), made.min()), max(true.max(), made.max())])
    ax.plot(ends, ends, color="0.6", linewidth=1, linestyle="--")
    ax.scatter(true, made, s=5, color="0.8", linewidths=0, label=f"all {len(true):,} genes")
    r = float(np.corrcoef(true[top], made[top])[0, 1])
    ax.scatter(
        true[top], made[top], s=9, color=GENERATED, linewidths=0, label=f"the {N_TOP} that change most, r = {r:.2f}"
    )
    shown = sorted(top[:N_NAMED], key=made.__getitem__)
    for at, height in zip(shown, np.linspace(0.66, 0.78, len(shown)), strict=True):
        ax.annotate(
            genes[at],
            (true[at], made[at]),
            xytext=(0.58, height),
            textcoords="axes fraction",
            ha="right",
            va="center",
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6},
        )
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(-0.02, 1.02), handletextpad=0.1)
    ax.margins(y=0.14)
    ax.set(
        title=f"Stimulated {HELD_OUT['cell_type']} cells, never seen",
        xlabel=f"true log2 fold change (IFN-beta, {numbers['n_true']} real cells)",
        ylabel=f"predicted from {numbers['n_control']} control cells",
    )


def main() -> None:
    """Measure unless told to draw only, then draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get(DATA_VARIABLE), help=f"else ${DATA_VARIABLE}")
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"), help="folder for splits")
    parser.add_argument("--draw", action="store_true", help="draw the numbers of `overview.npz` again")
    options = parser.parse_args()
    if not options.draw:
        if options.data is None:
            parser.error(f"pass `--data FOLDER` or set `{DATA_VARIABLE}`")
        np.savez_compressed(NUMBERS, **measure(Path(options.data), options.work))
    with np.load(NUMBERS) as stored:
        draw(dict(stored), PICTURE)


if __name__ == "__main__":
    main()
