"""Requests that no page sends: each is refused with a sentence, and none is a fault of the server."""

from __future__ import annotations

import json
import math
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anndata as ad
import pytest
from tests.app.conftest import Client

from scdiffuse.app import _session

VALUES: list[Any] = [None, True, -1, 1e300, "x" * 5_000, "\0", [None], {"a": {"b": []}}, math.nan, math.inf, []]
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
    sent = json.dumps(body)  # with `NaN` and `Infinity`, which httpx does not send by itself
    answer = client.http.post(f"/api/{path}", content=sent, headers={"content-type": "application/json"})
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
        for value in ("", "../../etc", "\0", "x" * 3_000, "²", "9" * 5_000, "data/" + "x" * 300):
            base = {"frame": "c1", "cells": "c1", "name": "gene-1", "rows": "cell_type"}
            answer = client.http.get(f"/api/{path}", params=base | {name: value})
            assert answer.status_code < 500, (path, name, value, answer.text)


def test_a_target_without_a_label_is_refused(client: Client) -> None:
    body = {"kind": "generate", "model": "m2", "away": {"cell_type": []}}
    assert "expected a label for each condition" in client.post("jobs", body, status=422)["error"]
    body = {"kind": "generate", "model": "m2", "toward": {"cell_type": ["B", 2.0, 3.0]}}
    client.post("jobs", body, status=422)


def test_augmentation_makes_no_more_cells_than_a_request_may(client: Client) -> None:
    found = client.do("failed", kind="augment", model="m2", cells="c1", by="cell_type", n_per_label={"B": 25_000})
    assert found["error"].startswith("`n_per_label` asks for 24,952 cells; expected at most 20,000 in all.")


def test_downloads_at_once_are_all_whole(client: Client, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        for path, n in (("cells/c1", 150), ("models/m2", 0)):
            answers = list(pool.map(lambda _, path=path: client.http.get(f"/api/{path}/download"), range(6)))
            assert [one.status_code for one in answers] == [200] * 6
            for at, one in enumerate(answers):
                (kept := tmp_path / str(at)).write_bytes(one.content)
                if n:
                    assert ad.read_h5ad(kept).n_obs == n
                else:
                    assert zipfile.ZipFile(kept).testzip() is None


def test_where_no_more_can_be_opened_no_job_begins_and_what_is_made_still_opens(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "_MOST_THINGS", 2)
    bodies: dict[str, dict[str, object]] = {
        "cells": {"file": "data/cells.h5ad"},
        "models": {"file": "data/model.scd"},
        "jobs": {"kind": "fit", "cells": "c1", "conditions": ["cell_type"]},
    }
    for path, body in bodies.items():
        assert "Remove some first" in client.post(path, body, status=429)["error"]
    assert client.app.session.new_id("m").startswith("m")
