"""The model card: what a reader who finds the folder needs to know."""

from __future__ import annotations

from collections.abc import Sequence

from scdiffuse._core.text import one_line
from scdiffuse.model._classifier_card import classifier_lines, classifier_table
from scdiffuse.model._markdown import as_markdown
from scdiffuse.model._metadata import DistillationRecord, Json, ModelRecord, WarmStartRecord

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
The model generates integer counts that look like the cells it was fitted to. Generated cells are not measurements: what
the training cells lack, they lack too, and statistics of rare types are as uncertain as their few training cells.

## Fit
{curves}

## Classifiers
{classifiers}

## Scores
{scores}
"""


def write_summary(record: ModelRecord) -> str:
    """Describe a model in a few lines.

    Parameters
    ----------
    record
        What is known of the fitted model.
    """
    data = record["data"]
    lines = [
        f"scdiffuse {record['version']}, model {record['model_hash']}, {record['n_parameters']:,} parameters",
        f"Fitted to {data['n_cells']:,} cells x {data['n_genes']:,} genes (median library size"
        f" {data['median_counts']:,} counts), seed {record['seed']}.",
        data["genes"],
    ]
    lines += _latent(record["settings"].get("latent")) + _start(record["started_from"])
    if record["stopped"]:
        lines.append("The fit was stopped early: this is what was learnt until then.")
    for name, labels in data["labels"].items():
        shown = [f"{one_line(label)} ({n:,})" for label, n in list(labels.items())[:_MOST_LABELS]]
        more = f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else ""
        lines.append(f"{one_line(name)}: {', '.join(shown)}{more}")
    lines += [f"{one_line(name)}: {low:g} to {high:g}" for name, (low, high) in data["ranges"].items()]
    lines += classifier_lines(record["classifiers"]) + _distilled(record["distilled"])
    return "\n".join(lines)


def _latent(description: Json | None) -> list[str]:
    """Name the pretrained latent space, if the latents are not the model's own."""
    if description is None:
        return []
    if description["kind"] == "embedding":
        return [f"Latents: obsm {description['obsm_key']!r}, {description['width']} wide."]
    return [
        f"Latents: {description['kind']} model {description['name']!r} (sha256 {description['sha256'][:16]}),"
        f" {description['width']} wide; {description['n_shared']:,} of its {description['n_known']:,} genes shared."
        f" {description['licence']}"
    ]


def _start(origin: WarmStartRecord | None) -> list[str]:
    """Name the model that the fit began with."""
    if origin is None:
        return []
    diffusion = "with" if origin["diffusion"] else "without"
    return [
        f"Started from model {origin['model_hash']}, fitted to {origin['n_cells']:,} cells x"
        f" {origin['n_genes']:,} genes, of which {origin['n_shared']:,} are shared; {diffusion} its diffusion."
    ]


def _distilled(record: DistillationRecord | None) -> list[str]:
    """Say how close a distilled sampler comes to the model that it was distilled from."""
    if record is None:
        return []
    return [
        f"Distilled sampler of {record['solver_steps']} steps: its latents are {record['distance']:.3f} standard"
        f" deviations from those of the full solver, over {record['n_paths']:,} paths."
    ]


def write_card(record: ModelRecord) -> str:
    """Write the card in Markdown.

    Parameters
    ----------
    record
        What is known of the fitted model.
    """
    summary = "\n\n".join(map(as_markdown, write_summary(record).splitlines()))
    curves = "\n\n".join(_curve(stage, points) for stage, points in record["history"].items() if points)
    return _PAGE.format(
        summary=summary,
        curves=curves or "Not fitted to the end.",
        classifiers=classifier_table(record["classifiers"]),
        scores=_scores(record["scores"]),
    )


def _curve(stage: str, points: Sequence[Sequence[float]]) -> str:
    rows = "\n".join(f"| {step:.0f} | {train:.4g} | {held:.4g} |" for step, train, held in points)
    return f"{as_markdown(stage)}\n\n| step | training loss | validation loss |\n|---|---|---|\n{rows}"


def _scores(scores: Json | None) -> str:
    if not scores:
        return "Not evaluated. `scdiffuse evaluate` compares generated cells with held-out real ones."
    rows = [
        f"| {as_markdown(name)} | {_number(found.get('value'))} | {_number(found.get('reference'))} | "
        + ", ".join(f"{as_markdown(other)} {_number(value)}" for other, value in (found.get("baselines") or {}).items())
        + f" | {_number(found.get('normalised'))} |"
        for name, found in scores["metrics"].items()
    ]
    head = "| metric | value | real-vs-real reference | trivial baselines | normalised score |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
