"""From the wheel to cells on a map by clicks: ``python -m tests.app.first_cells [WHEEL] [--whole]``.

It installs the wheel, by default that of ``dist``, with the extra ``app`` into an empty environment, starts the app in
an empty folder, and clicks in Chromium: open the bundled cells, fit, ask for cells. It prints the seconds of each step
as JSON; three minutes are the goal on two free cores. The fit is the quick one of the page; ``--whole`` waits for one
that is done. A picture of the end lies beside the wheel. ``PIP_ARGS`` are words for pip, as in the Makefile.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright
from tests.app.browser_fixtures import EMULATED, PATIENCE, go, on_map, ready, served
from tests.browser import CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
_GOAL = 180


def install(wheel: Path, folder: Path) -> Path:
    """Make an environment that holds the wheel with its extra, in the tested versions; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    words = shlex.split(os.environ.get("PIP_ARGS", ""))
    tested = ["-c", str(ROOT / "constraints.txt")]
    subprocess.run([str(python), "-m", "pip", "install", "-q", *words, *tested, f"{wheel}[app]"], check=True)
    return python


def fit_by_clicks(page: Page, *, whole: bool) -> None:
    """Open the bundled cells and fit a model to them."""
    go(page, "data")
    page.click("text=Open 700 blood cells")
    page.wait_for_selector("#fit")
    if not whole:
        page.click("text=More settings")
        page.get_by_label("Quick: fit").check()
    page.click("#fit")
    page.wait_for_selector("#data .job .done, #data .job .failed")
    assert page.locator("#data .job .failed").all_inner_texts() == []


def ask_by_clicks(page: Page) -> None:
    """Go where the page leads after a fit, and ask for cells."""
    page.click("#data >> text=Generate cells")
    page.wait_for_selector("#ask:visible")
    page.click("#ask")
    on_map(page, "generated")


def main() -> int:
    """Run the steps, and print their seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", nargs="?", type=Path)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    wheel = options.wheel or max((ROOT / "dist").glob("*.whl"), key=lambda one: one.stat().st_mtime, default=None)
    if wheel is None:
        parser.error("there is no wheel in dist; run make wheel")
    seconds: dict[str, float] = {}
    last = start = time.monotonic()

    def tell(step: str) -> None:
        nonlocal last
        last, before = time.monotonic(), last
        seconds[step] = round(last - before, 1)

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        python = install(wheel.resolve(), Path(folder) / "environment")
        tell("install")
        with served([], Path(folder) / "empty", python=python) as address:
            tell("start")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *EMULATED])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            ready(page)
            tell("page")
            fit_by_clicks(page, whole=options.whole)
            tell("fit")
            ask_by_clicks(page)
            tell("cells")
            page.screenshot(path=wheel.parent / "first_cells.png")
            browser.close()
    total = round(last - start, 1)
    found = {"fit": "whole" if options.whole else "quick", "seconds": seconds, "total": total, "goal": _GOAL}
    sys.stdout.write(json.dumps({**found, "cores": os.cpu_count()}) + "\n")
    return int(total > _GOAL)


if __name__ == "__main__":
    sys.exit(main())
