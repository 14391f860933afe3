"""The model card: what a reader asks first stands first, and what is not given is not made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anndata as ad
import pytest

import scdiffuse as scd
from scdiffuse.cells import describe_origin, read_origin
from scdiffuse.generator import CellGenerator
from scdiffuse.model import write_card

VERDICT = {"title": "Biology", "level": "differs", "answer": "differs", "text": "Gene means are off."}
SCORES: dict[str, Any] = {
    "metrics": {"energy": {"value": 0.5, "reference": 0.4, "baselines": {}, "normalised": 0.9}},
    "overall": {
        **VERDICT,
        "title": "Overall",
        "answer": "Distinguishable from real cells",
        "text": "Differs: Biology.",
    },
    "verdicts": {"biology": VERDICT},
    "settings": {"date": "2026-11-28", "data": "held_out.h5ad"},
}


def _card(model: CellGenerator) -> str:
    assert model._model is not None
    return write_card(model._record(model._model))


def test_what_is_not_given_is_not_made_up(fitted: CellGenerator) -> None:
    card = _card(fitted)
    for name in ("Organism", "Source of the cells", "Licence of the cells"):
        assert f"| {name} | not given |" in card
    assert card.count("Not evaluated.") == 3


def test_verdict_and_origin_stand_first_and_numbers_are_folded(fitted: CellGenerator) -> None:
    scores = fitted._scores
    try:
        fitted.record_scores(SCORES)
        card = _card(fitted)
    finally:
        fitted._scores = scores
    first = card.split("## Use")[0]
    assert "**Distinguishable from real cells.** Differs: Biology. Evaluated on 2026-11-28 with held_out.h5ad." in first
    assert re.search(r"\| Fitted on \| (20\d\d-\d\d-\d\d|not given), by scdiffuse", first)
    assert "- **Biology**: differs. Gene means are off." in card
    assert "btae518" in card
    folded = card.split("<details>")
    assert "| energy |" not in folded[0]
    assert "| energy |" in "".join(folded[1:])


def test_the_origin_is_kept_by_a_folder(fitted: CellGenerator, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    loaded = scd.load(folder).set_origin(organism="human", source="A study, doi:10.1/x", licence="CC BY 4.0")
    loaded.set_origin(source="Another study").save(folder, overwrite=True)
    again = scd.load(folder)
    assert again._metadata.origin == {"organism": "human", "source": "Another study", "licence": "CC BY 4.0"}
    assert "| Organism | human |" in _card(again)
    assert "| Licence of the cells | CC BY 4.0 |" in (folder / "README.md").read_text(encoding="utf-8")


def test_labels_of_few_training_cells_are_limits(fitted: CellGenerator) -> None:
    assert fitted._model is not None
    record = fitted._record(fitted._model)
    record["data"] = {**record["data"], "labels": {"cell_type": {"T": 4000, "pDC": 12}}}
    limits = write_card(record).split("## Limits")[1].split("##")[0]
    assert "pDC (12)" in limits
    assert "T (4,000)" not in limits


@pytest.mark.parametrize(
    ("uns", "expected"),
    [
        ({}, ("", "", "")),
        ({"source": "A study"}, ("", "A study", "")),
        ({"source": {"name": "PBMC", "species": "human", "licence": "MIT"}}, ("human", "PBMC", "MIT")),
        ({"title": "Atlas", "organism": "Mus musculus", "license": "CC0"}, ("Mus musculus", "Atlas", "CC0")),
        ({"source": 3, "organism": ["a"]}, ("", "", "")),
        ({"source": "x\x1b[31m" + "y" * 400}, ("", ("x\\x1b[31m" + "y" * 400)[:297] + "...", "")),
    ],
)
def test_the_origin_is_what_uns_says(uns: dict[str, Any], expected: tuple[str, str, str], tmp_path: Path) -> None:
    assert tuple(describe_origin(uns).values()) == expected
    cells = ad.AnnData(uns={name: value for name, value in uns.items() if not isinstance(value, list)})
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert read_origin(tmp_path / "cells.h5ad") == read_origin([tmp_path / "cells.h5ad"]) == describe_origin(cells.uns)
