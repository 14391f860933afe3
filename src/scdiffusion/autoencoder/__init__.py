"""Counts to latents and back: networks, count likelihoods and their training task."""

from scdiffusion.autoencoder._autoencoder import CountAutoencoder as CountAutoencoder
from scdiffusion.autoencoder._autoencoder import Latent as Latent
from scdiffusion.autoencoder._autoencoder import Posterior as Posterior
from scdiffusion.autoencoder._autoencoder import Tilt as Tilt
from scdiffusion.autoencoder._autoencoder import draw_in_blocks as draw_in_blocks
from scdiffusion.autoencoder._autoencoder import in_blocks as in_blocks
from scdiffusion.autoencoder._likelihood import BurstNegativeBinomial as BurstNegativeBinomial
from scdiffusion.autoencoder._likelihood import Likelihood as Likelihood
from scdiffusion.autoencoder._likelihood import NegativeBinomial as NegativeBinomial
from scdiffusion.autoencoder._likelihood import shapes_of as shapes_of
from scdiffusion.autoencoder._network import AutoencoderConfig as AutoencoderConfig
from scdiffusion.autoencoder._network import StandardisingDecoder as StandardisingDecoder
from scdiffusion.autoencoder._network import gene_product as gene_product
from scdiffusion.autoencoder._task import AutoencoderTask as AutoencoderTask
from scdiffusion.autoencoder._task import Labelled as Labelled
from scdiffusion.autoencoder._terms import Counted as Counted
from scdiffusion.autoencoder._terms import read_counts as read_counts
