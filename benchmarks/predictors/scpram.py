"""scPRAM (Jiang et al. 2024) as its package does by default; runs in an environment of its own."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from scpram import models

from benchmarks.predictors import Prediction, log_expression

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmarks.predictors import Question

N_EPOCHS = 100
"""Of the package and its tutorial; it has no early stopping."""

RATIO = 0.05
"""Share of the control cells of other types that are attended to, the package's default.

Its tutorial takes a tenth of that, of nine times as many cells, and says that the share depends on their number.
"""


def predict(training: AnnData, control: AnnData, *, question: Question, seed: int) -> Prediction:
    """Shift control cells by matched differences of the most similar cells in latent space."""
    warnings.filterwarnings("ignore")
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the package draws from it
    cells = log_expression(training)
    model = models.SCPRAM(input_dim=cells.n_vars, device="cpu")
    model.train_SCPRAM(cells, epochs=N_EPOCHS)
    keys = {
        "condition_key": question.key,
        "cell_type_key": question.context_key,
        "ctrl_key": question.control,
        "stim_key": question.level,
        "pred_key": "predicted",
    }
    shifted = model.predict(train_adata=cells, cell_to_pred=question.context, key_dic=keys, ratio=RATIO)
    # It predicts the control cells that it finds among the training cells.
    return Prediction(shifted[control.obs_names].X, {"n_epochs": N_EPOCHS, "ratio": RATIO})
