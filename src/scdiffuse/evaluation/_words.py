"""How numbers and groups are spelt, in pages, figures and verdicts alike."""

from __future__ import annotations

import math

__all__ = ["BASELINE_TITLES", "GROUP_QUESTIONS", "GROUP_TITLES", "join", "number", "percent"]

GROUP_TITLES = {
    "validity": "Counts",
    "discriminators": "Discriminators",
    "distribution": "Distribution",
    "biology": "Biology",
    "utility": "Utility",
    "privacy": "Privacy",
    "paper": "The paper's columns",
}
"""Groups in the order of a page."""

GROUP_QUESTIONS = {
    "validity": "Are the values counts at all?",
    "discriminators": "Can a trained judge tell generated cells from real ones that it has not seen?",
    "distribution": "Do generated cells lie where real cells lie, as densely?",
    "biology": "Do genes, types and the differences between types come out as they are?",
    "utility": "Does what is learnt from generated cells hold for real ones?",
    "privacy": "Do the cells give away which cells were trained on?",
    "paper": "Columns of the scDiffusion paper, kept for comparison. Several cannot tell class means from cells.",
}
"""What each group asks."""

BASELINE_TITLES = {
    "independent_nb": "Independent NB",
    "shuffled_genes": "Shuffled genes",
    "class_mean_noise": "Class mean + noise",
    "resampled": "Copied training cells",
}
"""Baselines in the order of a table."""


def number(value: float | None) -> str:
    """Spell a number with three figures, as short as it can be read."""
    if value is None or not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size != 0 and (size < 0.0001 or size >= 1e5):
        return f"{value:.1e}"
    if size >= 100:
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 3 if size >= 0.001 else 4
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if size < 1 and text.lstrip("-").startswith("0.") else text


def percent(share: float) -> str:
    """Spell a share, with a decimal where it is small."""
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def join(words: list[str], *, most: int = 3) -> str:
    """Join words as a sentence does, cutting a long list short."""
    if len(words) > most:
        return ", ".join(words[:most]) + f" and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
