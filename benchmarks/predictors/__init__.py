"""Methods of others that predict how cells of one type answer a perturbation: the list of them, and how one is run.

Each trains with the settings of its own package and tutorial, in an environment of its own. Each is imported only in
the process that runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.cost import Meter, versions
from benchmarks.generators.shared import log_normalise
from benchmarks.worker import HERE

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class Question(NamedTuple):
    """A perturbation in a context that no training cell has."""

    key: str
    control: str
    level: str
    context_key: str
    context: str


class Prediction(NamedTuple):
    """An answer for each of the control cells, in their order."""

    log1p: NDArray[np.floating]
    """log1p of counts per 10,000, shape ``(N, G)``."""

    settings: dict[str, Any]
    """How the method was trained, and for how long."""


class Predict(Protocol):
    """What a module of this package offers."""

    def __call__(
        self, training: anndata.AnnData, control: anndata.AnnData, *, question: Question, seed: int
    ) -> Prediction:
        """Train on counts, and predict control cells of the context, which are among the training cells."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictor:
    """One method, and the environment it runs in."""

    name: str
    """Name on the command line, in the tables, and of its files."""

    module: str
    """Module of this package with a function ``predict``."""

    training: str
    """What ends its training, for the results page."""

    packages: tuple[str, ...]
    """Packages whose versions matter to a reader."""

    installs: tuple[tuple[str, ...], ...]
    """Arguments of pip, one call after the other. torch comes first, so that no dependant can choose its build."""

    @property
    def python(self) -> Path:
        """Interpreter of its environment."""
        return HERE / f".venv-{self.module}" / "bin" / "python"


_TORCH = ("torch==2.13.0",)
_OF_ITS_TIME = (
    "anndata==0.9.2",
    "chex==0.1.83",
    "flax==0.7.4",
    "jax==0.4.18",
    "jaxlib==0.4.18",
    "matplotlib==3.8.4",
    "mudata==0.2.3",
    "numpy==1.26.4",
    "numpyro==0.13.2",
    "optax==0.1.7",
    "pandas==2.0.3",
    "scanpy==1.9.8",
    "scipy==1.11.4",
    "seaborn==0.13.2",
    "setuptools==80.10.2",
    "torchmetrics==0.11.4",
    "adjustText==1.4.0",
)
"""What scvi-tools before 1.0 runs with."""

PREDICTORS: dict[str, Predictor] = {
    one.name: one
    for one in (
        Predictor(
            name="scGen",
            module="scgen",
            training="its tutorial's early stopping",
            packages=("scgen", "scvi-tools", "torch"),
            # The newest scvi-tools that scGen runs with.
            installs=(_TORCH, (*_TORCH, *_OF_ITS_TIME, "scvi-tools==0.19.0", "scgen==2.1.0")),
        ),
        Predictor(
            name="scPRAM",
            module="scpram",
            training="its fixed number of epochs",
            packages=("scpram", "torch"),
            # Its package asks for torch 1.13, scanpy 1.9 and jupyter, and runs without them.
            installs=(
                _TORCH,
                (*_TORCH, "scanpy==1.11.5", "POT==0.9.7.post1", "adjustText==1.4.0"),
                ("--no-deps", "scpram==0.0.3"),
            ),
        ),
        Predictor(
            name="CPA",
            module="cpa",
            training="its tutorial's early stopping",
            packages=("cpa-tools", "scvi-tools", "torch"),
            # Its package asks for torch below 2, whose builds without CUDA the index lacks.
            installs=(
                _TORCH,
                (*_TORCH, *_OF_ITS_TIME, "scvi-tools==0.20.3", "rdkit", "requests"),
                ("--no-deps", "cpa-tools==0.8.1"),
            ),
        ),
    )
}


def log_expression(cells: anndata.AnnData) -> anndata.AnnData:
    """Return a copy with log1p of counts per 10,000, dense float32, which these methods learn from."""
    values = log_normalise(sparse.csr_matrix(cells.X)).toarray()
    return anndata.AnnData(values, obs=cells.obs.copy(), var=cells.var.copy())


def answer(
    *, method: str, question: dict[str, str], seed: int, training: str, control: str, cells: str
) -> dict[str, Any]:
    """Train a method, write its prediction of the control cells, and return what it took.

    Parameters
    ----------
    method
        Name of the method.
    question
        Fields of a `Question`.
    seed
        Seed of the training.
    training, control
        Files with counts of the training cells, and of those among them to predict.
    cells
        File to write.
    """
    asked = Question(**question)
    found = PREDICTORS[method]
    predict: Predict = import_module(f"benchmarks.predictors.{found.module}").predict
    fit, start = anndata.read_h5ad(training), anndata.read_h5ad(control)
    _fuse_adam()
    with Meter() as meter:
        prediction = predict(fit, start, question=asked, seed=seed)
    values = np.asarray(prediction.log1p, dtype=np.float32)
    if values.shape != start.shape or not np.isfinite(values).all():
        msg = f"{method} returned {values.shape} values, some perhaps not finite; expected {start.shape} finite ones."
        raise ValueError(msg)
    labels = {asked.key: asked.level, asked.context_key: asked.context}
    obs = pd.DataFrame(labels, index=start.obs_names)
    made = anndata.AnnData(values, obs=obs, var=start.var[[]])
    made.write_h5ad(cells, compression="lzf")
    return {
        "method": method,
        "versions": versions(*found.packages),
        "settings": prediction.settings,
        "training": found.training,
        "seed": seed,
        "n_training": fit.n_obs,
        "n_predicted": start.n_obs,
        "cost": meter.cost.to_json(),
    }


def _fuse_adam() -> None:
    """Take the same steps in a quarter of the time: one pass over the weights for each, where these packages do ten."""
    import torch

    class Adam(torch.optim.Adam):
        def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - those of the package
            super().__init__(*arguments, **{"fused": True} | settings)

    torch.optim.Adam = Adam  # type: ignore[misc]
