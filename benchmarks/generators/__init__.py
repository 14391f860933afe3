"""The generators that are compared: what one must offer, and the list of those that do.

Each is imported only in the process that runs it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData


class Generator(Protocol):
    """Anything that learns from counts and draws cells for given labels.

    Its costs (wall time, CPU time, peak memory) are measured from outside, so there is nothing to report.
    """

    def fit(self, adata: AnnData, *, condition_keys: Sequence[str], seed: int) -> None:
        """Learn from raw counts ``(N, G)``; ``condition_keys`` are `obs` columns, the first one the cell type."""
        ...

    def generate(self, obs: pd.DataFrame, *, seed: int) -> AnnData:
        """Draw one cell for each row of ``obs`` (the condition columns), in its order, as integer counts."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One generator of the benchmark."""

    name: str
    """Name on the command line and in the tables."""

    about: str
    """What it does, for the results page."""

    target: str = ""
    """``module:class`` in this package; empty for a baseline."""

    baseline: str | None = None
    """Name of the baseline of `scdiffuse.evaluation` that it is: scored beside every generator, never run."""

    environment: Literal["own", "peers"] = "own"
    """Which interpreter runs it."""

    takes_seconds: bool = False
    """Whether it can be held to CPU seconds."""

    options: Mapping[str, object] = field(default_factory=dict)
    """Keyword arguments of the class."""


GENERATORS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="ours",
            target="ours:Ours",
            about="`scdiffuse.CellGenerator`, default settings.",
        ),
        Entry(
            name="independent-nb",
            baseline="independent_nb",
            about="Trivial: negative binomial per gene and cell type, genes independent.",
        ),
        Entry(
            name="shuffled-genes",
            baseline="shuffled_genes",
            about="Trivial: each gene shuffled among the cells of a type; exact margins, no correlations.",
        ),
        Entry(
            name="resampled",
            baseline="resampled",
            about="Training cells drawn with replacement. Realistic and useless, which only the privacy metrics show.",
        ),
        Entry(
            name="class-mean",
            baseline="class_mean_noise",
            about="Trivial: mean of the cell type plus noise, rounded.",
        ),
        Entry(
            name="pca-mixture",
            target="pca_mixture:PcaMixture",
            about="Log-normalised counts, 50 principal components, Gaussian mixture per type with shrunk covariances, "
            "back to rates, Poisson counts at a library size drawn from the training cells of the type.",
        ),
        Entry(
            name="scvi-posterior",
            target="scvi:ScviPosterior",
            environment="peers",
            about="scVI (scvi-tools, its defaults and early stopping): the posterior predictive around a "
            "training cell of the type. Needs the training cells to generate.",
        ),
        Entry(
            name="scvi-nb",
            target="scvi:ScviPosterior",
            environment="peers",
            options={"gene_likelihood": "nb", "n_layers": 2, "n_latent": 30},
            about="The same with settings that users of scVI often choose: negative binomial, two layers, 30 latents.",
        ),
        Entry(
            name="scvi-prior",
            target="scvi:ScviPrior",
            environment="peers",
            about="scVI with the cell type given to the decoder: latents from N(0, I), library size of a training "
            "cell of the type.",
        ),
        Entry(
            name="scdesigner",
            target="scdesigner:ScDesigner",
            environment="peers",
            about="scDesign3 in Python (scdesigner): negative binomial margins by cell type, Gaussian copula by cell "
            "type over the 500 most expressed genes, Ledoit-Wolf shrinkage; at most 20 epochs for the margins.",
        ),
        Entry(
            name="original",
            target="original:OriginalRecipe",
            takes_seconds=True,
            about="The recipe of scDiffusion (Luo et al. 2024), written anew from the paper: autoencoder with mean "
            "squared error, 1,000-step denoising diffusion, classifier guidance; from scratch, without foundation "
            "weights. It makes no counts: its log values are scaled to the library size of a training cell of the "
            "type and rounded.",
        ),
    )
}


def make(target: str, options: Mapping[str, object]) -> Generator:
    """Import and build a generator from ``module:class``."""
    module_name, _, class_name = target.partition(":")
    module = importlib.import_module(f"benchmarks.generators.{module_name}")
    generator: Generator = getattr(module, class_name)(**options)
    return generator
