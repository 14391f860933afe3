"""The results page: the floor above all, seeds in one number, and what is missing named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from benchmarks.table import COLUMNS

from benchmarks import page


def row(generator: str, seed: int, value: float) -> dict[str, object]:
    known = {"data_set": "pbmc3k", "generator": generator, "seed": seed, "n_fit": 60, "n_held_out": 20, "n_genes": 9}
    scored = {"group": "discriminators", "metric": "forest_genes_auc", "better": "lower", "value": value, "floor": 0.5}
    return known | scored | {"status": "done", "machine": "a machine", "date": "2026-01-01"}


def written(rows: list[dict[str, object]], folder: Path) -> str:
    page.write(pd.DataFrame(rows, columns=COLUMNS), folder)
    return (folder / "RESULTS.md").read_text(encoding="utf-8")


def test_the_floor_stands_first_and_seeds_make_a_mean_with_its_spread(tmp_path: Path) -> None:
    text = written([row("ours", 0, 0.6), row("ours", 1, 0.8), row("pca-mixture", 0, 0.9)], tmp_path)
    lines = text[text.index("## pbmc3k") :].splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == "| generator | forest AUC, genes |"
    assert table[2:5] == [
        "| *real cells (floor)* | 0.500 \u00b1 0.000 |",
        "| `ours` | 0.700 \u00b1 0.141 |",
        "| `pca-mixture` | 0.900 |",
    ]


def test_what_was_not_scored_is_named(tmp_path: Path) -> None:
    text = written([row("ours", 0, 0.6), row("ours", 1, 0.8), row("pca-mixture", 0, 0.9)], tmp_path)
    assert "- pbmc68k: not scored yet" in text
    assert "`pca-mixture` (1 of 2)" in text
    assert "`ours` (" not in text


def test_an_empty_table_makes_a_page_that_says_so(tmp_path: Path) -> None:
    assert "No run has been carried out yet." in written([], tmp_path)
