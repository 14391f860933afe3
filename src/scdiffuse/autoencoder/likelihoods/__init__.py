"""Likelihoods of counts: one file each, chosen by name.

A likelihood scores the counts of a cell, given the expression fraction of each gene and the library size, and draws
counts from them. `CountLikelihood` defines what each offers, with defaults on tensors for any device. `LIKELIHOODS`
finds one by the name in `AutoencoderConfig`. `DispersionConfig` holds where dispersion parameters start and how they
are fitted. The negative binomials share fused terms on tensors and compiled loops on the CPU.
"""

from scdiffuse.autoencoder.likelihoods._base import CountLikelihood as CountLikelihood
from scdiffuse.autoencoder.likelihoods._config import DispersionConfig as DispersionConfig
from scdiffuse.autoencoder.likelihoods._config import DispersionStart as DispersionStart
from scdiffuse.autoencoder.likelihoods._draw import OutlierComponent as OutlierComponent
from scdiffuse.autoencoder.likelihoods._draw import draw_counts as draw_counts
from scdiffuse.autoencoder.likelihoods._negative_binomial import NegativeBinomial as NegativeBinomial
from scdiffuse.autoencoder.likelihoods._outlier_negative_binomial import (
    OutlierNegativeBinomial as OutlierNegativeBinomial,
)
from scdiffuse.autoencoder.likelihoods._registry import LIKELIHOODS as LIKELIHOODS
