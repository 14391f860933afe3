"""Names of every AnnData slot and saved file that the package writes."""

from __future__ import annotations

from typing import Final

UNS_KEY: Final = "scdiffuse"
"""`uns` entry with version, model hash, seed and settings."""
OBS_SOURCE: Final = "source"
"""`obs` column that marks generated cells."""
OBS_UNSEEN: Final = "unseen"
"""`obs` column that marks cells of out-of-distribution combinations of conditions."""
OBS_SUPPORT: Final = "support"
"""`obs` column with how far to trust each cell."""
OBSM_LATENT: Final = "X_scdiffuse"
"""`obsm` entry with latents."""

WEIGHTS_FILE: Final = "weights.safetensors"
CLASSIFIERS_FILE: Final = "classifiers.safetensors"
"""Weights of the classifiers; a model without classifiers has no such file."""
DISTILLED_FILE: Final = "distilled.safetensors"
"""Weights of the distilled sampler; a model without one has no such file."""
CONFIG_FILE: Final = "config.json"
GENES_FILE: Final = "genes.json"
VOCABULARY_FILE: Final = "vocabulary.json"
TRAINING_FILE: Final = "training.safetensors"
"""State of an unfinished fit; removed when the fit is complete."""
CARD_FILE: Final = "README.md"
SHARDS_FILE: Final = "shards.json"
"""List of the shards in a folder of cells."""
SHARD_STATISTICS_FILE: Final = "shard-statistics.safetensors"
"""Sums of the counts of all shards of a folder."""
MODEL_FILES: Final = frozenset(
    {
        WEIGHTS_FILE,
        CLASSIFIERS_FILE,
        DISTILLED_FILE,
        CONFIG_FILE,
        GENES_FILE,
        VOCABULARY_FILE,
        TRAINING_FILE,
        CARD_FILE,
    }
)
"""All files that a model folder may have."""
NEXT_FOLDER: Final = ".next"
"""Folder inside of a model or of shards: files of a newer version that are on the way to their places."""
FITTING_FOLDER: Final = ".fitting"
"""Folder inside of a model: a running fit that replaces the model when it is done."""
