"""The README stays short, and its numbers are those of the records."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.figures.overview import TOOLS, auc_of_tools

import scdiffuse as scd

ROOT = Path(scd.__file__).parents[2]
README = (ROOT / "README.md").read_text()
FACE = README.partition("<details>")[0]
MOST_WORDS = 450


def test_the_face_is_short() -> None:
    assert len(FACE.split()) <= MOST_WORDS


@pytest.mark.parametrize(
    "word",
    [
        "AnnData",
        "augmentation",
        "perturbation",
        "time course",
        "trajector",
        "batch",
        "donor",
        "foundation",
        "covariate",
        "differential expression",
        "UMAP",
        "make demo",
        "make test",
        "pip install",
        "btae518",
        "CITATION.cff",
    ],
)
def test_the_face_has_the_words_that_people_search_for(word: str) -> None:
    assert word.lower() in FACE.lower()


def test_the_numbers_of_the_comparison_are_those_of_the_records() -> None:
    values, words = auc_of_tools(), " ".join(FACE.split())
    row = next(line for line in FACE.splitlines() if line.startswith("| AUC"))
    shown = [float(number) for number in re.findall(r"(?<= )\d?\.\d\d", row)]
    means = values.mean()
    means["scvi"] = min(means["scvi-posterior"], means["scvi-nb"])
    assert shown == pytest.approx(means[["ours", "original", "scvi", "scdesigner"]].tolist(), abs=0.0051)
    assert f"{len(values)} data sets" in words
    assert f"{values['n_cells'].min():,.0f} to {values['n_cells'].max():,.0f} cells a side" in words
    assert f"real against real {means['reference']:.2f}".replace("0.", ".") in words
    assert f"pretrained weights; {values['original'].notna().sum()} data sets" in words
    ends = [f"{end:.2f}".removeprefix("0") for end in (values["scvi-nb"].min(), values["scvi-nb"].max())]
    assert f"stops: {ends[0]} with thousands of cells and few genes, {ends[1]} with few cells" in words
    assert set(TOOLS) >= {"ours", "original", "scvi-posterior", "scvi-nb", "scdesigner"}


def test_the_version_is_that_of_the_package() -> None:
    assert f"version-{scd.__version__}-" in FACE
    assert f"version: {scd.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{scd.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()
