"""Latent spaces that were learnt elsewhere: SCimilarity, scvi-tools, any embedding of the cells."""

from scdiffuse.foundation._builder import build_latent as build_latent
from scdiffuse.foundation._embedding import Embedding as Embedding
from scdiffuse.foundation._latents import DecodedLatent as DecodedLatent
from scdiffuse.foundation._latents import DecoderTask as DecoderTask
from scdiffuse.foundation._protocol import Foundation as Foundation
from scdiffuse.foundation._scimilarity import SCimilarity as SCimilarity
from scdiffuse.foundation._scvi import ScviModel as ScviModel
