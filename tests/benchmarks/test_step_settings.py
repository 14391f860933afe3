"""What the page says about compiled networks and bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.__main__ import main
from benchmarks.studies.step_settings import PLAIN, lines
from tests.benchmarks.conftest import record

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_says_after_how_many_steps_compiling_pays() -> None:
    shared = {"stage": "diffusion", "steps": 900, "loss": 0.5}
    rows = [
        {**shared, "way": PLAIN, "first": 0.0, "step": 0.03},
        {**shared, "way": "compiled", "first": 20.0, "step": 0.02},
    ]
    text = "\n".join(lines([record("step_settings", rows, data_set="cells", device="cpu", threads=1)]))
    assert "| cells | diffusion | cpu | 1 | as it is | 30.00 | 1.000 | 0.000 |  | 900 | 0.5000 |" in text
    assert "| cells | diffusion | cpu | 1 | compiled | 20.00 | 1.500 | 20.00 | 2,000 | 900 | 0.5000 |" in text


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.h5ad"
    with pytest.raises(SystemExit, match=f"There is no file {missing}"):
        main(["step_settings", str(missing), "--results", str(tmp_path), "--work", str(tmp_path)])
