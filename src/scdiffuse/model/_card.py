"""The model card: what a stranger who finds the folder needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scdiffuse.model._classifier_card import classifier_lines, classifier_table

__all__ = ["write_card", "write_summary"]

_MOST_LABELS = 30
_PAGE = """---
library_name: scdiffuse
tags: [single-cell, scRNA-seq, generative]
---
# Generator of single cells

{summary}

## Use
```python
import scdiffuse as scd
cells = scd.load("this folder").generate(1_000, seed=0)
```
It makes integer counts that look like the cells it was fitted to. They are not measurements: what was not in the
training cells is not in these either, and statistics of rare types are as uncertain as their few training cells.

## Fit
{curves}

## Classifiers
{classifiers}

## Scores
{scores}
"""


def write_summary(facts: Mapping[str, Any]) -> str:
    """Describe a model in a few lines.

    Parameters
    ----------
    facts
        What ``config.json`` holds.
    """
    data = facts["data"]
    lines = [
        f"scdiffuse {facts['version']}, model {facts['model_hash']}, {facts['n_parameters']:,} parameters",
        f"Fitted to {data['n_cells']:,} cells x {data['n_genes']:,} genes ({data['median_counts']:,} counts a cell"
        f" in the median), seed {facts['seed']}.",
        data["genes"],
    ]
    lines += _latent(facts["settings"].get("latent")) + _start(facts.get("started_from"))
    if facts["stopped"]:
        lines.append("The fit was stopped early: this is what was learnt until then.")
    for name, labels in data["labels"].items():
        shown = [f"{label} ({n:,})" for label, n in list(labels.items())[:_MOST_LABELS]]
        more = f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else ""
        lines.append(f"{name}: {', '.join(shown)}{more}")
    lines += [f"{name}: {low:g} to {high:g}" for name, (low, high) in data["ranges"].items()]
    lines += classifier_lines(facts.get("classifiers", {})) + _distilled(facts.get("distilled"))
    return "\n".join(lines)


def _latent(told: Mapping[str, Any] | None) -> list[str]:
    """Say where latents come from that are not the model's own."""
    if told is None:
        return []
    if told["kind"] == "embedding":
        return [f"Latents: `obsm[{told['obsm_key']!r}]`, {told['width']} wide."]
    return [
        f"Latents: {told['kind']} model {told['name']!r} (sha256 {told['sha256'][:16]}), {told['width']} wide;"
        f" {told['n_shared']:,} of its {told['n_known']:,} genes shared. {told['licence']}"
    ]


def _start(told: Mapping[str, Any] | None) -> list[str]:
    """Say which model the fit began with."""
    if told is None:
        return []
    diffusion = "with" if told["diffusion"] else "without"
    return [
        f"Started from model {told['model_hash']}, fitted to {told['n_cells']:,} cells x {told['n_genes']:,} genes, of"
        f" which {told['n_shared']:,} are shared; {diffusion} its diffusion."
    ]


def _distilled(told: Mapping[str, Any] | None) -> list[str]:
    """Say how close the student comes to its teacher."""
    if told is None:
        return []
    return [
        f"Student of {told['n_steps']} steps: its latents are {told['distance']:.3f} standard deviations from those of"
        f" the model, over {told['n_paths']:,} paths."
    ]


def write_card(facts: Mapping[str, Any]) -> str:
    """Write the card in Markdown.

    Parameters
    ----------
    facts
        What ``config.json`` holds.
    """
    summary = write_summary(facts).replace("\n", "\n\n")
    curves = "\n\n".join(_curve(stage, points) for stage, points in facts["history"].items() if points)
    return _PAGE.format(
        summary=summary,
        curves=curves or "Not fitted to the end.",
        classifiers=classifier_table(facts.get("classifiers", {})),
        scores=_scores(facts["scores"]),
    )


def _curve(stage: str, points: Sequence[Sequence[float]]) -> str:
    rows = "\n".join(f"| {step:.0f} | {train:.4g} | {held:.4g} |" for step, train, held in points)
    return f"{stage}\n\n| step | training loss | validation loss |\n|---|---|---|\n{rows}"


def _scores(scores: Mapping[str, Any] | None) -> str:
    if not scores:
        return "Not evaluated. `scdiffuse evaluate` compares generated cells with held-out real ones."
    rows = [
        f"| {name} | {_number(found.get('value'))} | {_number(found.get('floor'))} | "
        + ", ".join(f"{other} {_number(value)}" for other, value in (found.get("baselines") or {}).items())
        + f" | {_number(found.get('skill'))} |"
        for name, found in scores["metrics"].items()
    ]
    head = "| metric | value | floor (real against real) | trivial baselines | skill |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
