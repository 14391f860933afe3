"""A page in headless Chromium: what it asks the network for, what it becomes, and what the browser says of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed; on Debian: apt-get install chromium"
)

_WATCH = """<script>addEventListener("load", () => {
const names = performance.getEntriesByType("resource").map(entry => entry.name);
const asked = names.filter(name => !name.startsWith("data:"));
document.body.dataset.asked = JSON.stringify(asked); });</script>"""


class Opened(NamedTuple):
    """What a browser made of a page."""

    asked: list[str]
    """Addresses that it asked for beside the page."""
    dom: str
    log: str

    @property
    def complained(self) -> bool:
        """Whether something was written to the console."""
        return "CONSOLE" in self.log


def open_page(text: str, folder: Path) -> Opened:
    """Open a page from a folder, without a network."""
    watched = folder / "watched.html"
    watched.write_text(text + _WATCH, encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}", "--dump-dom", watched.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'data-asked="([^"]*)"', done.stdout)
    assert found, "the page did not finish loading"
    return Opened(json.loads(html.unescape(found.group(1))), done.stdout, done.stderr)
