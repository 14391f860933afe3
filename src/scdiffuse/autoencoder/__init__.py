"""Counts to latents and back: a variational autoencoder, its likelihoods and its training task.

The encoder turns sparse counts into a Gaussian over latents; the decoder turns latents into the expression fraction of
each gene. A likelihood (`likelihoods/`, one file each, chosen by name) scores and draws counts given fractions and
library size. `AutoencoderTask` minimises the negative ELBO with binomial thinning, and
fits dispersion parameters in the end. `cpu/` holds compiled loops for the CPU; every other device computes on tensors.
"""

from scdiffuse.autoencoder._autoencoder import CountAutoencoder as CountAutoencoder
from scdiffuse.autoencoder._autoencoder import GeneFactors as GeneFactors
from scdiffuse.autoencoder._autoencoder import Latent as Latent
from scdiffuse.autoencoder._autoencoder import Posterior as Posterior
from scdiffuse.autoencoder._autoencoder import draw_in_blocks as draw_in_blocks
from scdiffuse.autoencoder._autoencoder import in_blocks as in_blocks
from scdiffuse.autoencoder._config import AutoencoderConfig as AutoencoderConfig
from scdiffuse.autoencoder._config import NetworkConfig as NetworkConfig
from scdiffuse.autoencoder._counts import SparseCounts as SparseCounts
from scdiffuse.autoencoder._counts import read_counts as read_counts
from scdiffuse.autoencoder._network import StandardisingDecoder as StandardisingDecoder
from scdiffuse.autoencoder._network import code_scale as code_scale
from scdiffuse.autoencoder._network import gene_product as gene_product
from scdiffuse.autoencoder._task import AutoencoderTask as AutoencoderTask
from scdiffuse.autoencoder._task import CellConditions as CellConditions
from scdiffuse.autoencoder.likelihoods import LIKELIHOODS as LIKELIHOODS
from scdiffuse.autoencoder.likelihoods import CountLikelihood as CountLikelihood
from scdiffuse.autoencoder.likelihoods import DispersionConfig as DispersionConfig
from scdiffuse.autoencoder.likelihoods import NegativeBinomial as NegativeBinomial
from scdiffuse.autoencoder.likelihoods import OutlierNegativeBinomial as OutlierNegativeBinomial
