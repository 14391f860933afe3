"""A small part of the attack, the same inputs in each run; ``python -m benchmarks attack`` runs the long one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.attack.law import judge
from tests.attack.place import Place
from tests.attack.table import FAMILIES, Family

N_INPUTS = 120
"""Of all families together."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_command_does_what_was_asked_or_names_what_it_refuses(family: Family, place: Place) -> None:
    @settings(
        max_examples=max(4, round(N_INPUTS * family.share)),
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        with place.fresh() as folder:
            verdict = judge(family.draw(data.draw, place, folder))
        assert not verdict.broken, str(verdict)

    attack()
