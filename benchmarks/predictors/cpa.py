"""CPA (Lotfollahi et al. 2023) as its tutorial trains it on interferon; runs in an environment of its own."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import anndata
import cpa as cpa_package
import numpy as np
from scipy import sparse

from benchmarks.generators.shared import log_normalise
from benchmarks.predictors import Prediction

if TYPE_CHECKING:
    from benchmarks.predictors import Question

NETWORK: dict[str, Any] = {
    "n_latent": 64,
    "recon_loss": "nb",
    "doser_type": "linear",
    "n_hidden_encoder": 128,
    "n_layers_encoder": 2,
    "n_hidden_decoder": 512,
    "n_layers_decoder": 2,
    "use_batch_norm_encoder": True,
    "use_layer_norm_encoder": False,
    "use_batch_norm_decoder": False,
    "use_layer_norm_decoder": True,
    "dropout_rate_encoder": 0.0,
    "dropout_rate_decoder": 0.1,
    "variational": False,
}
PLAN: dict[str, Any] = {
    "n_epochs_kl_warmup": None,
    "n_epochs_pretrain_ae": 30,
    "n_epochs_adv_warmup": 50,
    "n_epochs_mixup_warmup": 0,
    "mixup_alpha": 0.0,
    "adv_steps": None,
    "n_hidden_adv": 64,
    "n_layers_adv": 3,
    "use_batch_norm_adv": True,
    "use_layer_norm_adv": False,
    "dropout_rate_adv": 0.3,
    "reg_adv": 20.0,
    "pen_adv": 5.0,
    "lr": 0.0003,
    "wd": 4e-07,
    "adv_lr": 0.0003,
    "adv_wd": 4e-07,
    "adv_loss": "cce",
    "doser_lr": 0.0003,
    "doser_wd": 4e-07,
    "do_clip_grad": True,
    "gradient_clip_value": 1.0,
    "step_size_lr": 10,
}
TRAINING: dict[str, Any] = {
    "max_epochs": 2000,
    "batch_size": 512,
    "early_stopping_patience": 10,
    "check_val_every_n_epoch": 5,
}
"""With the two above, the settings of the package's tutorial on interferon."""

VALIDATION = 0.1
"""Share of the training cells that early stopping looks at, the package's default."""


def predict(training: anndata.AnnData, control: anndata.AnnData, *, question: Question, seed: int) -> Prediction:
    """Decode control cells with the other perturbation, as expected counts at their own library size."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    # The package knows categories that it has seen: the question is among them, asked of control cells.
    asked = control.copy()
    asked.obs[question.key] = question.level
    cells = anndata.concat({"train": training, "ood": asked}, label="split", index_unique="-")
    rows = np.flatnonzero(cells.obs["split"] == "train")
    chosen = np.random.default_rng(seed).choice(rows, round(VALIDATION * len(rows)), replace=False)
    cells.obs["split"] = cells.obs["split"].astype(str)
    cells.obs.iloc[chosen, cells.obs.columns.get_loc("split")] = "valid"
    cells.obs[question.key] = cells.obs[question.key].astype(str)
    cells.obs[question.context_key] = cells.obs[question.context_key].astype(str)
    cells.obs["dose"] = "1.0"
    # Without structures of molecules, whose table the package would look for.
    cpa_package.CPA.pert_smiles_map = {}
    cpa_package.CPA.setup_anndata(
        cells,
        perturbation_key=question.key,
        control_group=question.control,
        dosage_key="dose",
        categorical_covariate_keys=[question.context_key],
        is_count_data=True,
        max_comb_len=1,
    )
    model = cpa_package.CPA(
        cells, split_key="split", train_split="train", valid_split="valid", test_split="ood", seed=seed, **NETWORK
    )
    model.train(**TRAINING, plan_kwargs=PLAN, use_gpu=False, save_path=False, enable_progress_bar=False, logger=False)
    model.predict(cells, batch_size=2048)
    counts = sparse.csr_matrix(cells.obsm["CPA_pred"][(cells.obs["split"] == "ood").to_numpy()])
    n_epochs = int(model.trainer.current_epoch)
    return Prediction(log_normalise(counts).toarray(), NETWORK | PLAN | TRAINING | {"n_epochs": n_epochs})
