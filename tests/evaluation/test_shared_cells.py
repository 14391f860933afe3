"""Cells that are in two samples which should hold different cells are refused, or told of."""

from __future__ import annotations

from typing import Any

import anndata as ad
import pytest

from scdiffuse.evaluation import audit, evaluate


def test_an_audit_refuses_held_out_cells_that_are_training_cells(splits: Any) -> None:
    with pytest.raises(ValueError, match=r"600 of 600 `held_out` cells are training cells, count for count"):
        audit(splits.train, splits.train[::-1].copy(), splits.perfect, progress=False)


def test_an_audit_tells_of_a_few_held_out_cells_that_are_training_cells(splits: Any) -> None:
    held_out = ad.concat([splits.real, splits.train[:30]], index_unique="-")
    with pytest.warns(match="30 of 430 `held_out` cells are `train` cells too"):
        report = audit(splits.train, held_out, splits.perfect, progress=False)
    assert any(note.startswith("30 of 430 `held_out` cells") for note in report.settings["notes"])


def test_an_evaluation_tells_of_real_cells_that_are_training_cells(splits: Any) -> None:
    with pytest.warns(match="400 of 400 `real` cells are `train` cells too"):
        report = evaluate(splits.real, splits.perfect, train=splits.real, metrics=["energy"], n_seeds=1, progress=False)
    assert report.settings["notes"][0].startswith("400 of 400 `real` cells are `train` cells too")


def test_different_cells_are_not_told_of(splits: Any) -> None:
    report = evaluate(
        splits.real,
        splits.perfect,
        reference=splits.reference,
        train=splits.train,
        metrics=["energy"],
        n_seeds=1,
        progress=False,
    )
    assert not any("cells too" in note for note in report.settings["notes"])
