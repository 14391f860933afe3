"""Selections compared: genes that differ beside a real-vs-real reference, and several genes at once."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.app.conftest import Client

from scdiffuse.evaluation import compare_groups

A, B = ({"cells": "c1", "where": {"cell_type": [label]}} for label in ("T", "B"))


def test_two_selections_are_compared_beside_two_halves_of_the_real_cells(client: Client, simulated: ad.AnnData) -> None:
    found = client.post("differential", {"a": A, "b": B})
    labels = simulated.obs["cell_type"]
    expected = compare_groups(simulated[labels == "T"], simulated[labels == "B"])
    assert found["columns"] == ["gene", "symbol", *expected.table.columns]
    assert [row[0] for row in found["rows"]] == list(expected.table.index)
    assert found["rows"][0][1] == found["rows"][0][0].replace("gene-", "S")
    np.testing.assert_allclose([row[3] for row in found["rows"]], expected.table["p"])
    assert (found["n_a"], found["n_b"], found["n_significant"]) == (48, 48, expected.n_significant)
    reference = found["reference"]
    assert (reference["n_a"], reference["n_b"]) == (24, 24)
    assert reference["n_significant"] < found["n_significant"]
    assert found["verdict"]["level"] == "differs"
    assert "Between two random halves of the real cells that are selected" in found["verdict"]["text"]


def test_the_line_of_python_makes_the_table(client: Client, simulated: ad.AnnData) -> None:
    picked = {"cells": "c1", "indices": list(range(30, 60))}
    found = client.post("differential", {"a": [A, picked], "b": B})
    assert found["n_a"] == 78
    alone = client.post("differential", {"a": picked, "b": B})
    for one in (found, alone):
        exec(one["python"], held := {"c1": simulated, "ad": ad})
        np.testing.assert_array_equal(held[one["table"]].table["p"], [row[3] for row in one["rows"]])


def test_the_line_of_python_takes_the_cells_that_are_shown_of_too_many(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = client.app.session
    monkeypatch.setattr(session, "limits", replace(session.limits, max_shown=60))
    name = client.open("data/cells.h5ad")["id"]
    sides = [{"cells": name, "indices": list(rows)} for rows in (range(30), range(30, 60))]
    found = client.post("differential", {"a": sides[0], "b": sides[1]})
    lines = [action.lines.python for action in session.actions if action.lines.python.find(f"{name}_shown = ") > 0]
    exec("\n".join([*lines, found["python"]]), held := {"ad": ad})
    np.testing.assert_array_equal(held[found["table"]].table["p"], [row[3] for row in found["rows"]])
    client.http.delete(f"/api/cells/{name}")


def test_generated_cells_are_compared_with_real_ones(client: Client) -> None:
    made = client.do(kind="generate", model="m2", n_cells=50, where={"cell_type": "T"})["result"]["cells"]
    client.ready("cells", made)
    found = client.post("differential", {"a": {"cells": made}, "b": A})
    assert found["n_a"] == 50
    assert found["reference"]["n_b"] == 24
    both = client.post("differential", {"a": {"cells": made, "indices": [0, 1, 2]}, "b": {"cells": made}})
    assert both["reference"] is None
    assert "No real-vs-real reference" in both["verdict"]["text"]
    tiny = client.post("differential", {"a": {"cells": made, "indices": [0, 1]}, "b": A}, status=422)
    assert tiny["kind"] == "CountsError"


def test_a_table_is_downloaded_as_csv(client: Client) -> None:
    found = client.post("differential", {"a": A, "b": B})
    answer = client.http.get(f"/api/tables/{found['table']}.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == found["columns"]
    assert [row[0] for row in rows[1:]] == [row[0] for row in found["rows"]]
    client.get("tables/d999.csv", status=404)


def test_several_genes_are_summed_up_by_label(client: Client, simulated: ad.AnnData) -> None:
    body = {
        "groups": [{"cells": "c1", "by": "cell_type"}, {"cells": "c1", "by": "treated"}],
        "genes": ["gene-1", "nothing"],
    }
    rows = client.post("dotplot", body)["rows"]
    assert [row["label"] for row in rows] == ["T", "NK", "B", "False", "True"]
    mine = simulated[simulated.obs["cell_type"] == "T"].X.toarray()
    logs = np.log1p(mine[:, 1] / mine.sum(axis=1) * 1e4)
    assert rows[0]["n"] == 48
    assert rows[0]["mean"] == [pytest.approx(logs.mean(), rel=1e-5), None]
    assert rows[0]["fraction"] == [pytest.approx((mine[:, 1] > 0).mean()), None]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"a": A},
        {"a": A, "b": {"cells": "c1", "indices": []}},
        {"a": A, "b": {"cells": "c1", "indices": [-1]}},
        {"a": A, "b": {"cells": "c1", "indices": "all"}},
        {"a": A, "b": {"cells": "c1", "where": {"organ": ["x"]}}},
        {"a": A, "b": {"cells": "c1", "where": ["x"]}},
        {"a": A, "b": []},
        {"a": A, "b": [B] * 21},
    ],
)
def test_selections_that_cannot_be_read_are_refused(client: Client, body: dict[str, Any]) -> None:
    assert client.post("differential", body, status=422)["error"]


def test_bodies_that_are_no_json_objects_are_refused(client: Client) -> None:
    json = {"content-type": "application/json"}
    assert client.http.post("/api/differential", content=b"{", headers=json).status_code == 422
    assert client.http.post("/api/differential", content=b"[1]", headers=json).status_code == 422
    assert client.http.post("/api/differential", content=b"a=1").status_code == 415
    assert client.http.post("/api/differential", content=b" " * (9 * 1024**2), headers=json).status_code == 413
    assert client.http.post("/api/nowhere", json={}).status_code in {404, 405}
