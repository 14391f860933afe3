"""Valid cells and a model, made once."""

from __future__ import annotations

import pytest
from tests.attack.law import watched
from tests.attack.place import Place, make_place


@pytest.fixture(scope="session")
def place_and_events(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, list[str]]:
    """Fit, add a classifier, generate, predict, evaluate and more; with the connections and programs they open."""
    with watched() as events:
        return make_place(tmp_path_factory.mktemp("attack")), events


@pytest.fixture(scope="session")
def place(place_and_events: tuple[Place, list[str]]) -> Place:
    """Where attacks happen."""
    return place_and_events[0]
