"""What is found in cells, what can be mended with a click, and that a mend is what inspection then sees."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from tests.app.conftest import Client

import scdiffuse


@pytest.fixture(scope="module")
def odd(data: Path, simulated: ad.AnnData) -> str:
    """Cells with normalised `X`, counts in a layer, and rare labels."""
    cells = simulated.copy()
    cells.layers["counts"] = cells.X.copy()
    cells.layers["other"] = cells.X + cells.X
    cells.X = cells.X / 2.5
    labels = cells.obs["cell_type"].astype(object).to_numpy()
    labels[2], labels[5], labels[8], labels[11] = "a", "a", "b", "b"
    cells.obs["cell_type"] = labels
    cells.write_h5ad(data / "odd.h5ad")
    return "data/odd.h5ad"


def test_several_places_with_counts_are_offered(client: Client, odd: str) -> None:
    found = client.open(odd)["inspect"]
    assert not found["fittable"]
    assert [(one["title"], one["body"]) for one in found["mends"][:2]] == [
        ("Read the counts of layer counts", {"layer": "counts"}),
        ("Read the counts of layer other", {"layer": "other"}),
    ]


def test_a_mend_is_what_inspection_then_sees(client: Client, odd: str) -> None:
    cells = client.open(odd, layer="counts")
    found = cells["inspect"]
    assert found["fittable"]
    assert found["fit_seconds"] > 0
    mends = {one["id"]: one for one in found["mends"]}
    assert mends["rare:cell_type"]["title"] == "Merge 2 labels of cell_type with fewer than 20 cells into 'other'"
    merged = client.post("cells", {"from": cells["id"], **mends["rare:cell_type"]["body"]}, status=202)
    merged = client.ready("cells", merged["id"], key="inspected", value=True)
    assert merged["options"]["layer"] == "counts"
    assert {"label": "other", "n": 4} in merged["inspect"]["conditions"]["cell_type"]
    assert "read_cells('" in merged["python"]
    assert ".replace({'a': 'other', 'b': 'other'})" in merged["python"]
    dropped = client.post("cells", {"from": merged["id"], "labels": {"cell_type": {"drop": ["T"]}}}, status=202)
    dropped = client.ready("cells", dropped["id"], key="inspected", value=True)
    labels = {one["label"] for one in dropped["inspect"]["conditions"]["cell_type"]}
    assert labels == {"NK", "B", "other"}
    mends = {one["id"]: one for one in dropped["inspect"]["mends"]}
    fewer = client.post("cells", {"from": dropped["id"], **mends["drop:cell_type"]["body"]}, status=202)
    fewer = client.ready("cells", fewer["id"], key="inspected", value=True)
    assert {one["label"] for one in fewer["inspect"]["conditions"]["cell_type"]} == {"NK", "B"}


def test_numbers_that_are_labels_are_renamed_by_the_line_of_python(
    client: Client, data: Path, simulated: ad.AnnData
) -> None:
    cells = simulated.copy()
    cells.obs["batch"] = np.arange(cells.n_obs) % 3
    cells.write_h5ad(data / "numbers.h5ad")
    found = client.open("data/numbers.h5ad", labels={"batch": {"merge": ["1", "2"]}})
    counted = {one["label"]: one["n"] for one in found["inspect"]["conditions"]["batch"]}
    exec(found["python"], held := {"ad": ad})
    assert held[found["id"]].obs["batch"].value_counts().to_dict() == counted == {"0": 50, "other": 100}


def test_counts_with_decimals_are_offered_to_be_rounded(client: Client, data: Path, simulated: ad.AnnData) -> None:
    soup = simulated.copy()
    soup.X = soup.X - soup.X * 0.01
    soup.write_h5ad(data / "soup.h5ad")
    found = client.open("data/soup.h5ad")["inspect"]
    assert [one["body"] for one in found["mends"] if one["id"] == "round"] == [{"round": True}]
    assert client.open("data/soup.h5ad", round=True)["inspect"]["fittable"]


def test_labels_stay_text_whatever_they_hold(client: Client, data: Path, simulated: ad.AnnData) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    cells = simulated.copy()
    cells.obs["cell_type"] = np.where(np.arange(cells.n_obs) % 2, nasty, "T")
    cells.write_h5ad(data / "nasty.h5ad")
    found = client.open("data/nasty.h5ad")
    assert nasty in found["obs"][0]["labels"]
    answer = client.http.get(f"/api/cells/{found['id']}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_bundled_cells_become_a_file_of_the_session(client: Client) -> None:
    made = client.post("cells", {"bundled": "pbmc68k"}, status=202)
    found = client.ready("cells", made["id"], key="inspected", value=True)
    assert (found["file"], found["n_cells"], found["n_genes"]) == ("uploads/pbmc68k.h5ad", 700, 765)
    assert found["inspect"]["fittable"]
    assert scdiffuse.datasets.pbmc68k().n_obs == 700
    client.post("cells", {"bundled": "everything"}, status=422)


def test_cells_beyond_the_bound_are_drawn_at_random_and_that_is_said(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    session = client.app.session
    monkeypatch.setattr(session, "limits", replace(session.limits, max_shown=60))
    found = client.open("data/cells.h5ad")
    assert (found["n_cells"], found["n_shown"]) == (150, 60)
    assert found["note"] == "60 of 150 cells are shown, drawn at random."
    assert client.numbers("map/points", frame=found["id"], cells=found["id"]).shape == (120,)


def test_what_is_not_looked_at_leaves_memory_and_comes_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    store = client.app.session._store
    monkeypatch.setattr(store, "_max_bytes", 1)
    before = client.numbers("cells/c1/gene", name="gene-1", scale="counts")
    client.open("data/cells.h5ad")
    assert "c1" not in store._held
    np.testing.assert_array_equal(client.numbers("cells/c1/gene", name="gene-1", scale="counts"), before)


def test_removed_cells_are_gone_and_that_is_announced(client: Client) -> None:
    made = client.open("data/cells.h5ad")["id"]
    since = client.get("session")["now"]
    assert client.http.delete(f"/api/cells/{made}").status_code == 200
    client.get(f"cells/{made}", status=404)
    assert {"id": made, "state": "removed"} in client.get("changes", since=since)["cells"]
    assert client.http.delete(f"/api/cells/{made}").status_code == 404
