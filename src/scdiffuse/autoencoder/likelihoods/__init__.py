"""Likelihoods of counts: one file each, chosen by name.

A likelihood scores the counts of a cell, given the expression fraction of each gene and the library size, and draws
counts from them. `Likelihood` says what each offers; `LIKELIHOODS` finds one by the name in `AutoencoderConfig`.
"""

from scdiffuse.autoencoder.likelihoods._negative_binomial import NegativeBinomial as NegativeBinomial
from scdiffuse.autoencoder.likelihoods._outliers import BurstNegativeBinomial as BurstNegativeBinomial
from scdiffuse.autoencoder.likelihoods._protocol import UMIS as UMIS
from scdiffuse.autoencoder.likelihoods._protocol import Likelihood as Likelihood
from scdiffuse.autoencoder.likelihoods._protocol import Shapes as Shapes
from scdiffuse.autoencoder.likelihoods._protocol import shapes_of as shapes_of

LIKELIHOODS: dict[str, type[NegativeBinomial]] = {"burst": BurstNegativeBinomial, "negative_binomial": NegativeBinomial}
"""Likelihoods by name."""
