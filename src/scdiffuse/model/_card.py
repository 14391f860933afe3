"""The model card: what a reader who finds the folder needs to know."""

from __future__ import annotations

from collections.abc import Sequence

from scdiffuse._core.text import one_line
from scdiffuse.model._classifier_card import classifier_lines, classifier_table
from scdiffuse.model._markdown import as_markdown
from scdiffuse.model._metadata import DataSummary, DistillationRecord, Json, ModelRecord, WarmStartRecord

__all__ = ["write_card", "write_summary"]

_MOST_LABELS = 30
_FEW_CELLS = 50
_NOT_GIVEN = "not given"
_UNSCORED = "Not evaluated. `scdiffuse evaluate --model` compares generated cells with held-out real ones."
_HOW = {"date": "on", "data": "with"}
"""What is said of an evaluation, by setting of its report."""
_PAGE = """---
library_name: scdiffuse
tags: [single-cell, scRNA-seq, generative]
---
# Generator of single cells

{verdict}

| | |
|---|---|
{facts}

## Use
```python
import scdiffuse as scd

model = scd.load("this folder")
cells = model.generate(1_000, seed=0)
```
The model generates integer counts that look like the cells it was fitted to, as AnnData. `pip install scdiffuse`
installs what loads it; nothing in this folder is executed.

## Limits
{limits}

## Verdicts
{verdicts}

## Cite
- The training cells: {source}.
- The model: scdiffuse {version}, model {model_hash}.
- The method: Luo E, Hao M, Wei L, Zhang X (2024). scDiffusion: conditional generation of high-quality single-cell data
  using diffusion model. *Bioinformatics* 40(9): btae518.

## Details
<details><summary>Training cells and settings</summary>

{summary}

</details>
<details><summary>Scores</summary>

{scores}

</details>
<details><summary>Classifiers</summary>

{classifiers}

</details>
<details><summary>Losses of the fit</summary>

{curves}

</details>
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
    if rate := record.get("duplication_rate"):
        lines.append(f"Molecules of these cells are counted {1 + rate:.2f} times on average; so are generated ones.")
    lines += _latent(record["settings"].get("latent")) + _start(record["started_from"])
    if record["stopped"]:
        lines.append("The fit was stopped early: this is what was learnt until then.")
    for name, labels in data["labels"].items():
        lines.append(f"{one_line(name)}: {_listed(labels)}{_unseen(data, name)}")
    lines += [f"{one_line(name)}: {low:g} to {high:g}" for name, (low, high) in data["ranges"].items()]
    lines += classifier_lines(record["classifiers"]) + _distilled(record["distilled"])
    return "\n".join(lines)


def _listed(labels: dict[str, int]) -> str:
    """List labels with their cells, the first ones of many."""
    shown = [f"{one_line(label)} ({n:,})" for label, n in list(labels.items())[:_MOST_LABELS]]
    return ", ".join(shown) + (f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else "")


def _unseen(data: DataSummary, name: str) -> str:
    """Say how many labels of a condition are known by features alone, and which by cells that were mapped."""
    n, mapped = data.get("features", {}).get(name, {"n_unseen": 0})["n_unseen"], data.get("mapped", {}).get(name, {})
    words = f"; {n:,} unseen, known by features" if n else ""
    return words + (f"; mapped: {_listed(mapped)}" if mapped else "")


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
    origin, scores = record.get("origin", {}), record["scores"] or {}
    return _PAGE.format(
        verdict=_verdict(scores),
        facts="\n".join(f"| {name} | {as_markdown(text)} |" for name, text in _facts(record).items()),
        limits="\n".join(f"- {line}" for line in _limits(record)),
        verdicts=_verdicts(scores),
        source=as_markdown(origin.get("source") or _NOT_GIVEN),
        version=record["version"],
        model_hash=record["model_hash"],
        summary="\n\n".join(map(as_markdown, write_summary(record).splitlines())),
        scores=_scores(record["scores"]),
        classifiers=classifier_table(record["classifiers"]),
        curves="\n\n".join(_curve(stage, points) for stage, points in record["history"].items() if points)
        or "Not fitted to the end.",
    )


def _verdict(scores: Json) -> str:
    """Write the overall verdict of the last evaluation."""
    overall = scores.get("overall") or {}
    if not overall:
        return _UNSCORED if not scores else "**Evaluated.** The scores are below."
    how = scores.get("settings") or {}
    when = " ".join(f"{word} {as_markdown(how[name])}" for name, word in _HOW.items() if how.get(name))
    said = f"**{as_markdown(overall.get('answer', ''))}.** {as_markdown(overall.get('text', ''))}"
    return f"{said} Evaluated {when}." if when else said


def _facts(record: ModelRecord) -> dict[str, str]:
    """List what a reader asks first, by name."""
    data, origin = record["data"], record.get("origin", {})
    stopped = ", stopped early" if record["stopped"] else ""
    numbers = f"{data['n_cells']:,} cells x {data['n_genes']:,} genes, median library size {data['median_counts']:,}"
    conditions = [f"{name} ({len(labels):,} labels{_unseen(data, name)})" for name, labels in data["labels"].items()]
    conditions += [f"{name} ({low:g} to {high:g})" for name, (low, high) in data["ranges"].items()]
    return {
        "Organism": origin.get("organism") or _NOT_GIVEN,
        "Source of the cells": origin.get("source") or _NOT_GIVEN,
        "Licence of the cells": origin.get("licence") or _NOT_GIVEN,
        "Fitted on": f"{record.get('fitted_on') or _NOT_GIVEN}, by scdiffuse {record['version']}{stopped}",
        "Fitted to": numbers,
        "Conditions": ", ".join(conditions) or "none",
        "Model": f"{record['model_hash']}, {record['n_parameters']:,} parameters, seed {record['seed']}",
    }


def _limits(record: ModelRecord) -> list[str]:
    """List what the model is not good for."""
    data = record["data"]
    lines = [
        "Generated cells are no measurements. What the training cells lack, they lack too; tests on them show what the"
        " model has learnt, not new biology.",
        f"It knows {data['n_genes']:,} genes, and no others.",
    ]
    for name, labels in data["labels"].items():
        few = [f"{one_line(label)} ({n:,})" for label, n in labels.items() if n < _FEW_CELLS]
        if few:
            more = f" and {len(few) - _MOST_LABELS} more" if len(few) > _MOST_LABELS else ""
            listed = as_markdown(", ".join(few[:_MOST_LABELS]) + more)
            lines.append(
                f"Labels of {as_markdown(name)} with fewer than {_FEW_CELLS} training cells are uncertain: {listed}."
            )
    if len(data["labels"]) + len(data["ranges"]) > 1:
        lines.append('Combinations that no training cell has are predictions; `obs["unseen"]` marks them.')
    lines.append(
        "Cells may reveal cells or donors that the model was fitted to: `scdiffuse audit` tells before they are shared."
        " The licence of the training cells holds for the model as well."
    )
    return lines


def _verdicts(scores: Json) -> str:
    """List the verdicts by group of metrics."""
    lines = []
    for group, one in (scores.get("verdicts") or {}).items():
        title, answer, text = (as_markdown(one.get(key, "")) for key in ("title", "answer", "text"))
        lines.append(f"- **{title or as_markdown(group)}**: {answer}. {text}")
    return "\n".join(lines) or _UNSCORED


def _curve(stage: str, points: Sequence[Sequence[float]]) -> str:
    rows = "\n".join(f"| {step:.0f} | {train:.4g} | {held:.4g} |" for step, train, held in points)
    return f"{as_markdown(stage)}\n\n| step | training loss | validation loss |\n|---|---|---|\n{rows}"


def _scores(scores: Json | None) -> str:
    if not scores:
        return _UNSCORED
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
