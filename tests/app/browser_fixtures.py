"""The app in real Chromium: a server with blood cells and a small model, and pages that are watched."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.browser import CHROMIUM

from scdiffuse.cells import datasets
from scdiffuse.generator import CellGenerator
from scdiffuse.model import AutoencoderConfig, DiffusionConfig, ModelConfig, TrainConfig

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 300_000
"""Milliseconds for what takes seconds on a machine that does nothing else."""
_NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
EMULATED = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture(scope="session")
def blood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundled blood cells, half of them treated on paper, and a model of a second's fit."""
    folder = tmp_path_factory.mktemp("shown") / "blood"
    folder.mkdir()
    cells = datasets.pbmc68k()
    cells.obs["treated"] = np.where(np.arange(cells.n_obs) % 2 == 0, "control", "treated")
    cells.obs.loc[cells.obs["cell_type"] == "CD34+", "treated"] = "control"
    cells.write_h5ad(folder / "blood.h5ad")
    most = np.argsort(-np.asarray(cells.X.sum(axis=0)).ravel())[:120]
    cells[:450, np.sort(most)].write_h5ad(folder / "few.h5ad")
    training = TrainConfig(batch_size=64, min_steps=60, n_validations=4, learning_rate=0.01, decay=0.8)
    config = ModelConfig(
        autoencoder=AutoencoderConfig(n_latent=6, n_hidden=32),
        autoencoder_training=training,
        diffusion=DiffusionConfig(width=32, depth=1, embedding_width=8, solver_steps=6, ode_steps=6),
        diffusion_training=training,
    )
    model = CellGenerator(cells, conditions=["cell_type", "treated"], config=config)
    model.fit(max_epochs=4, progress=False).save(folder / "blood.scd")
    return folder


@pytest.fixture(scope="session")
def site(blood: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with these cells and this model, token included."""
    with served([blood / "blood.h5ad", blood / "blood.scd"], tmp_path_factory.mktemp("served")) as address:
        yield address


@contextmanager
def served(paths: Sequence[Path], work: Path, *, python: str | Path = sys.executable) -> Iterator[str]:
    """Serve cells and models, and tell where; the environment may be that of another Python."""
    work.mkdir(exist_ok=True)
    folder = ["--folder", str(paths[0].parent)] if paths else []
    words = ["app", *map(str, paths), *folder, "--work", str(work), "--port", "0", "--no-browser"]
    with (
        (work / "log").open("w") as log,
        subprocess.Popen(
            [str(python), "-m", "scdiffuse", *words], stdout=log, stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=None if paths else work,
        ) as server,
    ):  # fmt: skip
        try:
            yield _address(work / "log", server)
        finally:
            server.terminate()


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    for _ in range(600):
        if found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", log.read_text()):
            return found.group(0)
        try:
            server.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"the app did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium without a network and without a graphics processor."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", _NO_NETWORK, *EMULATED])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A page of the app; at the end it must have been silent and have asked no one but the server."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    said: list[str] = []
    asked: set[str] = set()
    context.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    context.on("request", lambda request: asked.add(request.url))
    opened = context.new_page()
    opened.goto(site)
    ready(opened)
    yield opened
    context.close()
    home = site.partition("?")[0]
    assert not said, said
    assert {url for url in asked if not url.startswith((home, "data:", "blob:"))} == set()


def ready(page: Page) -> None:
    """Wait until the page has read what the server has."""
    page.wait_for_selector("body[data-ready]", state="attached")
    assert page.get_attribute("body", "data-ready") == "true", page.inner_text("#problem")


def go(page: Page, view: str) -> None:
    """Open a view by its link."""
    page.click(f'.top nav a[href="#/{view}"]')
    page.wait_for_selector(f"#{view}:visible")
    models = page.locator(f"#{view}").get_by_label("Model", exact=True)
    if view in {"generate", "whatif"} and models.count():
        models.select_option(label="blood.scd")  # another test may have fitted one


def show_made(page: Page) -> None:
    """Have generated cells on the map, made now or before."""
    go(page, "generate")
    if page.evaluate("scdiffuse.world.other?.kind") != "generated":
        page.click("#ask")
    on_map(page, "generated")


def on_map(page: Page, kind: str) -> None:
    """Wait until cells of a kind are on the map."""
    page.wait_for_selector(f'.map-frame canvas[aria-label*=" {kind} cells"]')
