"""The figure of a fit: the losses along each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffuse._core.errors import NotFittedError
from scdiffuse._core.text import figure_label
from scdiffuse.generator._base import GeneratorBase

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_history"]

_TRAINING, _VALIDATION = "#0072B2", "#D55E00"


def plot_history(model: GeneratorBase) -> Figure:
    """Draw the losses along the fit, a panel for each stage.

    The loss of held-out cells stops falling where the stage has learnt what it can; the weights kept are those of its
    lowest point, which is marked.

    Parameters
    ----------
    model
        A fitted `CellGenerator`.

    Returns
    -------
    The figure; ``figure.savefig("history.png")`` keeps it.

    Raises
    ------
    NotFittedError
        The model has no losses yet.
    """
    from matplotlib.figure import Figure

    table = model.history_frame
    if table.empty:
        msg = "`plot_history` needs a fitted model, and this one has no losses yet. Call `fit()` first."
        raise NotFittedError(msg)
    stages = list(table["stage"].unique())
    figure = Figure(figsize=(4.4 * len(stages), 3.4), layout="constrained")
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    for axes, stage in zip(panels, stages, strict=True):
        own = table[table["stage"] == stage]
        best = own.loc[own["validation_loss"].idxmin()]
        axes.plot(own["step"], own["training_loss"], color=_TRAINING, marker=".", label="training cells")
        axes.plot(own["step"], own["validation_loss"], color=_VALIDATION, marker=".", ls="--", label="held-out cells")
        axes.plot(best["step"], best["validation_loss"], color=_VALIDATION, marker="o", markersize=9, mfc="none")
        axes.set(xlabel="training step", ylabel="loss (lower is better)", title=figure_label(stage))
    panels[0].legend(frameon=False)
    return figure
