"""Titles of groups and baselines, and the format of numbers, in pages, figures and verdicts."""

from __future__ import annotations

import math

__all__ = ["BASELINE_TITLES", "GROUP_QUESTIONS", "GROUP_TITLES", "format_number", "format_percent", "join_words"]

GROUP_TITLES = {
    "validity": "Counts",
    "two_sample": "Classifier two-sample tests",
    "distribution": "Distribution",
    "biology": "Biology",
    "utility": "Utility",
    "privacy": "Privacy",
    "luo2024": "Metrics of Luo et al. 2024",
}
"""Groups in the order of a page."""

GROUP_QUESTIONS = {
    "validity": "Can all values be counts?",
    "two_sample": "Can a trained classifier distinguish held-out generated cells from real ones?",
    "distribution": "Do generated and real cells have the same distribution?",
    "biology": "Are genes, cell types and the differences between types preserved?",
    "utility": "Does a classifier trained on generated cells work on real ones?",
    "privacy": "Do the cells reveal which cells were trained on?",
    "luo2024": "How do the cells compare with published tables? Class means alone pass several of these metrics.",
}
"""The question of each group."""

BASELINE_TITLES = {
    "independent_nb": "Independent NB",
    "shuffled_genes": "Shuffled genes",
    "class_mean_noise": "Class mean + noise",
    "resampled": "Memorised training cells",
}
"""Baselines in the order of a table."""


def format_number(value: float | None) -> str:
    """Format a number with about three significant figures."""
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


def format_percent(fraction: float) -> str:
    """Format a fraction in percent, with a decimal where it is small."""
    return f"{fraction:.1%}" if 0 < fraction < 0.1 else f"{fraction:.0%}"


def join_words(words: list[str], *, most: int = 3) -> str:
    """Join words as in a sentence, and shorten a long list."""
    if len(words) > most:
        return ", ".join(words[:most]) + f" and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
