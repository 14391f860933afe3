"""Pretrained embeddings as latent space: SCimilarity, scvi-tools, or any entry of `obsm`.

`SCimilarity` and `ScviModel` read saved models of those packages without importing them; `Embedding` takes an entry of
`obsm`. Each is a `Foundation`, whose description is saved with the model and from which `build_latent` builds the
latent space again. `DecodedLatent` adds a count decoder to an encoder, and `DecoderTask` trains that decoder. A new
pretrained encoder is one file and one line in `LATENTS`.
"""

from scdiffuse.foundation._builder import build_latent as build_latent
from scdiffuse.foundation._embedding import Embedding as Embedding
from scdiffuse.foundation._latents import DecodedLatent as DecodedLatent
from scdiffuse.foundation._latents import DecoderTask as DecoderTask
from scdiffuse.foundation._protocol import Foundation as Foundation
from scdiffuse.foundation._scimilarity import SCimilarity as SCimilarity
from scdiffuse.foundation._scvi import ScviModel as ScviModel
