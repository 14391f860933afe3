"""Cells on the map: what the page is told of them, where they lie, and how much of a gene they have."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from tests.app.conftest import Client


def test_the_session_tells_a_page_all_that_it_needs_to_begin(client: Client) -> None:
    found = client.get("session")
    assert [root["name"] for root in found["roots"]] == ["data"]
    assert found["cells"][0]["id"] == "c1"
    assert found["models"][0]["id"] == "m2"
    assert found["limits"]["max_generate"] == 20_000


def test_cells_are_described_by_their_labels_and_numbers(client: Client, simulated: ad.AnnData) -> None:
    found = client.get("cells/c1")
    assert (found["n_cells"], found["n_genes"], found["n_shown"], found["note"]) == (150, 25, 150, None)
    columns = {one["name"]: one for one in found["obs"]}
    assert columns["cell_type"]["labels"] == ["T", "NK", "B"]
    assert columns["cell_type"]["n"] == [48, 48, 48]
    assert columns["cell_type"]["missing"] == 6
    assert columns["treated"]["labels"] == ["False", "True"]
    assert (columns["day"]["kind"], columns["day"]["low"], columns["day"]["high"]) == ("numbers", 0.0, 2.0)
    assert columns["day"]["missing"] == int(simulated.obs["day"].isna().sum())


def test_columns_come_as_codes_and_numbers_in_the_order_of_the_cells(client: Client, simulated: ad.AnnData) -> None:
    codes = client.numbers("cells/c1/column", "<i4", name="cell_type")
    labels = [["T", "NK", "B"][code] if code >= 0 else None for code in codes]
    assert labels == [label if isinstance(label, str) else None for label in simulated.obs["cell_type"]]
    np.testing.assert_array_equal(client.numbers("cells/c1/column", name="day"), simulated.obs["day"].to_numpy("f4"))
    assert client.get("cells/c1/column", name="nowhere", status=404)["error"].startswith("'nowhere' is not a column")


def test_a_gene_comes_as_counts_or_log_normalised(client: Client, simulated: ad.AnnData) -> None:
    counts = simulated.X[:, 3].toarray().ravel()
    np.testing.assert_array_equal(client.numbers("cells/c1/gene", name="gene-3", scale="counts"), counts)
    sizes = np.asarray(simulated.X.sum(axis=1)).ravel()
    logs = client.numbers("cells/c1/gene", name="gene-3", scale="log1p")
    np.testing.assert_allclose(logs, np.log1p(counts / sizes * 1e4), rtol=1e-5)
    client.get("cells/c1/gene", name="gene-99", status=404)
    client.get("cells/c1/gene", name="gene-3", scale="sqrt", status=422)


@pytest.mark.parametrize(("text", "first", "n"), [("gene-1", "gene-1", 11), ("s12", "gene-12", 1), ("2", "gene-2", 7)])
def test_genes_are_found_by_name_and_symbol(client: Client, text: str, first: str, n: int) -> None:
    found = client.get("genes", cells="c1", q=text)["genes"]
    assert found[0]["name"] == first
    assert len(found) == n


def test_real_and_generated_cells_share_one_map(client: Client) -> None:
    assert client.get("map", frame="c1")["methods"][0] == {
        "name": "pca", "title": "Principal components", "state": "ready",
    }  # fmt: skip
    made = client.do(kind="generate", model="m2", n_cells=60, where={"cell_type": "B"}, seed=4)["result"]["cells"]
    client.ready("cells", made)
    real = client.numbers("map/points", frame="c1", cells="c1").reshape(-1, 2)
    generated = client.numbers("map/points", frame="c1", cells=made).reshape(-1, 2)
    assert (real.shape, generated.shape) == ((150, 2), (60, 2))
    codes = client.numbers("cells/c1/column", "<i4", name="cell_type")
    centres = np.array([real[codes == code].mean(axis=0) for code in range(3)])
    nearest = np.linalg.norm(generated.mean(axis=0) - centres, axis=1).argmin()
    assert client.get("cells/c1")["obs"][0]["labels"][nearest] == "B"


def test_the_umap_comes_later_and_is_announced(client: Client) -> None:
    few = client.do(kind="generate", model="m2", n_cells=40)["result"]["cells"]  # so few are not laid out anew
    client.ready("cells", few)
    assert "no real cells" in client.get("map", frame=few)["note"]
    found = client.until(lambda: client.get("map", frame=few), lambda one: one["methods"][1]["state"] != "computing")
    assert found["methods"][1] == {"name": "umap", "title": "UMAP", "state": "ready"}
    assert client.numbers("map/points", frame=few, cells="c1", method="umap").shape == (300,)
    assert few in [one["frame"] for one in client.get("changes", since=0)["maps"]]


def test_a_map_that_is_not_there_is_said_to_be_coming(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    few = client.do(kind="generate", model="m2", n_cells=41)["result"]["cells"]
    client.ready("cells", few)
    monkeypatch.setattr(client.app.session, "in_background", lambda work, *, patiently: None)
    client.get("map", frame=few)
    found = client.get("map/points", frame=few, cells=few, method="umap", status=409)
    assert found["error"] == f"The UMAP of {few} is being computed. Ask again in a moment."
    client.get("map/points", frame=few, cells=few, method="tsne", status=422)


def test_cells_are_downloaded_as_shown(client: Client, simulated: ad.AnnData, tmp_path: object) -> None:
    answer = client.http.get("/api/cells/c1/download")
    assert answer.headers["content-disposition"] == 'attachment; filename="c1.h5ad"'
    path = client.app.session.folder / "downloaded.h5ad"
    path.write_bytes(answer.content)
    found = ad.read_h5ad(path)
    assert (found.X != simulated.X).nnz == 0
    assert list(found.obs_names) == list(simulated.obs_names)
