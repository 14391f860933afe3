"""A page on a screen: as wide as asked for, light or dark, with what a reader would stumble over."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.browser import CHROMIUM

WIDE, NARROW = 1280, 390
"""A laptop and a phone, in pixels."""

_FRAME = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<style>html { color-scheme: light dark; } body { margin: 0; }
iframe { display: block; border: 0; height: 900px; width: WIDTHpx; }</style>
<iframe src="PAGE"></iframe><script>FIND
addEventListener("load", () => {
const frame = document.querySelector("iframe");
frame.style.height = frame.contentDocument.documentElement.scrollHeight + "px";
document.body.dataset.found = JSON.stringify(find(frame.contentWindow, frame.contentDocument)); });</script>"""
_FIND = Path(__file__).with_name("screen.js").read_text(encoding="utf-8")
_OFFLINE = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


class Screen(NamedTuple):
    """What a reader stumbles over."""

    problems: list[str]
    """Text that is cut, faint, or beyond the page."""
    errors: list[str]
    """What the page writes to the console."""
    picture: Path


def look_at(page: Path, picture: Path, *, width: int = WIDE, dark: bool = False, root: Path | None = None) -> Screen:
    """Open a page of a given width without a network, and take a picture of it.

    Parameters
    ----------
    page
        The file.
    picture
        The ``.png`` file to write.
    width
        Pixels.
    dark
        Whether the reader prefers dark pages.
    root
        Folder that the page may refer to; its own if not given.
    """
    assert page.is_file(), page
    root = root or page.parent
    with _served(root) as address:
        done = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                f"--host-resolver-rules={_OFFLINE}", "--no-first-run", "--enable-logging=stderr", "--hide-scrollbars",
                f"--user-data-dir={picture.with_suffix('.profile')}", f"--window-size={max(width, 500)},4000",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--screenshot={picture}", "--dump-dom",
                f"{address}/?page={page.relative_to(root).as_posix()}&width={width}",
            ],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, "the page did not finish loading"
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line and "ERR_NAME_NOT_RESOLVED" not in line]
    return Screen(json.loads(html.unescape(found.group(1))), errors, picture)


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder, and a page that frames one of them."""

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if "page" not in asked or "width" not in asked:
            super().do_GET()
            return
        frame = _FRAME.replace("PAGE", asked["page"][0]).replace("WIDTH", asked["width"][0]).replace("FIND", _FIND)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(frame.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
