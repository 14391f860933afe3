"""Latent spaces that were learnt elsewhere: SCimilarity, scvi-tools, any embedding of the cells."""

from scdiffusion.foundation._embedding import Embedding as Embedding
from scdiffusion.foundation._genes import match_genes as match_genes
from scdiffusion.foundation._genes import require_shared as require_shared
from scdiffusion.foundation._latents import DecodedLatent as DecodedLatent
from scdiffusion.foundation._latents import DecoderTask as DecoderTask
from scdiffusion.foundation._rows import EmbeddedSource as EmbeddedSource
from scdiffusion.foundation._rows import open_cells as open_cells
from scdiffusion.foundation._scimilarity import SCimilarity as SCimilarity
from scdiffusion.foundation._scvi import ScviModel as ScviModel
from scdiffusion.foundation._seam import Foundation as Foundation
from scdiffusion.foundation._seam import build_latent as build_latent
