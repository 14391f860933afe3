"""What the page says about odd inputs, and how one is judged in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.studies import attack
from tests.attack import law
from tests.attack.law import Attempt, Verdict
from tests.benchmarks.conftest import record


def test_the_page_counts_inputs_by_family_and_all_together() -> None:
    shared = {"n_distinct": 9, "n_library": 1, "n_bad": 0, "most_seconds": 0.25}
    rows = [
        {**shared, "what": "damaged bytes", "n": 10, "n_done": 4, "n_refused": 5},
        {**shared, "what": "options", "n": 1_990, "n_done": 990, "n_refused": 1_000, "most_seconds": 1.5},
    ]
    text = "\n".join(attack.lines([record("attack", row, family=row["what"]) for row in rows]))
    assert "2,000 odd inputs" in text
    assert "| damaged bytes | 10 | 9 | 4 | 5 | 1 | 0 | 0.2 |" in text
    assert "| all | 2,000 | 18 | 994 | 1,005 | 2 | 0 | 1.5 |" in text


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_dies_is_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = Attempt(words=["inspect", "x"], named=["x"], root=tmp_path)
    found = attack.isolated(attempt)
    assert (found.code, found.broken) == (2, [])

    def die(_: Attempt) -> Verdict:
        raise SystemError

    monkeypatch.setattr(law, "judge", die)
    assert attack.isolated(attempt).broken == ["the judge failed: SystemError()"]
