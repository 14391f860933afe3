"""A server on simulated cells and a fitted model, asked by httpx without a network."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from tests.app.browser_fixtures import blood, chromium, page, site  # noqa: F401 - fixtures

from scdiffuse.evaluation import CellMap
from scdiffuse.generator import CellGenerator

pytest.importorskip("starlette", reason="the app is not installed: pip install 'scdiffuse[app]'")
pytest.importorskip("httpx", reason="httpx is not installed: pip install httpx")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions of starlette prefer another client
    from starlette.testclient import TestClient

from scdiffuse.app._server import build
from scdiffuse.app._trust import TOKEN_HEADER
from scdiffuse.app._works import App

TOKEN = "a-token-of-many-characters"
BASE = "http://127.0.0.1:8765"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let warnings pass, as the server does: filters are of the process, and its threads change them at once."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


class Client:
    """Asks the server as the page does, and waits for what takes longer."""

    def __init__(self, app: App, http: TestClient) -> None:
        self.app = app
        self.http = http

    def get(self, path: str, *, status: int = 200, **query: str | int) -> Any:
        """Return the JSON of an address."""
        answer = self.http.get(f"/api/{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, status: int = 200) -> Any:
        """Send JSON, and return that of the answer."""
        answer = self.http.post(f"/api/{path}", json=body or {})
        assert answer.status_code == status, answer.text
        return answer.json()

    def numbers(self, path: str, kind: str = "<f4", **query: str) -> np.ndarray[tuple[int], np.dtype[Any]]:
        """Return the numbers of an address."""
        answer = self.http.get(f"/api/{path}", params=query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/octet-stream"
        return np.frombuffer(answer.content, dtype=kind)

    def ready(self, what: str, name: str, *, key: str = "state", value: Any = "ready") -> Any:
        """Wait until cells or a model are open."""
        return self.until(lambda: self.get(f"{what}/{name}"), lambda one: one[key] == value or one["state"] == "failed")

    def open(self, file: str, **options: Any) -> Any:
        """Open cells and wait until they are inspected."""
        made = self.post("cells", {"file": file, **options}, status=202)
        return self.ready("cells", made["id"], key="inspected", value=True)

    def do(self, state: str = "done", **body: Any) -> Any:
        """Do a job to its end."""
        job = self.post("jobs", body, status=202)
        found = self.over(job["id"])
        assert found["state"] == state, found
        return found

    def over(self, name: str) -> Any:
        """Wait until a job is over."""
        return self.until(lambda: self.get(f"jobs/{name}"), lambda one: one["state"] not in {"queued", "running"})

    @staticmethod
    def until(ask: Any, is_done: Any) -> Any:
        end = time.monotonic() + 240
        while not is_done(found := ask()):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found


def lay_out_at_once(cell_map: CellMap) -> None:
    """Take the plane of the components for a UMAP, which takes half a minute to compile."""
    cell_map._umap = cell_map._fitted[:, :2]


def connect(app: App) -> TestClient:
    """Return a client that knows the token."""
    return TestClient(build(app, token=TOKEN), base_url=BASE, headers={TOKEN_HEADER: TOKEN})


@pytest.fixture(scope="session")
def data(simulated: ad.AnnData, fitted: CellGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cells and a model."""
    folder = tmp_path_factory.mktemp("named") / "data"
    folder.mkdir()
    simulated.write_h5ad(folder / "cells.h5ad")
    fitted.save(folder / "model.scd")
    return folder


@pytest.fixture(scope="session")
def client(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with cells ``c1`` and a model ``m2`` open, which all tests share."""
    app = App(tmp_path_factory.mktemp("work"), [data])
    app.maps._lay_out = lay_out_at_once  # type: ignore[method-assign]
    with connect(app) as http:
        held = Client(app, http)
        assert held.open("data/cells.h5ad")["id"] == "c1"
        assert held.post("models", {"file": "data/model.scd"}, status=202)["id"] == "m2"
        assert held.ready("models", "m2")["state"] == "ready"
        yield held
