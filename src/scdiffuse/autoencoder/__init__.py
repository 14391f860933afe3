"""Counts to latents and back: networks, count likelihoods and their training task."""

from scdiffuse.autoencoder._autoencoder import CountAutoencoder as CountAutoencoder
from scdiffuse.autoencoder._autoencoder import GeneFactors as GeneFactors
from scdiffuse.autoencoder._autoencoder import Latent as Latent
from scdiffuse.autoencoder._autoencoder import Posterior as Posterior
from scdiffuse.autoencoder._autoencoder import draw_in_blocks as draw_in_blocks
from scdiffuse.autoencoder._autoencoder import in_blocks as in_blocks
from scdiffuse.autoencoder._counts import Counted as Counted
from scdiffuse.autoencoder._counts import read_counts as read_counts
from scdiffuse.autoencoder._network import AutoencoderConfig as AutoencoderConfig
from scdiffuse.autoencoder._network import StandardisingDecoder as StandardisingDecoder
from scdiffuse.autoencoder._network import gene_product as gene_product
from scdiffuse.autoencoder._task import AutoencoderTask as AutoencoderTask
from scdiffuse.autoencoder._task import Labelled as Labelled
from scdiffuse.autoencoder.likelihoods import Likelihood as Likelihood
from scdiffuse.autoencoder.likelihoods import OutlierNegativeBinomial as OutlierNegativeBinomial
from scdiffuse.autoencoder.likelihoods import dispersion_start as dispersion_start
from scdiffuse.autoencoder.likelihoods._negative_binomial import NegativeBinomial as NegativeBinomial
