"""scGen (Lotfollahi et al. 2019) as its tutorial trains it on interferon; runs in an environment of its own."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import scgen as scgen_package
import scvi

from benchmarks.predictors import Prediction, log_expression

if TYPE_CHECKING:
    from anndata import AnnData

    from benchmarks.predictors import Question

TRAINING: dict[str, Any] = {
    "max_epochs": 100,
    "batch_size": 32,
    "early_stopping": True,
    "early_stopping_patience": 25,
}
"""Those of the package's tutorial on predicted perturbations; the network has the package's defaults."""


def predict(training: AnnData, control: AnnData, *, question: Question, seed: int) -> Prediction:
    """Shift control cells by the mean difference in latent space, with equally many cells of each type."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    scvi.settings.seed = seed
    cells = log_expression(training)
    scgen_package.SCGEN.setup_anndata(cells, batch_key=question.key, labels_key=question.context_key)
    model = scgen_package.SCGEN(cells)
    model.train(**TRAINING, use_gpu=False, enable_progress_bar=False, simple_progress_bar=False, logger=False)
    shifted, _ = model.predict(
        ctrl_key=question.control, stim_key=question.level, adata_to_predict=log_expression(control)
    )
    return Prediction(shifted.X, TRAINING | {"n_epochs": int(model.trainer.current_epoch)})
