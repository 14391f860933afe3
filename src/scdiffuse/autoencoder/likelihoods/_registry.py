"""Likelihoods by the name that `AutoencoderConfig` takes: a new one needs a line here and a file of its own."""

from __future__ import annotations

from scdiffuse.autoencoder.likelihoods._base import CountLikelihood
from scdiffuse.autoencoder.likelihoods._negative_binomial import NegativeBinomial
from scdiffuse.autoencoder.likelihoods._outlier_negative_binomial import OutlierNegativeBinomial

__all__ = ["LIKELIHOODS"]

LIKELIHOODS: dict[str, type[CountLikelihood]] = {
    "negative_binomial_with_outliers": OutlierNegativeBinomial,
    "negative_binomial": NegativeBinomial,
}
"""Likelihoods by name."""
