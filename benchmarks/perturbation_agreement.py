"""Measures of predicted perturbations on the same arrays as cell-eval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import cell_eval

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = Any
_N_GENES, _N_CELLS, _N_PERTURBATIONS = 300, 60, 6
_EXACT = 1e-9


def compare() -> list[dict[str, Any]]:
    """Find the largest difference of each measure over the perturbations of two sets."""
    rows = []
    for case, (real, predicted) in {"simulated": simulated(), "pbmc68k": bundled()}.items():
        theirs, ours = cell_eval.ask(real, predicted), measure(real, predicted)
        about = {"cells": case, "cell_eval": theirs["cell_eval"], "pdex": theirs["pdex"]}
        for name, values in ours["scores"].items():
            pairs = [(theirs["scores"][one][name], value) for one, value in values.items()]
            rows.append(about | {"measure": name, "n": len(pairs), **_worst(pairs)})
        for at, name in enumerate(("p", "fdr", "log2_fold_change")):
            pairs = [(theirs["p"][gene][at], values[at]) for gene, values in ours["p"].items()]
            rows.append(about | {"measure": name, "n": len(pairs), **_worst(pairs)})
    return rows


def _worst(pairs: list[tuple[float | None, float]]) -> dict[str, float]:
    """Take the pair that differs most."""
    theirs, ours = max(((math.nan if one is None else one, other) for one, other in pairs), key=_apart)
    return {"theirs": theirs, "ours": ours}


def _apart(pair: tuple[float, float]) -> float:
    """Return the distance of two numbers; what neither side defines agrees."""
    one, other = pair
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    return math.inf if math.isnan(one) or math.isnan(other) else abs(one - other)


def simulated() -> tuple[Any, Any]:
    """Draw perturbations of some genes, and cells of a predictor that is wrong in part."""
    draw = np.random.default_rng(0)
    base = draw.gamma(0.6, 2.0, _N_GENES) + 0.02
    effects: dict[str, Array] = {
        f"g{20 * at}": draw.permutation(np.r_[np.full(25, 1.2), np.zeros(_N_GENES - 25)])
        for at in range(_N_PERTURBATIONS)
    }
    made = {name: 0.7 * effect + draw.normal(0, 0.15, _N_GENES) for name, effect in effects.items()}
    real, predicted = (
        {cell_eval.CONTROL: base} | {name: base * np.exp(effect) for name, effect in held.items()}
        for held in (effects, made)
    )
    return _cells(real, seed=1), _cells(predicted, seed=2)


def _cells(means: dict[str, Array], *, seed: int) -> Any:  # noqa: ANN401 - AnnData
    draw = np.random.default_rng(seed)
    counts = np.vstack([draw.poisson(mean * draw.gamma(6, 1 / 6, (_N_CELLS, 1))) for mean in means.values()])
    return _logs(counts, np.repeat(list(means), _N_CELLS), [f"g{at}" for at in range(_N_GENES)])


def bundled() -> tuple[Any, Any]:
    """Take every second cell of the bundled data for real and the others for predicted; B cells are the control."""
    import scdiffuse

    adata = scdiffuse.datasets.pbmc68k()
    sizes = adata.obs["cell_type"].value_counts()
    adata = adata[adata.obs["cell_type"].isin(sizes.index[sizes >= 60]).to_numpy()]
    labels = adata.obs["cell_type"].astype(str).to_numpy()
    labels[labels == "CD19+ B"] = cell_eval.CONTROL
    real, predicted = (_logs(adata.X[start::2].toarray(), labels[start::2], adata.var_names) for start in (0, 1))
    return real, predicted


def _logs(counts: Array, labels: Array, genes: Any) -> Any:  # noqa: ANN401 - AnnData
    import anndata
    import pandas as pd

    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1).astype(np.float64)
    obs = pd.DataFrame({cell_eval.KEY: labels}, index=[f"c{at}" for at in range(len(labels))])
    return anndata.AnnData(np.log1p(1e4 * counts / totals), obs=obs, var=pd.DataFrame(index=list(genes)))


def measure(real: Any, predicted: Any) -> dict[str, Any]:  # noqa: ANN401 - two AnnData
    """Compute the same with `scdiffuse.metrics`."""
    from scdiffuse import metrics

    names = sorted(set(real.obs[cell_eval.KEY]) - {cell_eval.CONTROL})
    sides = [
        {one: side.X[(side.obs[cell_eval.KEY] == one).to_numpy()] for one in [cell_eval.CONTROL, *names]}
        for side in (real, predicted)
    ]
    means = [{one: cells.mean(axis=0) for one, cells in side.items()} for side in sides]
    effects = [{one: mean[one] - mean[cell_eval.CONTROL] for one in names} for mean in means]
    all_effects = np.stack([effects[0][one] for one in names])
    tests = [{one: metrics.rank_sum_tests(side[one], side[cell_eval.CONTROL]) for one in names} for side in sides]
    found: dict[str, dict[str, float]] = {}
    for at, one in enumerate(names):
        (control, own), (true, made) = (mean[cell_eval.CONTROL] for mean in means), (mean[one] for mean in means)
        asked, answered = (side[one] for side in tests)
        values = {
            "pearson_delta": metrics.pearson_delta(made, true, control=control, predicted_control=own),
            "mse": metrics.mean_squared_error(made, true),
            "mae": metrics.mean_absolute_error(made, true),
            "mse_delta": metrics.mean_squared_error(effects[1][one], effects[0][one]),
            "mae_delta": metrics.mean_absolute_error(effects[1][one], effects[0][one]),
            "overlap_at_N": metrics.de_overlap(answered, asked),
            "precision_at_N": metrics.de_precision(answered, asked),
            "de_direction_match": metrics.direction_match(answered, asked),
            "de_spearman_lfc_sig": metrics.fold_change_spearman(answered, asked),
            "pr_auc": metrics.de_recovery(answered, asked, curve="pr"),
            "roc_auc": metrics.de_recovery(answered, asked, curve="roc"),
        }
        for n in (50, 100):
            values[f"overlap_at_{n}"] = metrics.de_overlap(answered, asked, n_genes=n)
            values[f"precision_at_{n}"] = metrics.de_precision(answered, asked, n_genes=n)
        for distance in ("l1", "l2", "cosine"):
            values[f"discrimination_score_{distance}"] = metrics.discrimination_score(
                effects[1][one], all_effects, own=at, metric=distance, genes=real.var_names.to_numpy() != one
            )
        for name, value in values.items():
            found.setdefault(name, {})[one] = value
    p = {
        f"{one}|{gene}": [
            float(held[at]) for held in (tests[0][one].p, tests[0][one].fdr, tests[0][one].log2_fold_change)
        ]
        for one in names
        for at, gene in enumerate(real.var_names)
    }
    return {"scores": found, "p": p}


def lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Write the largest difference of each measure, and where the definitions differ on purpose."""
    names = dict.fromkeys(row["measure"] for row in rows)
    worst = {
        name: max(_apart((row["theirs"], row["ours"])) for row in rows if row["measure"] == name) for name in names
    }
    exact = [name for name, size in worst.items() if size < _EXACT]
    single = [f"{name} {size:.0e}" for name, size in worst.items() if size >= _EXACT]
    about = rows[0]
    return [
        f"Measures of predicted perturbations by cell-eval {about['cell_eval']} (tests by pdex {about['pdex']}) and by "
        f"`scdiffuse.metrics`, on the same arrays. The same to {_EXACT:.0e}: {', '.join(exact)}. Largest differences "
        f"of what cell-eval keeps in single precision: {', '.join(single) or 'none'}.",
        "By definition different: a prediction without any change has Pearson 0, not NaN; overlap without a real DE "
        "gene is blank, not 0; of equal distances cell-eval takes the order of a sort, we the middle rank; its "
        "*E-distance* is a correlation over perturbations of distances from control cells, ours the distance from real "
        "perturbed cells; its ceiling is extrapolated to twice the cells (Spearman-Brown), ours is another half as it "
        "is.",
    ]
