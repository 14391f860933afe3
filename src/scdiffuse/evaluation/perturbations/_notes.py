"""Notes on what was read and what was scored, for the reader of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import anndata as ad
import numpy as np

from scdiffuse.evaluation.perturbations._conditions import Condition, ConditionCells, Keys, Predicted
from scdiffuse.evaluation.perturbations._rows import BASELINES
from scdiffuse.evaluation.perturbations._scoring import FEWEST_CELLS, ConditionScores

__all__ = ["notes_on_labels", "notes_on_scale", "notes_on_scores"]

_FARTHEST = 2.0  # times as much expression as real cells, or as little
_HIGHEST = 50.0  # log expression whose exponential is still a number


def notes_on_labels(tables: Mapping[str, ad.AnnData], keys: Keys) -> Iterator[str]:
    """Say how many cells have no label, which are left out."""
    for role, table in tables.items():
        for key in (keys.cell_type, keys.perturbation):
            n = int(table.obs[key].isna().sum()) if key in table.obs else 0
            if n:
                yield f"{n:,} cells of `{role}` have no {key!r} and are left out."


def notes_on_scale(answer: Predicted, real: ConditionCells, held_out: Sequence[Condition]) -> Iterator[str]:
    """Name predictions in log expression whose sum over genes is not that of log expression of the real cells."""
    far = []
    for one in held_out:
        mean = answer.mean(one) if isinstance(answer, ConditionCells) else answer[one]
        made, wanted = (float(np.expm1(np.minimum(values, _HIGHEST)).sum()) for values in (mean, real.mean(one)))
        if not wanted / _FARTHEST <= made <= wanted * _FARTHEST:
            far.append(f"{one} ({made / max(wanted, 1):.2g} times)")
    if far:
        yield (
            f"Predicted expression adds up to another amount than that of real cells: {', '.join(far)}. It is compared "
            "as log1p of counts per 10,000 of the genes that all samples share; check that it was made so."
        )


def notes_on_scores(scored: Sequence[ConditionScores]) -> list[str]:
    """Say what could not be computed, and what stands on few cells."""
    notes = []
    lacking: dict[tuple[str, str], list[str]] = {}
    for name in BASELINES:
        reasons = {str(one.condition): one.reasons[name] for one in scored if name in one.reasons}
        if reasons:
            where = "" if len(reasons) == len(scored) else f" of {', '.join(reasons)}"
            lacking.setdefault((where, next(iter(reasons.values()))), []).append(name)
    notes += [f"Not computed{where}: {', '.join(names)}. {reason}" for (where, reason), names in lacking.items()]
    few = [f"{one.condition} ({one.n_predicted})" for one in scored if (one.n_predicted or FEWEST_CELLS) < FEWEST_CELLS]
    if few:
        notes.append(f"So few cells were predicted that they are noisy themselves: {', '.join(few)}.")
    alone = [str(one.condition) for one in scored if not one.n_others]
    if alone:
        notes.append(
            "Gene weights, weighted R2 and the interpolated duplicate stand against control cells where a type has no "
            f"other perturbation: {', '.join(alone)}."
        )
    return notes
