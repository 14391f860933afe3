"""The model card: what a reader asks first stands first, and what is not given is not made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import scdiffuse as scd
from scdiffuse.cells import describe_origin, read_origin, shard
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


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
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
    cells.write_zarr(tmp_path / "cells.zarr")
    assert read_origin(tmp_path / "cells.zarr") == describe_origin(cells.uns)


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("first", ["cells.h5ad", "cells.zarr", "older"])
def test_shards_keep_the_origin_of_their_first_file(first: str, tmp_path: Path) -> None:
    names = pd.DataFrame(index=[f"n{at}" for at in range(20)])
    cells = ad.AnnData(np.ones((20, 20), dtype=np.float32), obs=names, var=names)
    cells.write_h5ad(tmp_path / "other.h5ad")
    cells.uns["source"] = {"title": "A study", "species": "mouse", "license": "CC0", "doi": "10.1/x"}
    cells.write_h5ad(tmp_path / "cells.h5ad")
    cells.write_zarr(tmp_path / "cells.zarr")
    shard(tmp_path / "cells.h5ad", tmp_path / "older", progress=False)
    shard([tmp_path / first, tmp_path / "other.h5ad"], tmp_path / "shards", cells_per_shard=16, progress=False)
    expected = {"organism": "mouse", "source": "A study", "licence": "CC0"}
    assert read_origin(tmp_path / "shards") == read_origin([str(tmp_path / "shards")]) == expected
    assert len(list((tmp_path / "shards").glob("*.h5ad"))) == 3
    for path in (tmp_path / "shards").glob("*.h5ad"):
        assert describe_origin(ad.read_h5ad(path).uns) == expected  # a shard says it by itself
    shard(tmp_path / "other.h5ad", tmp_path / "silent", progress=False)
    assert read_origin(tmp_path / "silent") == {"organism": "", "source": "", "licence": ""}


@pytest.mark.filterwarnings("ignore")  # which layout of zarr is the newest
def test_a_collection_says_the_origin_of_its_first_part(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "cells.zarr"), mode="w")
    group.attrs["encoding-type"] = "annbatch-preshuffled"
    for at, name in enumerate(["A", "B"]):
        part = ad.AnnData(np.ones((3, 2), dtype=np.float32), uns={"source": {"name": name}})
        ad.io.write_elem(group, f"dataset_{at}", part)
    assert read_origin(tmp_path / "cells.zarr")["source"] == "A"


@pytest.mark.parametrize("name", ["missing", "folder", "broken.h5ad", "broken.zarr"])
def test_an_origin_that_cannot_be_read_is_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.h5ad").write_bytes(b"no cells")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{")
    assert read_origin(tmp_path / name) == {"organism": "", "source": "", "licence": ""}
