"""What the page says about compiled networks and bfloat16."""

from __future__ import annotations

from benchmarks.studies.step_settings import PLAIN, lines
from tests.benchmarks.conftest import record


def test_the_page_says_after_how_many_steps_compiling_pays() -> None:
    shared = {"stage": "diffusion", "steps": 900, "loss": 0.5}
    rows = [
        {**shared, "way": PLAIN, "first": 0.0, "step": 0.03},
        {**shared, "way": "compiled", "first": 20.0, "step": 0.02},
    ]
    text = "\n".join(lines([record("step_settings", rows, data_set="cells", device="cpu", threads=1)]))
    assert "| cells | diffusion | cpu | 1 | as it is | 30.00 | 1.000 | 0.000 |  | 900 | 0.5000 |" in text
    assert "| cells | diffusion | cpu | 1 | compiled | 20.00 | 1.500 | 20.00 | 2,000 | 900 | 0.5000 |" in text
