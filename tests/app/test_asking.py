"""Cells asked for: generated, predicted, on the way, and added; each equal to what its line of Python makes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.app.conftest import Client

from scdiffuse import evaluation
from scdiffuse.cli import run
from scdiffuse.generator import CellGenerator, load


@pytest.fixture(scope="module")
def names(client: Client, data: Path) -> dict[str, Any]:
    """What the lines of Python name."""
    import scdiffuse as scd

    return {"c1": ad.read_h5ad(data / "cells.h5ad"), "m2": load(data / "model.scd"), "ad": ad, "scd": scd}


def _made(client: Client, job: dict[str, Any]) -> ad.AnnData:
    name = job["result"]["cells"]
    assert client.ready("cells", name)["state"] == "ready"
    return client.app.session.adata(name)


def _assert_python_makes(job: dict[str, Any], made: ad.AnnData, names: dict[str, Any]) -> None:
    exec(job["python"], held := dict(names))
    again = held[job["result"]["cells"]]
    assert (again.X != made.X).nnz == 0
    assert list(again.obs_names) == list(made.obs_names)


def test_generated_cells_are_those_of_their_python_line(client: Client, names: dict[str, Any]) -> None:
    job = client.do(
        kind="generate", model="m2", n_cells=7, where={"cell_type": "NK", "treated": "True"}, guidance=1.5, seed=3
    )
    assert job["python"].endswith(".generate(7, where={'cell_type': 'NK', 'treated': True}, guidance=1.5, seed=3)")
    assert "scdiffuse generate" in job["command"]
    assert "--where cell_type=NK --where treated=True --guidance 1.5" in job["command"]
    made = _made(client, job)
    assert set(made.obs["cell_type"]) == {"NK"}
    _assert_python_makes(job, made, names)
    cells = client.get(f"cells/{job['result']['cells']}")
    assert cells["origin"] == {"model": "m2", "job": job["id"], "where": {"cell_type": "NK", "treated": "True"}}
    assert cells["name"] == "7 cell_type NK, treated True"
    assert job["result"]["text"].startswith("24 training cells have")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"n_cells": 20_001}, "`n_cells` is 20001"),
        ({"n_cells": 0}, "`n_cells` is 0"),
        ({"n_cells": "many"}, "`n_cells` is 'many'"),
        ({"where": {"cell_type": "Q"}}, "'Q'"),
        ({"where": {"organ": "Q"}}, "'organ'"),
        ({"where": {"day": "soon"}}, "soon"),
        ({"guidance": "strong"}, "`guidance` is 'strong'"),
        ({"guidance": -1}, "guidance"),
        ({"library_size": -5}, "`library_size` is -5"),
        ({"model": "m99"}, "no model 'm99'"),
        ({"seed": -1}, "`seed` is -1"),
        ({"kind": "dream"}, "`kind` is 'dream'"),
        ({"kind": "predict", "cells": {"cells": "c1", "indices": [150]}, "to": {"cell_type": "B"}}, "from 0 to 149"),
        ({"kind": "predict", "cells": {"cells": "c1"}, "to": {}}, "`to` is empty"),
        (
            {"kind": "predict", "cells": {"cells": "c1", "where": {"cell_type": ["Q"]}}, "to": {"cell_type": "B"}},
            "No cell",
        ),
        (
            {"kind": "trajectory", "from": {"cell_type": "T"}, "to": {"cell_type": "B"}, "n_states": 1},
            "`n_states` is 1",
        ),
        ({"kind": "augment", "cells": "c1"}, "`by` is None"),
        ({"kind": "evaluate", "real": "m2"}, "expected real cells"),
        ({"kind": "fit", "cells": "c1", "conditions": ["organ"]}, "'organ' is not a column"),
        ({"kind": "fit", "cells": "c1", "hold_out": 0.2}, "leaves 30 of 150 cells"),
    ],
)
def test_a_mistake_is_told_at_once_and_queues_nothing(client: Client, body: dict[str, Any], words: str) -> None:
    before = len(client.app.queue.jobs)
    answer = client.http.post("/api/jobs", json={"kind": "generate", "model": "m2", "n_cells": 5} | body)
    assert answer.status_code in {404, 422}
    assert words in answer.json()["error"]
    assert len(client.app.queue.jobs) == before


def test_predicted_cells_keep_their_order_and_their_changes_are_listed(client: Client, names: dict[str, Any]) -> None:
    rows = [5, 4, 20, 31]
    asked = {"cells": "c1", "indices": rows}
    job = client.do(kind="predict", model="m2", cells=asked, to={"cell_type": "B"}, seed=1)
    made, result = _made(client, job), job["result"]
    assert result["before"] == {"cells": "c1", "indices": rows}
    assert list(made.obs_names) == [f"cell-{row}" for row in rows]
    assert set(made.obs["cell_type"]) == {"B"}
    assert result["change"]["columns"][:4] == ["gene", "symbol", "log2_fold_change", "standard_error"]
    assert len(result["change"]["rows"]) == 25
    assert result["coverage"]["n_cells"] == 48
    _assert_python_makes(job, made, names)


@pytest.mark.parametrize(
    "body",
    [
        {
            "kind": "generate",
            "n_cells": 9,
            "where": {"cell_type": "NK", "day": 0.5},
            "guidance": 1.5,
            "library_size": [90, 9],
        },
        {
            "kind": "generate",
            "n_cells": 4,
            "guidance": {"cell_type": 2.0},
            "away": {"cell_type": ["B", 0.5]},
            "seed": 8,
        },
        {"kind": "predict", "cells": {"cells": "c1"}, "to": {"treated": "False"}, "seed": 3},
        {
            "kind": "trajectory",
            "from": {"cell_type": "T"},
            "to": {"day": 1.5},
            "n_cells": 3,
            "n_states": 3,
            "keep": 0.25,
        },
        {"kind": "augment", "cells": "c1", "by": "cell_type", "n_per_label": {"B": 52, "T": 50}, "guidance": 2.0},
        {"kind": "augment", "cells": "c1", "by": "cell_type", "n_per_label": 49},
    ],
    ids=lambda body: f"{body['kind']}-{len(body)}",
)
def test_the_command_makes_the_same_cells(
    client: Client, body: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.do(**({"model": "m2"} | body))
    made = _made(client, job)
    monkeypatch.chdir(tmp_path)
    assert run([*shlex.split(job["command"])[1:], "--no-progress"]) == 0
    again = ad.read_h5ad(tmp_path / f"{job['result']['cells']}.h5ad")
    assert (again.X != made.X).nnz == 0
    assert list(again.obs_names) == list(made.obs_names)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "predict", "cells": {"cells": "c1", "indices": [0, 1, 2]}, "to": {"cell_type": "B"}},
        {"kind": "trajectory", "cells": {"cells": "c1", "indices": [4]}, "to": {"cell_type": "B"}, "n_states": 2},
    ],
    ids=lambda body: str(body["kind"]),
)
def test_some_cells_of_a_file_have_no_command(client: Client, names: dict[str, Any], body: dict[str, Any]) -> None:
    job = client.do(model="m2", **body)
    assert job["command"] == ""
    _assert_python_makes(job, _made(client, job), names)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "predict", "to": {"cell_type": "B"}},
        {"kind": "trajectory", "to": {"cell_type": "B"}, "n_cells": 2, "n_states": 2},
        {"kind": "augment", "by": "cell_type", "n_per_label": 49},
    ],
    ids=lambda body: str(body["kind"]),
)
@pytest.mark.parametrize("layer", ["counts", "raw.X"])
def test_the_command_names_the_layer_of_the_cells(
    client: Client, data: Path, simulated: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    body: dict[str, Any], layer: str,
) -> None:  # fmt: skip
    cells = simulated.copy()
    cells.layers["counts"], cells.raw = cells.X.copy(), simulated
    cells.X = cells.X * 2
    cells.write_h5ad(data / "places@2.h5ad")
    name = client.open("data/places@2.h5ad", layer=layer)["id"]
    job = client.do(model="m2", cells=name if body["kind"] == "augment" else {"cells": name}, **body)
    made = _made(client, job)
    monkeypatch.chdir(tmp_path)
    assert run([*shlex.split(job["command"])[1:], "--no-progress"]) == 0
    again = ad.read_h5ad(tmp_path / f"{job['result']['cells']}.h5ad")
    assert (again.X != made.X).nnz == 0


def test_a_trajectory_has_a_cell_for_each_state_and_start(client: Client, names: dict[str, Any]) -> None:
    body: dict[str, Any] = {
        "model": "m2",
        "from": {"cell_type": "T"},
        "to": {"cell_type": "B"},
        "n_cells": 6,
        "n_states": 4,
        "seed": 2,
    }
    job = client.do(kind="trajectory", **body)
    made, result = _made(client, job), job["result"]
    assert made.n_obs == 24
    assert (result["n_states"], result["n_cells"]) == (4, 6)
    assert result["weights"] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    np.testing.assert_array_equal(made.obs["state"].to_numpy(dtype=int), np.repeat(range(4), 6))
    _assert_python_makes(job, made, names)
    given = {"cells": "c1", "where": {"cell_type": ["T"]}}
    again = client.do(kind="trajectory", model="m2", cells=given, to={"cell_type": "B"}, n_cells=5, n_states=2)
    assert again["result"]["n_cells"] == 5
    _assert_python_makes(again, _made(client, again), names)


def test_augmentation_fills_up_labels_and_measures_what_a_classifier_gains(
    client: Client, names: dict[str, Any]
) -> None:
    job = client.do(kind="augment", model="m2", cells="c1", by="cell_type", n_per_label={"B": 60})
    made, result = _made(client, job), job["result"]
    rows = {row["label"]: row for row in result["rows"]}
    assert (rows["B"]["n_real"], rows["B"]["n_generated"], rows["T"]["n_generated"]) == (48, 12, 0)
    assert made.obs["source"].value_counts().to_dict() == {"real": 150, "generated": 12}
    assert 0 <= rows["B"]["recall_augmented"] <= 1
    assert "which the model may have been fitted to" in result["gain"]["text"]
    _assert_python_makes(job, made, names)


def test_an_evaluation_with_some_of_the_real_cells_has_no_command(
    client: Client, simulated: ad.AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = evaluation.evaluate(simulated, simulated, metrics=["energy"], n_seeds=1, progress=False)
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: report)
    for where, options in ({"cell_type": "T"}, None), ({}, "--real"):
        made = client.do(kind="generate", model="m2", n_cells=20, where=where)["result"]["cells"]
        job = client.do(kind="evaluate", real="c1", generated=made)
        assert (options in job["command"]) if options else not job["command"]
        assert f"report.save('{job['id']}.html')" in job["python"]


def test_the_notebook_of_a_session_runs(client: Client, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    client.do(kind="generate", model="m2", n_cells=5)
    answer = client.http.get("/api/notebook")
    assert answer.headers["content-disposition"] == 'attachment; filename="session.ipynb"'
    tree = answer.json()
    assert (tree["nbformat"], tree["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in tree["cells"]}) == len(tree["cells"])
    sources = [cell["source"] for cell in tree["cells"] if cell["cell_type"] == "code"]
    assert sources[0] == "import anndata as ad\nimport scdiffuse as scd"
    assert any(source.startswith("c1 = ad.read_h5ad(") for source in sources)
    assert any(source.startswith("m2 = scd.load(") for source in sources)
    for source in sources:
        compile(source, "notebook", "exec")
    script = client.get("script")
    assert "scdiffuse generate" in script["command"]
    assert script["python"].startswith("import anndata as ad")


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_soon(client: Client) -> None:
    long = client.post("jobs", {"kind": "generate", "model": "m2", "n_cells": 20_000, "solver_steps": 100}, status=202)
    waiting = client.post("jobs", {"kind": "generate", "model": "m2", "n_cells": 5}, status=202)
    assert client.post(f"jobs/{waiting['id']}/cancel")["state"] == "cancelled"
    client.post(f"jobs/{long['id']}/cancel")
    assert client.over(long["id"])["state"] == "cancelled"
    assert client.post(f"jobs/{waiting['id']}/resume", status=422)["error"].startswith("Job")


def test_a_queue_has_an_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from scdiffuse.app import _jobs

    monkeypatch.setattr(_jobs, "MAX_QUEUE", 0)
    answer = client.http.post("/api/jobs", json={"kind": "generate", "model": "m2", "n_cells": 5})
    assert answer.status_code == 429
    assert "wait already" in answer.json()["error"]


def test_a_model_is_described_with_the_cells_of_each_label(client: Client, fitted: CellGenerator) -> None:
    found = client.get("models/m2")
    assert found["conditions"]["cell_type"] == [{"label": one, "n": 48} for one in ("T", "NK", "B")]
    assert found["continuous"]["day"]["high"] == 2.0
    assert (found["n_genes"], found["n_cells"], found["can_guide"]) == (25, 150, True)
    assert [len(found["history"][stage]) for stage in found["history"]] == [len(one) for one in fitted.history.values()]


def test_the_grid_of_coverage_counts_training_cells(client: Client, simulated: ad.AnnData) -> None:
    found = client.get("models/m2/coverage", rows="cell_type", columns="treated")
    counts = simulated.obs.groupby(["cell_type", "treated"], observed=True).size().unstack()
    assert found["rows"] == {"name": "cell_type", "labels": ["T", "NK", "B"]}
    assert found["columns"] == {"name": "treated", "labels": ["False", "True"]}
    assert found["n"] == counts.loc[["T", "NK", "B"]].to_numpy().tolist()
    alone = client.get("models/m2/coverage", rows="cell_type")
    assert (alone["columns"], alone["n"]) == (None, [[48], [48], [48]])
    days = client.get("models/m2/coverage", rows="day", columns="cell_type")
    assert days["rows"]["labels"] == ["0", "0.5", "1", "1.5", "2"]
    measured = client.post("models/m2/support", {"where": {"day": "0.5"}})
    assert measured["text"] == "day 0.5 was measured."
    assert client.post("models/m2/support", {"where": {"cell_type": "B", "day": 9}})["is_unseen"]


def test_a_model_is_downloaded_as_a_folder_that_loads(client: Client, tmp_path: Path) -> None:
    import io
    import zipfile

    answer = client.http.get("/api/models/m2/download")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    assert list(load(tmp_path / "m2.scd").genes) == [f"gene-{at}" for at in range(25)]
