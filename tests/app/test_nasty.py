"""Requests that no page sends: each is refused with a sentence, and none is a fault of the server."""

from __future__ import annotations

from typing import Any

import pytest
from tests.app.conftest import Client

VALUES: list[Any] = [None, True, -1, 1e300, "x" * 5_000, "\0", [None], {"a": {"b": []}}]
GOOD: dict[str, dict[str, Any]] = {
    "generate": {"model": "m2", "n_cells": 3, "where": {"cell_type": "B"}, "guidance": 1.0, "seed": 0, "away": {},
                 "solver_steps": 2, "toward": {}, "library_size": 50},
    "predict": {"model": "m2", "cells": {"cells": "c1", "indices": [0, 1, 2]}, "to": {"cell_type": "B"}},
    "trajectory": {"model": "m2", "from": {"cell_type": "B"}, "to": {"cell_type": "T"}, "n_cells": 2, "n_states": 2,
                   "keep": 0.5},
    "augment": {"model": "m2", "cells": "c1", "by": "cell_type", "n_per_label": 48},
    "fit": {"cells": "c1", "conditions": ["nowhere"], "continuous": [], "hold_out": 0.0, "max_epochs": 1},
    "evaluate": {"real": "x", "generated": None, "model": "m2", "by": "cell_type"},
}  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {
    "cells": {"file": "data/nowhere.h5ad", "layer": None, "round": False, "labels": {}, "from": None, "bundled": None},
    "models": {"file": "data/nowhere"},
    "models/m2/support": {"where": {"cell_type": "B"}},
    "differential": {"a": {"cells": "c1"}, "b": {"cells": "c1"}},
    "dotplot": {"groups": [{"cells": "c1", "by": "cell_type"}], "genes": ["gene-1"]},
}


def _ask(client: Client, path: str, body: dict[str, Any]) -> None:
    answer = client.http.post(f"/api/{path}", json=body)
    assert answer.status_code < 500, (path, body, answer.text)
    if answer.status_code >= 400:
        assert answer.json()["error"], (path, body)
    if path == "jobs" and answer.status_code == 202:
        found = client.over(answer.json()["id"])
        assert "A fault of scdiffuse" not in str(found["error"]), (body, found["error"])


@pytest.mark.parametrize("kind", GOOD)
def test_no_value_of_a_job_is_a_fault(client: Client, kind: str) -> None:
    for name in GOOD[kind]:
        for value in (
            VALUES if (kind, name) != ("fit", "conditions") else VALUES[1:4]
        ):  # without conditions, it is a fit
            _ask(client, "jobs", {"kind": kind} | GOOD[kind] | {name: value})
        if isinstance(GOOD[kind][name], dict):
            keys = ("indices", "where") if name == "cells" else ("cell_type", "day", "nowhere")
            for value in VALUES[1::2]:
                for key in keys:
                    _ask(client, "jobs", {"kind": kind} | GOOD[kind] | {name: GOOD[kind][name] | {key: value}})


@pytest.mark.parametrize("path", OTHERS)
def test_no_value_of_another_request_is_a_fault(client: Client, path: str) -> None:
    for name in OTHERS[path]:
        for value in VALUES:
            _ask(client, path, OTHERS[path] | {name: value})
    for value in VALUES[1::2]:
        for key in ("cells", "indices", "where", "by", "merge", "drop", "rename"):
            name = next(iter(OTHERS[path]))
            _ask(
                client,
                path,
                OTHERS[path] | {name: {"cells": "c1"} | {key: value}, "labels": {"cell_type": {key: value}}},
            )
            _ask(client, path, OTHERS[path] | {name: [{"cells": "c1"} | {key: value}]})


@pytest.mark.parametrize(
    "path",
    [
        "cells/c1/column", "cells/c1/gene", "cells/nowhere/gene", "genes", "map", "map/points", "models/m2/coverage",
        "files", "changes", "jobs/j999", "jobs/j999/report", "tables/x.csv", "cells/c1/download", "models/x/download",
    ],
)  # fmt: skip
def test_no_value_of_an_address_is_a_fault(client: Client, path: str) -> None:
    for name in ("name", "cells", "q", "frame", "method", "rows", "columns", "folder", "since", "scale"):
        for value in ("", "../../etc", "\0", "x" * 3_000):
            base = {"frame": "c1", "cells": "c1", "name": "gene-1", "rows": "cell_type"}
            answer = client.http.get(f"/api/{path}", params=base | {name: value})
            assert answer.status_code < 500, (path, name, value, answer.text)
