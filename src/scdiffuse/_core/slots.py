"""The names of every AnnData slot and saved file that the package writes."""

from __future__ import annotations

from typing import Final

UNS_KEY: Final = "scdiffuse"
"""`uns` entry with version, model hash, seed and settings."""
OBS_SOURCE: Final = "source"
"""`obs` column that tells generated cells from real ones."""
OBS_UNSEEN: Final = "unseen"
"""`obs` column that marks cells whose conditions were not seen together in training."""
OBSM_LATENT: Final = "X_scdiffuse"
"""`obsm` entry with latents."""

WEIGHTS_FILE: Final = "weights.safetensors"
CLASSIFIERS_FILE: Final = "classifiers.safetensors"
"""Weights of the classifiers; there is no such file where there are none."""
DISTILLED_FILE: Final = "distilled.safetensors"
"""Weights of the student; there is no such file where there is none."""
CONFIG_FILE: Final = "config.json"
GENES_FILE: Final = "genes.json"
VOCABULARY_FILE: Final = "vocabulary.json"
TRAINING_FILE: Final = "training.safetensors"
"""State of a fit that has not ended; it is gone when the fit is done."""
CARD_FILE: Final = "README.md"
SHARDS_FILE: Final = "shards.json"
"""List of the shards in a folder of cells."""
