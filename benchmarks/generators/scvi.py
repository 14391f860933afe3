"""scVI of scvi-tools with its default settings; runs in the environment of the peers."""

from __future__ import annotations

import logging
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import scvi as scvi_tools
import torch
from lightning.pytorch.callbacks import Callback
from scipy import sparse

from benchmarks.generators.shared import joint_labels, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from lightning.pytorch import Trainer
    from numpy.typing import NDArray

_LABEL = "label"


class _Budget(Callback):
    """Stop training when the process has spent its CPU seconds."""

    def __init__(self, seconds: float) -> None:
        self._end = time.process_time() + seconds

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Look at the clock after each step."""
        if time.process_time() > self._end:
            trainer.should_stop = True


class _Best(Callback):
    """Remember when the validation bound was best, in CPU seconds since the beginning."""

    def __init__(self) -> None:
        self._start = time.process_time()
        self._lowest = math.inf
        self.seconds = 0.0

    def on_validation_epoch_end(self, trainer: Trainer, *_: object) -> None:
        """Compare the ELBO of this epoch with the best so far."""
        loss = float(trainer.callback_metrics.get("elbo_validation", math.inf))
        if loss < self._lowest:
            self._lowest, self.seconds = loss, time.process_time() - self._start


class _Scvi:
    """Fitting, shared by the two ways of drawing cells."""

    conditional: bool

    def __init__(self, *, seconds: float | None = None, **settings: Any) -> None:  # noqa: ANN401 - those of the package
        self._seconds, self._settings = seconds, settings
        self.notes: dict[str, float] = {}

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Train until the package's own number of epochs, early stopping, or the budget."""
        _be_quiet()
        scvi_tools.settings.seed = seed
        self._keys = list(condition_keys)
        labels = joint_labels(adata.obs, self._keys)
        self._training = anndata.AnnData(
            sparse.csr_matrix(adata.X, dtype=np.float32),
            obs=pd.DataFrame({_LABEL: pd.Categorical(labels)}, index=adata.obs_names),
            var=pd.DataFrame(index=adata.var_names),
        )
        scvi_tools.model.SCVI.setup_anndata(self._training, batch_key=_LABEL if self.conditional else None)
        self._model = scvi_tools.model.SCVI(self._training, **self._settings)
        best = _Best()
        limits: dict[str, Any] = {"callbacks": [best]}
        if self._seconds is not None:
            limits = {"max_epochs": 1_000_000, "callbacks": [best, _Budget(self._seconds)]}
        # A last batch of one cell breaks batch normalisation.
        batch_size = 127 if math.ceil(0.9 * len(labels)) % 128 == 1 else 128
        self._model.train(
            early_stopping=True,
            accelerator="cpu",
            batch_size=batch_size,
            enable_progress_bar=False,
            logger=False,
            **limits,
        )
        self.notes["cpu_seconds_to_best"] = best.seconds

    def _training_cells(self, obs: pd.DataFrame, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return a random training cell of the label of each row, shape ``(N,)``."""
        of_label = self._training.obs.groupby(_LABEL, observed=True).indices
        return np.array([rng.choice(of_label[label]) for label in joint_labels(obs, self._keys)])


class ScviPosterior(_Scvi):
    """Posterior predictive around training cells of the label."""

    conditional = False

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Encode a training cell, draw its latent, decode at its library size, draw counts."""
        scvi_tools.settings.seed = seed
        rows = self._training_cells(obs, np.random.default_rng(seed))
        drawn = self._model.posterior_predictive_sample(self._training, indices=rows, n_samples=1)
        # The package answers with the sparse format of the `sparse` library.
        return pack(sparse.csr_matrix(drawn.to_scipy_sparse()), obs, self._training)


class ScviPrior(_Scvi):
    """Latents from the prior, decoded for the label."""

    conditional = True

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Draw latents from N(0, I) and decode them at the library size of a training cell of the label."""
        scvi_tools.settings.seed = seed
        rows = self._training_cells(obs, np.random.default_rng(seed))
        module = self._model.module.eval()
        blocks = []
        with torch.inference_mode():
            for start in range(0, len(rows), 512):
                cells = self._training[rows[start : start + 512]]
                sizes = torch.tensor(np.asarray(cells.X.sum(axis=1)), dtype=torch.float32).reshape(-1, 1)
                codes = torch.tensor(cells.obs["_scvi_batch"].to_numpy(), dtype=torch.long).reshape(-1, 1)
                latents = torch.randn(cells.n_obs, module.n_latent)
                decoded = module.generative(z=latents, library=torch.log(sizes), batch_index=codes)
                blocks.append(sparse.csr_matrix(decoded["px"].sample().numpy()))
        return pack(sparse.vstack(blocks, format="csr"), obs, self._training)


def _be_quiet() -> None:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning)
