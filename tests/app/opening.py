"""How long cells and a model take to be on the map of the app: ``python -m tests.app.opening CELLS [MODEL]``.

The server runs in this process, without a browser. Seconds of the clock, and of each thread's work, from the click to
the first points of the map. Packages are imported before, as they are while a page opens; UMAP follows later, in a
process of its own.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any


def thread_seconds() -> dict[str, float]:
    """CPU seconds of each thread of this process so far, by name; Linux alone tells."""
    names = {str(one.native_id): one.name for one in threading.enumerate()}
    found: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        name = names.get(task.name, "other")
        found[name] = found.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / 100
    return found


def until(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask until something is ready."""
    while (found := ask())["state"] != "ready":
        if found["state"] == "failed":
            raise SystemExit(found["error"])
        time.sleep(0.2)
    return found


def main(paths: list[Path]) -> None:
    """Open files as the command ``scdiffuse app`` does, and ask for the map as its page does."""
    from starlette.testclient import TestClient

    from scdiffuse.app._preload import preload
    from scdiffuse.app._routes import open_model_path, open_path
    from scdiffuse.app._server import build
    from scdiffuse.app._trust import TOKEN_HEADER
    from scdiffuse.app._works import App

    token = "a-token-of-many-characters"
    with tempfile.TemporaryDirectory() as folder:
        app = App(Path(folder), paths)
        server = build(app, token=token)
        with TestClient(server, base_url="http://127.0.0.1:8765", headers={TOKEN_HEADER: token}) as http:

            def ask(address: str, **query: str) -> dict[str, Any]:
                answer = http.get(f"/api/{address}", params=query)
                assert answer.status_code == 200, answer.text
                found: dict[str, Any] = answer.json()
                return found

            preload()
            start, before = time.perf_counter(), thread_seconds()

            def tell(what: str) -> None:
                now = thread_seconds()
                spent = {name: second - before.get(name, 0.0) for name, second in now.items()}
                shown = ", ".join(f"{name} {second:.1f}" for name, second in spent.items() if second > 0.05)
                sys.stdout.write(
                    f"{what:24} {time.perf_counter() - start:6.1f} s, CPU {sum(spent.values()):6.1f} s ({shown})" + "\n"
                )

            cells = open_path(app, paths[0], file=None).id
            model = open_model_path(app, paths[1], file=None).id if len(paths) > 1 else None
            until(lambda: ask(f"cells/{cells}"))
            tell("cells are read")
            ask("map", frame=cells)
            tell("map is fitted")
            query = {"frame": cells, "cells": cells, "method": "pca"}
            assert len(http.get("/api/map/points", params=query).content)
            tell("cells are on the map")
            if model is not None:
                until(lambda: ask(f"models/{model}"))
                tell("model is ready")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main([Path(one).resolve() for one in sys.argv[1:]])
