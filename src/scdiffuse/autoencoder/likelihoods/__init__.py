"""Likelihoods of counts: one file each, chosen by name.

A likelihood scores the counts of a cell, given the expression fraction of each gene and the library size, and draws
counts from them. `Likelihood` says what each offers; `LIKELIHOODS` finds one by the name in `AutoencoderConfig`.
"""

from scdiffuse.autoencoder.likelihoods._negative_binomial import NegativeBinomial as NegativeBinomial
from scdiffuse.autoencoder.likelihoods._outliers import OutlierNegativeBinomial as OutlierNegativeBinomial
from scdiffuse.autoencoder.likelihoods._protocol import UMI_START as UMI_START
from scdiffuse.autoencoder.likelihoods._protocol import DispersionStart as DispersionStart
from scdiffuse.autoencoder.likelihoods._protocol import Likelihood as Likelihood
from scdiffuse.autoencoder.likelihoods._protocol import dispersion_start as dispersion_start

LIKELIHOODS: dict[str, type[NegativeBinomial]] = {
    "burst": OutlierNegativeBinomial,
    "negative_binomial": NegativeBinomial,
}
"""Likelihoods by name."""
